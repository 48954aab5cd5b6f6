//! Writing a whole catalogue at once: `COPY` into the film tables of a database that we made.
//!
//! What the rows say is decided in `services::generate`.

use std::fmt::Write as _;

use sqlx::PgConnection;

/// When every generated row was written: fixed, since the same seed gives the same tables.
const STAMP: &str = "2026-01-01 00:00:00";

/// A table that a generated catalogue fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Genres, with TMDb's ids.
    Genres,
    /// Countries that films come from.
    ProductionCountries,
    /// Names of the canonical lists.
    MovieLists,
    /// People of any trade.
    People,
    /// Films.
    Movies,
    /// Ratings, votes, popularity and money.
    ExternalMetrics,
    /// Who directed and acted.
    MovieCredits,
    /// Genres of the films.
    MovieGenres,
    /// Countries of the films.
    MovieProductionCountries,
    /// Who gives prizes.
    FestivalOrganizations,
    /// What for.
    FestivalCategories,
    /// When.
    FestivalCeremonies,
    /// To whom.
    FestivalNominations,
}

impl Table {
    /// All, each after those that it refers to.
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

    /// Columns of a row as given to [`CopyRows::push`].
    fn columns(self) -> &'static str {
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

    /// Columns that say when a row was written; they have no default.
    fn version_sets(self) -> &'static [&'static str] {
        match self {
            Self::MovieGenres | Self::MovieProductionCountries => &[],
            Self::ExternalMetrics => &["fetched_at", "inserted_at", "updated_at"],
            _ => &["inserted_at", "updated_at"],
        }
    }

    fn copy_statement(self) -> String {
        let mut columns = self.columns().to_owned();
        for version_set in self.version_sets() {
            columns.push_str(", ");
            columns.push_str(version_set);
        }
        format!("COPY public.{} ({columns}) FROM STDIN", self.name())
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text, or anything that the database reads from text.
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
    /// No rows yet.
    #[must_use]
    pub fn of(table: Table) -> Self {
        Self { table, text: String::new() }
    }

    /// The table that they belong to.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table
    }

    /// The rows as they are sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Adds a row: a cell for each of the table's columns.
    pub fn push<const N: usize>(&mut self, cells: [Cell<'_>; N]) {
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            self.write(cell);
        }
        for _ in self.table.version_sets() {
            self.text.push('\t');
            self.text.push_str(STAMP);
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

/// Who made the film tables, and what filled them.
#[derive(Debug)]
pub struct Installation {
    /// False where another application made them.
    pub owns_catalogue: bool,
    /// `generated`, `imported` or nothing yet.
    pub catalogue_origin: Option<String>,
    /// Whether there is any film.
    pub has_films: bool,
}

/// What is there, locked until the transaction ends, so that two writers of a catalogue wait for each other.
///
/// # Errors
/// When the database fails.
pub async fn lock_installation(connection: &mut PgConnection) -> sqlx::Result<Installation> {
    // What serves requests limits its statements to seconds; a million films take minutes.
    sqlx::query!("SET LOCAL statement_timeout = 0").execute(&mut *connection).await?;
    sqlx::query_as!(
        Installation,
        r#"SELECT owns_catalogue, catalogue_origin, EXISTS (SELECT FROM public.movies) AS "has_films!"
           FROM cinegraph.installation FOR UPDATE"#
    )
    .fetch_one(connection)
    .await
}

/// Empties the film tables and what was computed from them. Profiles stay.
///
/// # Errors
/// When the database fails.
pub async fn empty_catalogue(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query_file!("src/store/sql/empty_catalogue.sql").execute(connection).await?;
    Ok(())
}

/// Indexes and foreign keys that were taken away for the time of a load.
#[derive(Debug)]
#[must_use = "without them queries are slow and rows unchecked"]
pub struct Removed(Vec<String>);

impl Removed {
    /// Puts them back; `report` hears how many of how many are there.
    ///
    /// # Errors
    /// When the database fails, or a row breaks a rule.
    pub async fn restore(
        self,
        connection: &mut PgConnection,
        report: &mut (dyn FnMut(u64, u64) + Send),
    ) -> sqlx::Result<()> {
        let total = self.0.len() as u64;
        for (done, statement) in (1..).zip(self.0) {
            run(connection, statement).await?;
            report(done, total);
        }
        Ok(())
    }
}

/// Takes secondary indexes and foreign keys away: a load of millions of rows is twice as fast when they are built
/// afterwards, at once. Nobody misses them, since the emptied tables are locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn remove_indexes(connection: &mut PgConnection) -> sqlx::Result<Removed> {
    let tables = Table::ALL.map(|table| format!("public.{}", table.name()));
    let found =
        sqlx::query_file!("src/store/sql/indexes_and_references.sql", &tables).fetch_all(&mut *connection).await?;
    let mut restore = Vec::with_capacity(found.len());
    for object in found {
        run(connection, object.remove).await?;
        restore.push(object.restore);
    }
    Ok(Removed(restore))
}

/// Runs a statement made of the database's own words, or of ours.
async fn run(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Writes the rows; returns how many.
///
/// # Errors
/// When the database fails or refuses a row.
pub async fn copy(connection: &mut PgConnection, rows: &CopyRows) -> sqlx::Result<u64> {
    let mut copy = connection.copy_in_raw(&rows.table.copy_statement()).await?;
    copy.send(rows.as_bytes()).await?;
    copy.finish().await
}

/// Lets the sequences continue after the ids that were written, and notes what the catalogue is.
///
/// # Errors
/// When the database fails.
pub async fn finish_catalogue(connection: &mut PgConnection, films: u32, seed: u64) -> sqlx::Result<()> {
    sqlx::query_file!("src/store/sql/continue_sequences.sql").fetch_all(&mut *connection).await?;
    // Every film is new: that is for a full refresh, not for the queue.
    sqlx::query!("TRUNCATE cinegraph.score_refresh_queue").execute(&mut *connection).await?;
    sqlx::query!(
        "UPDATE cinegraph.installation SET catalogue_origin = 'generated', catalogue_detail = $1",
        serde_json::json!({ "films": films, "seed": seed })
    )
    .execute(&mut *connection)
    .await?;
    super::invalidation::invalidate_reference(connection).await
}

/// Counts what was written, so that the next query is planned well.
///
/// # Errors
/// When the database fails.
pub async fn analyze(connection: &mut PgConnection, table: Table) -> sqlx::Result<()> {
    run(connection, format!("ANALYZE public.{}", table.name())).await
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

    #[test]
    fn statements_name_every_column() {
        let statement = "COPY public.movie_genres (movie_id, genre_id) FROM STDIN";
        assert_eq!(Table::MovieGenres.copy_statement(), statement);
        assert!(Table::Genres.copy_statement().contains("(id, tmdb_id, name, inserted_at, updated_at)"));
    }
}
