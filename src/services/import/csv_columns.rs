//! CSV files of an import: their columns, and the type of each.

use std::collections::HashMap;

use super::csv_reader::Reader;
use super::error::{ImportError, Problem};
use super::values::{TEXT, date, integer, number, shown};
use crate::store::{CopyText, RepeatedRow, Staging};

/// Maximum length of a nominee's name, in characters of at most 4 bytes. The names are indexed, and PostgreSQL limits
/// an index entry to about 2,700 bytes.
const NOMINEE_CHARACTERS: usize = 600;
/// Smallest TMDb id in a file. In the database, movies without a TMDb id have negative ids.
const ID_MIN: i32 = 1;

/// A file that can be imported.
pub(super) struct FileSpec {
    pub(super) name: &'static str,
    pub(super) staging: Staging,
    /// In the order of the staging table's columns.
    pub(super) columns: &'static [(&'static str, Kind)],
}

/// Type of a column.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Id of a movie that the file defines.
    NewMovie,
    /// Id of a movie in movies.csv.
    Movie,
    /// Id of a person that the file defines.
    NewPerson,
    /// Id of a person in people.csv.
    Person,
    /// Text with a maximum number of characters.
    Text(usize),
    OptionalText(usize),
    OneOf(&'static [&'static str]),
    Year,
    OptionalInteger,
    OptionalDate,
    /// A number as PostgreSQL's double; the formula handles NaN and infinity. Rows without a value are skipped.
    Metric,
}

const BOOLEAN: Kind = Kind::OneOf(&["true", "false"]);

/// The files, each after those that it references.
pub(super) const FILES: [FileSpec; 7] = [
    FileSpec {
        name: "movies.csv",
        staging: Staging::Movies,
        columns: &[
            ("tmdb_id", Kind::NewMovie),
            ("imdb_id", Kind::OptionalText(TEXT)),
            ("title", Kind::Text(TEXT)),
            ("release_date", Kind::OptionalDate),
            ("adult", BOOLEAN),
            ("import_status", Kind::OneOf(&["full", "soft"])),
            ("original_language", Kind::OptionalText(TEXT)),
        ],
    },
    FileSpec {
        name: "people.csv",
        staging: Staging::People,
        columns: &[("tmdb_id", Kind::NewPerson), ("name", Kind::Text(TEXT))],
    },
    FileSpec {
        name: "external_metrics.csv",
        staging: Staging::Metrics,
        columns: &[
            ("tmdb_id", Kind::Movie),
            // The sizes of the database's columns, which are shorter than `TEXT`.
            ("source", Kind::Text(50)),
            ("metric_type", Kind::Text(100)),
            ("value", Kind::Metric),
        ],
    },
    FileSpec {
        name: "movie_lists.csv",
        staging: Staging::Lists,
        columns: &[
            ("list_key", Kind::Text(TEXT)),
            ("tmdb_id", Kind::Movie),
            ("list_position", Kind::OptionalInteger),
            ("edition", Kind::OptionalText(TEXT)),
        ],
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
            ("cast_order", Kind::OptionalInteger),
        ],
    },
    FileSpec {
        name: "festival_nominations.csv",
        staging: Staging::Nominations,
        columns: &[
            ("organization", Kind::Text(TEXT)),
            ("year", Kind::Year),
            ("category", Kind::Text(TEXT)),
            ("movie_tmdb_id", Kind::Movie),
            ("person_name", Kind::OptionalText(NOMINEE_CHARACTERS)),
            ("won", BOOLEAN),
        ],
    },
    FileSpec {
        name: "movie_genres.csv",
        staging: Staging::Genres,
        columns: &[("tmdb_id", Kind::Movie), ("genre", Kind::Text(TEXT))],
    },
];

impl FileSpec {
    /// Column names.
    pub(super) fn column_names(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(name, _)| *name).collect()
    }

    /// Appends the reader's current row to `rows`. Returns false, and appends nothing, if the row is a metric without a
    /// value.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] if a value does not have its column's type.
    pub(super) fn append(&self, reader: &Reader, ids: &mut Ids, rows: &mut CopyText) -> Result<bool, ImportError> {
        rows.begin_row(reader.line());
        for (place, (name, kind)) in self.columns.iter().enumerate() {
            let cell = reader.value(place).and_then(|value| kind.cell(value, reader.line(), ids));
            match cell.map_err(|problem| reader.damaged(Some(name), problem))? {
                Cell::Null => rows.null(),
                Cell::Text(text) => rows.text(text),
                Cell::Number(number) => rows.text(&number.to_string()),
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

/// A validated value.
enum Cell<'a> {
    Null,
    Text(&'a str),
    Number(f64),
    /// A metric without a value, whose row is skipped.
    NoMetric,
}

impl Kind {
    /// Checks a value of this type. Records the id if the file defines it, with its line.
    fn cell<'a>(self, value: &'a str, line: u64, ids: &mut Ids) -> Result<Cell<'a>, Problem> {
        if value.is_empty() {
            return match self {
                Self::OptionalText(_) | Self::OptionalInteger | Self::OptionalDate => Ok(Cell::Null),
                Self::Metric => Ok(Cell::NoMetric),
                _ => Err(Problem::NoValue),
            };
        }
        match self {
            Self::NewMovie => add(&mut ids.movies, value, line)?,
            Self::NewPerson => add(&mut ids.people, value, line)?,
            Self::Movie => {
                let id = integer(value, ID_MIN, i32::MAX)?;
                ids.movies.get(&id).ok_or(Problem::UnknownMovie { id })?;
            }
            Self::Person => {
                let id = integer(value, ID_MIN, i32::MAX)?;
                ids.people.get(&id).ok_or(Problem::UnknownPerson { id })?;
            }
            Self::Text(max) | Self::OptionalText(max) => {
                let length = value.chars().count();
                if length > max {
                    return Err(Problem::TooLong { length, max });
                }
            }
            Self::OneOf(allowed) => {
                if !allowed.contains(&value) {
                    return Err(Problem::NotOneOf { value: shown(value), allowed });
                }
            }
            Self::Year => {
                integer(value, 1, 9999)?;
            }
            Self::OptionalInteger => {
                integer(value, i32::MIN, i32::MAX)?;
            }
            Self::OptionalDate => date(value)?,
            Self::Metric => return number(value).map(Cell::Number),
        }
        Ok(Cell::Text(value))
    }
}

/// Ids defined by the files so far, with their lines.
#[derive(Default)]
pub(super) struct Ids {
    movies: HashMap<i32, u64>,
    people: HashMap<i32, u64>,
}

/// Records an id that a file defines; an error if an earlier line has defined it.
fn add(ids: &mut HashMap<i32, u64>, value: &str, line: u64) -> Result<(), Problem> {
    match ids.insert(integer(value, ID_MIN, i32::MAX)?, line) {
        Some(earlier) => Err(Problem::Repeated { value: value.to_owned(), earlier }),
        None => Ok(()),
    }
}
