//! CSV files of an import: their columns, and the kind of each.

use super::checks::{Cell, Checks};
use super::column_kind::Kind;
use super::csv_reader::Reader;
use super::error::{ImportError, Problem};
use super::spellings::Vocabulary;
use super::values::TEXT;
use crate::store::{CopyText, RepeatedRow, Staging};

/// Maximum length of a nominee's name, in characters of at most 4 bytes. The names are indexed, and PostgreSQL limits
/// an index entry to about 2,700 bytes.
const NOMINEE_CHARACTERS: usize = 600;
/// Maximum length of an overview, in characters. A choice: several times that of TMDb's longest.
const OVERVIEW_CHARACTERS: usize = 20_000;

/// A file that can be imported.
pub(super) struct FileSpec {
    pub(super) name: &'static str,
    pub(super) staging: Staging,
    /// In the order of the staging table's columns.
    pub(super) columns: &'static [(&'static str, Kind)],
    /// Columns that may be absent, likewise. Those of the staging table follow the others.
    pub(super) optional: &'static [(&'static str, Kind)],
}

const BOOLEAN: Kind = Kind::OneOf(&["true", "false"]);

/// The files, each after those that it references.
pub(super) const FILES: [FileSpec; 7] = [
    FileSpec {
        name: "movies.csv",
        staging: Staging::Movies,
        columns: &[
            ("tmdb_id", Kind::NewMovie),
            ("imdb_id", Kind::OptionalImdbId),
            ("title", Kind::Text(TEXT)),
            ("release_date", Kind::OptionalDate),
            ("adult", BOOLEAN),
            ("import_status", Kind::OneOf(&["full", "soft"])),
            ("original_language", Kind::OptionalLanguage),
        ],
        optional: &[
            ("poster_path", Kind::OptionalPoster),
            ("overview", Kind::OptionalText(OVERVIEW_CHARACTERS)),
            ("runtime", Kind::OptionalMinutes),
            ("original_title", Kind::OptionalText(TEXT)),
            ("fetched_at", Kind::OptionalTime),
        ],
    },
    FileSpec {
        name: "people.csv",
        staging: Staging::People,
        columns: &[("tmdb_id", Kind::NewPerson), ("name", Kind::Text(TEXT))],
        optional: &[],
    },
    FileSpec {
        name: "external_metrics.csv",
        staging: Staging::Metrics,
        columns: &[
            ("tmdb_id", Kind::Movie),
            ("source", Kind::Source),
            ("metric_type", Kind::MetricType),
            ("value", Kind::Metric),
        ],
        optional: &[("fetched_at", Kind::OptionalTime)],
    },
    FileSpec {
        name: "movie_lists.csv",
        staging: Staging::Lists,
        columns: &[
            ("list_key", Kind::Name(Vocabulary::Lists)),
            ("tmdb_id", Kind::Movie),
            ("list_position", Kind::OptionalPosition),
            ("edition", Kind::OptionalText(TEXT)),
        ],
        optional: &[],
    },
    FileSpec {
        name: "movie_credits.csv",
        staging: Staging::Credits,
        columns: &[
            ("movie_tmdb_id", Kind::Movie),
            ("person_tmdb_id", Kind::Person),
            ("credit_id", Kind::Text(TEXT)),
            ("credit_type", Kind::OneOf(&["cast", "crew"])),
            ("department", Kind::OptionalText(TEXT)),
            ("job", Kind::OptionalText(TEXT)),
            ("character", Kind::OptionalText(TEXT)),
            ("cast_order", Kind::OptionalPosition),
        ],
        optional: &[],
    },
    FileSpec {
        name: "festival_nominations.csv",
        staging: Staging::Nominations,
        columns: &[
            ("organization", Kind::Name(Vocabulary::Organizations)),
            ("year", Kind::Year),
            ("category", Kind::Category),
            ("movie_tmdb_id", Kind::Movie),
            ("person_name", Kind::OptionalText(NOMINEE_CHARACTERS)),
            ("won", BOOLEAN),
        ],
        optional: &[],
    },
    FileSpec {
        name: "movie_genres.csv",
        staging: Staging::Genres,
        columns: &[("tmdb_id", Kind::Movie), ("genre", Kind::Name(Vocabulary::Genres))],
        optional: &[],
    },
];

impl FileSpec {
    /// Appends the reader's current row to `rows`. Returns false, and appends nothing, if the row is a metric without a
    /// value.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] if a value does not have its column's type.
    pub(super) fn append(
        &self,
        reader: &Reader,
        checks: &mut Checks,
        rows: &mut CopyText,
    ) -> Result<bool, ImportError> {
        rows.begin_row(reader.line());
        checks.begin_row(reader.line(), reader.has_decimal_commas());
        for (place, (name, kind)) in self.columns.iter().chain(self.optional).enumerate() {
            let cell = reader.value(place).and_then(|value| checks.cell(*kind, value));
            match cell.map_err(|problem| reader.damaged(Some(name), problem))? {
                Cell::Null => rows.null(),
                Cell::Text(text) => rows.text(&text),
                Cell::NoMetric => {
                    rows.discard_row();
                    return Ok(false);
                }
            }
        }
        rows.end_row();
        Ok(true)
    }

    /// Error for a row that repeats or contradicts an earlier one.
    pub(super) fn repeated(&self, repeat: RepeatedRow) -> ImportError {
        let RepeatedRow { line, earlier, value } = repeat;
        let (column, problem) = match self.staging {
            Staging::Movies => (Some("imdb_id"), Problem::Repeated { value, earlier }),
            Staging::Credits => (Some("credit_id"), Problem::Repeated { value, earlier }),
            _ => (None, Problem::Contradicts { value, earlier }),
        };
        ImportError::Damaged { file: self.name, line, column: column.map(str::to_owned), problem }
    }
}
