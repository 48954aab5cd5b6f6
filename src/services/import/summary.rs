//! What an import did, for whoever asked for it.

use std::fmt;

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// One per file that was there, in the order of reading.
    pub files: Vec<FileSummary>,
    /// Optional files that were not there.
    pub missing_files: Vec<&'static str>,
    /// Nominees of the films of this import.
    pub nominees: Nominees,
}

/// What became of the rows of one file: `rows` is the sum of the other counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSummary {
    /// Its name.
    pub name: &'static str,
    /// Rows read, without the header.
    pub rows: u64,
    /// New ones.
    pub inserted: u64,
    /// Those that the database had with other values.
    pub updated: u64,
    /// Those that the database had like this.
    pub unchanged: u64,
    /// Those that add nothing, by reason.
    pub skipped: Vec<(SkipReason, u64)>,
    /// Columns that the import does not know.
    pub ignored_columns: Vec<String>,
}

/// Why a row adds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// A metric without a value.
    NoValue,
    /// The file has the row twice.
    Repeated,
    /// Another row is the same nomination; won if any of them is.
    SameNomination,
    /// A title that is no film: an episode, a short, a game.
    NoFilm,
    /// A film for adults.
    Adult,
    /// A film without a title, a person without a name.
    NoName,
    /// A film without a year.
    NoYear,
    /// A film with fewer votes than asked for.
    FewVotes,
    /// Another source describes the film or the person, or gives the film's credits.
    OtherSource,
    /// Work that is no credit here, such as archive footage.
    OtherWork,
    /// Belongs to a film that is not imported.
    FilmNotImported,
    /// Somebody without a credit in an imported film.
    NoCredit,
    /// A credit of somebody whom no file names.
    UnknownPerson,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoValue => "without a value",
            Self::Repeated => "the same as an earlier row",
            Self::SameNomination => "merged with an earlier row of the same nomination",
            Self::NoFilm => "another kind of title than a film",
            Self::Adult => "for adults",
            Self::NoName => "without a name",
            Self::NoYear => "without a year",
            Self::FewVotes => "with too few votes",
            Self::OtherSource => "left to another source, which has it",
            Self::OtherWork => "another kind of work than a credit",
            Self::FilmNotImported => "of a film that is not imported",
            Self::NoCredit => "without a credit in an imported film",
            Self::UnknownPerson => "of a person whom no file names",
        })
    }
}

/// How many nominations with a name belong to one credited person of their film.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nominees {
    /// The name is that of exactly one.
    pub linked: u64,
    /// It is that of none, or of several.
    pub unlinked: u64,
    /// How many of these links this import made or changed.
    pub changed: u64,
}

impl ImportSummary {
    /// Whether the database was left as it was.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.nominees.changed == 0 && self.files.iter().all(|file| file.inserted == 0 && file.updated == 0)
    }
}

impl FileSummary {
    /// Rows that add nothing.
    #[must_use]
    pub fn skipped_rows(&self) -> u64 {
        self.skipped.iter().map(|(_, rows)| rows).sum()
    }
}

impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["file", "rows", "inserted", "updated", "unchanged", "skipped"].map(str::to_owned);
        write_line(f, &header)?;
        for file in &self.files {
            let counts = [file.rows, file.inserted, file.updated, file.unchanged, file.skipped_rows()];
            let [rows, inserted, updated, unchanged, skipped] = counts.map(|count| count.to_string());
            write_line(f, &[file.name.to_owned(), rows, inserted, updated, unchanged, skipped])?;
        }
        for file in &self.files {
            for (reason, rows) in &file.skipped {
                writeln!(f, "skipped in {}: {rows} {reason}", file.name)?;
            }
        }
        for file in self.files.iter().filter(|file| !file.ignored_columns.is_empty()) {
            writeln!(f, "columns ignored in {}: {}", file.name, file.ignored_columns.join(", "))?;
        }
        if !self.missing_files.is_empty() {
            writeln!(f, "not there (optional): {}", self.missing_files.join(", "))?;
        }
        let Nominees { linked, unlinked, changed } = self.nominees;
        write!(f, "nominees linked to a credited person: {linked} ({changed} changed), not linked: {unlinked}")
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, [file, counts @ ..]: &[String; 6]) -> fmt::Result {
    write!(f, "{file:<24}")?;
    for count in counts {
        write!(f, " {count:>10}")?;
    }
    writeln!(f)
}
