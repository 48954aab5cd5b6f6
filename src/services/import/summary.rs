//! Summary of an import, as printed.

use std::fmt;

use super::changes::Changes;
use crate::store::MergedMovie;

/// Summary of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// One per imported file, in reading order.
    pub files: Vec<FileSummary>,
    /// Optional files that are missing.
    pub missing_files: Vec<&'static str>,
    /// Nominees of the imported movies.
    pub nominees: Nominees,
}

/// Counts of one file. `rows` is the sum of the other counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSummary {
    /// Name of the file.
    pub name: &'static str,
    /// Rows, without the header.
    pub rows: u64,
    /// New rows.
    pub inserted: u64,
    /// Rows that existed with other values.
    pub updated: u64,
    /// Rows that existed with the same values.
    pub unchanged: u64,
    /// Skipped rows, by reason.
    pub skipped: Vec<(SkipReason, u64)>,
    /// Columns that the import does not use.
    pub ignored_columns: Vec<String>,
    /// What was changed or ignored in the values.
    pub changes: Changes,
    /// Movies that the database had under another TMDb id.
    pub merged: Vec<MergedMovie>,
}

/// Why a row was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// A row without any value.
    Blank,
    /// A metric without a value.
    NoValue,
    /// The file repeats the row.
    Repeated,
    /// An earlier row is the same nomination. The two become one nomination, which counts as won if one of them is.
    SameNomination,
    /// The title is not a movie, but an episode, a short or a game.
    NotAMovie,
    /// An adult movie.
    Adult,
    /// A movie without a title, or a person without a name.
    NoName,
    /// A movie without a year.
    NoYear,
    /// A movie with too few votes.
    FewVotes,
    /// Another source has the movie, the person or the movie's credits.
    OtherSource,
    /// The category of the credit is not imported, such as archive footage.
    OtherWork,
    /// The movie is not imported.
    MovieNotImported,
    /// A person without a credit in an imported movie.
    NoCredit,
    /// A credit of a person that is missing from the files.
    UnknownPerson,
    /// A link without a TMDb id.
    NoTmdbId,
    /// A movie that the database does not have.
    NotInDatabase,
    /// A link that contradicts the database or another row.
    Conflict,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "empty",
            Self::NoValue => "without a value",
            Self::Repeated => "the same as an earlier row",
            Self::SameNomination => "merged with an earlier row of the same nomination",
            Self::NotAMovie => "of another type than movie",
            Self::Adult => "for adults",
            Self::NoName => "without a name",
            Self::NoYear => "without a year",
            Self::FewVotes => "with too few votes",
            Self::OtherSource => "known from another source",
            Self::OtherWork => "of an unsupported category",
            Self::MovieNotImported => "of a movie that is not imported",
            Self::NoCredit => "without a credit in an imported movie",
            Self::UnknownPerson => "of a person missing from the files",
            Self::NoTmdbId => "without a TMDb id",
            Self::NotInDatabase => "of a movie that is not in the database",
            Self::Conflict => "in conflict with the database or another row",
        })
    }
}

/// Counts of nominations with a nominee name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nominees {
    /// Nominations whose name matches exactly one credited person of the movie.
    pub linked: u64,
    /// Nominations whose name matches no credited person, or several.
    pub unlinked: u64,
    /// Nominations whose link this import has created or changed.
    pub changed: u64,
}

impl ImportSummary {
    /// Whether the import left the database unchanged.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.nominees.changed == 0 && self.files.iter().all(|file| file.inserted == 0 && file.updated == 0)
    }

    /// What was changed or ignored in the files, a line each.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.files.iter().flat_map(FileSummary::change_lines).collect()
    }
}

impl FileSummary {
    fn change_lines(&self) -> Vec<String> {
        let ignored = Some(&self.ignored_columns).filter(|columns| !columns.is_empty());
        let ignored = ignored.map(|columns| format!("columns ignored in {}: {}", self.name, columns.join(", ")));
        self.changes.lines(self.name).into_iter().chain(ignored).collect()
    }

    /// Number of skipped rows.
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
        for line in self.changes() {
            writeln!(f, "{line}")?;
        }
        for file in &self.files {
            if let Some(MergedMovie { line, former, tmdb_id }) = file.merged.first() {
                let count = file.merged.len();
                writeln!(
                    f,
                    "merged in {}: {count} movies that had another TMDb id (line {line}: {former} is now {tmdb_id})",
                    file.name
                )?;
            }
        }
        if !self.missing_files.is_empty() {
            writeln!(f, "missing (optional): {}", self.missing_files.join(", "))?;
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
