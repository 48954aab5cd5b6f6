//! Summary of an import, as printed.

use std::fmt;

use super::changes::Changes;

/// Summary of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// One per imported file, in reading order.
    pub files: Vec<FileSummary>,
    /// Optional files that are missing.
    pub missing_files: Vec<&'static str>,
    /// Files of the directory that are not read, although they may be tables.
    pub other_files: Vec<String>,
    /// Nominees of the database; all zero if the import is not about nominations.
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

impl SkipReason {
    /// Whether such rows are unusual, so that a strict import refuses them.
    fn is_fault(self) -> bool {
        matches!(self, Self::Blank | Self::Repeated | Self::SameNomination)
    }
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
    fn changes(&self) -> impl Iterator<Item = String> {
        self.files.iter().flat_map(FileSummary::change_lines)
    }

    /// What a strict import does not allow, a line each.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let skipped = self.files.iter().flat_map(|file| file.skip_lines(SkipReason::is_fault));
        skipped.chain(self.changes()).collect()
    }
}

impl FileSummary {
    /// The rows skipped for a reason that `is_shown` accepts, a line for each reason.
    fn skip_lines(&self, is_shown: impl Fn(SkipReason) -> bool) -> impl Iterator<Item = String> {
        let skipped = self.skipped.iter().filter(move |(reason, _)| is_shown(*reason));
        skipped.map(|(reason, rows)| format!("skipped in {}: {rows} {reason}", self.name))
    }

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
        let mut lines = vec![table_line(&header)];
        lines.extend(self.files.iter().map(|file| {
            let counts = [file.rows, file.inserted, file.updated, file.unchanged, file.skipped_rows()];
            let [rows, inserted, updated, unchanged, skipped] = counts.map(|count| count.to_string());
            table_line(&[file.name.to_owned(), rows, inserted, updated, unchanged, skipped])
        }));
        for file in &self.files {
            lines.extend(file.skip_lines(|_| true));
        }
        lines.extend(self.changes());
        if !self.missing_files.is_empty() {
            lines.push(format!("missing (optional): {}", self.missing_files.join(", ")));
        }
        if !self.other_files.is_empty() {
            lines.push(format!("not read: {}", self.other_files.join(", ")));
        }
        let Nominees { linked, unlinked, changed } = self.nominees;
        if self.nominees != Nominees::default() {
            let links = format!("{linked} ({changed} changed), not linked: {unlinked}");
            lines.push(format!("nominees linked to a credited person: {links}"));
        }
        f.write_str(&lines.join("\n"))
    }
}

fn table_line([file, counts @ ..]: &[String; 6]) -> String {
    let counts: String = counts.iter().map(|count| format!(" {count:>10}")).collect();
    format!("{file:<24}{counts}")
}
