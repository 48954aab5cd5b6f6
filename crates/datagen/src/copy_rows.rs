//! Rows in PostgreSQL's text format for `COPY`, and the tables that they belong to.

use std::fmt::Write as _;

/// Value of the timestamp columns of every generated row. Constant, so that the same seed gives the same tables.
const TIMESTAMP: &str = "2026-01-01 00:00:00";

/// A table that a generated catalogue fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Genres, with TMDb's ids.
    Genres,
    /// Production countries.
    ProductionCountries,
    /// Names of the canonical lists.
    MovieLists,
    /// Directors and actors.
    People,
    /// Movies.
    Movies,
    /// Ratings, votes, popularity and money.
    ExternalMetrics,
    /// Directors and cast.
    MovieCredits,
    /// Genres of movies.
    MovieGenres,
    /// Production countries of movies.
    MovieProductionCountries,
    /// Organizations that give awards.
    FestivalOrganizations,
    /// Award categories.
    FestivalCategories,
    /// Award ceremonies.
    FestivalCeremonies,
    /// Nominations.
    FestivalNominations,
}

impl Table {
    /// All tables, in an order in which each one references only earlier ones.
    pub const ALL: [Self; 13] = [
        Self::Genres,
        Self::ProductionCountries,
        Self::MovieLists,
        Self::People,
        Self::Movies,
        Self::ExternalMetrics,
        Self::MovieCredits,
        Self::MovieGenres,
        Self::MovieProductionCountries,
        Self::FestivalOrganizations,
        Self::FestivalCategories,
        Self::FestivalCeremonies,
        Self::FestivalNominations,
    ];

    /// Name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genres => "genres",
            Self::ProductionCountries => "production_countries",
            Self::MovieLists => "movie_lists",
            Self::People => "people",
            Self::Movies => "movies",
            Self::ExternalMetrics => "external_metrics",
            Self::MovieCredits => "movie_credits",
            Self::MovieGenres => "movie_genres",
            Self::MovieProductionCountries => "movie_production_countries",
            Self::FestivalOrganizations => "festival_organizations",
            Self::FestivalCategories => "festival_categories",
            Self::FestivalCeremonies => "festival_ceremonies",
            Self::FestivalNominations => "festival_nominations",
        }
    }

    /// Columns of its rows, separated by commas.
    #[must_use]
    pub fn columns(self) -> String {
        let mut columns = self.value_columns().to_owned();
        for timestamp_column in self.timestamp_columns() {
            columns.push_str(", ");
            columns.push_str(timestamp_column);
        }
        columns
    }

    /// The columns whose values [`CopyRows::push`] takes, in its order.
    fn value_columns(self) -> &'static str {
        match self {
            Self::Genres => "id, tmdb_id, name",
            Self::ProductionCountries => "id, iso_3166_1, name",
            Self::MovieLists => "id, source_key, name, source_type, source_url, category, last_movie_count",
            Self::People => "id, tmdb_id, name, known_for_department",
            Self::Movies => {
                "id, tmdb_id, imdb_id, title, status, original_language, release_date, runtime, origin_country, \
                 import_status, canonical_sources"
            }
            Self::ExternalMetrics => "id, movie_id, source, metric_type, value",
            Self::MovieCredits => "id, movie_id, person_id, credit_id, credit_type, department, job, cast_order",
            Self::MovieGenres => "movie_id, genre_id",
            Self::MovieProductionCountries => "movie_id, production_country_id",
            Self::FestivalOrganizations => "id, name, abbreviation, country, founded_year",
            Self::FestivalCategories => "id, organization_id, name, tracks_person, category_type",
            Self::FestivalCeremonies => "id, organization_id, year, name, data_source",
            Self::FestivalNominations => "id, ceremony_id, category_id, movie_id, person_id, won, details",
        }
    }

    /// The columns that [`CopyRows::push`] fills with [`TIMESTAMP`]. They have no default in the database.
    fn timestamp_columns(self) -> &'static [&'static str] {
        match self {
            Self::MovieGenres | Self::MovieProductionCountries => &[],
            Self::ExternalMetrics => &["fetched_at", "inserted_at", "updated_at"],
            _ => &["inserted_at", "updated_at"],
        }
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A number with decimals.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text, or any value in its text representation.
    Text(&'a str),
}

impl From<i32> for Cell<'_> {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Cell<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows of one table, in PostgreSQL's text format for `COPY`.
#[derive(Debug)]
pub struct CopyRows {
    table: Table,
    text: String,
}

impl CopyRows {
    pub(crate) fn of(table: Table) -> Self {
        Self { table, text: String::new() }
    }

    /// The table of the rows.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table
    }

    /// The rows in `COPY` format.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Appends a row: one cell for each of the table's columns except timestamps.
    pub(crate) fn push<const N: usize>(&mut self, cells: [Cell<'_>; N]) {
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            self.write(cell);
        }
        for _ in self.table.timestamp_columns() {
            self.text.push('\t');
            self.text.push_str(TIMESTAMP);
        }
        self.text.push('\n');
    }

    fn write(&mut self, cell: Cell<'_>) {
        // Writing to a String does not fail.
        let _ = match cell {
            Cell::Null => self.text.write_str("\\N"),
            Cell::Int(value) => write!(self.text, "{value}"),
            Cell::Float(value) => write!(self.text, "{value}"),
            Cell::Bool(value) => self.text.write_char(if value { 't' } else { 'f' }),
            Cell::Text(value) => {
                self.write_escaped(value);
                Ok(())
            }
        };
    }

    fn write_escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_text_format_of_copy() {
        let mut rows = CopyRows::of(Table::FestivalOrganizations);
        rows.push([1_u32.into(), "a\tb\\c\nd".into(), Cell::Null, Cell::Bool(true), Cell::Float(7.5)]);
        let row = "1\ta\\tb\\\\c\\nd\t\\N\tt\t7.5\t2026-01-01 00:00:00\t2026-01-01 00:00:00\n";
        assert_eq!(std::str::from_utf8(rows.as_bytes()), Ok(row));
    }
}
