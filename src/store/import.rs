//! Merges movies from files: staging tables, filled by COPY, and the statements that merge them.
//!
//! Staging tables exist only during the transaction, so `sqlx` cannot check statements that read them at compile time:
//! those are plain queries, covered by tests. All run in one transaction, in the order of [`Staging`]'s variants.

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{PgPool, Postgres, Transaction};

/// Staging tables, one per file. IMDb's dumps have their own where no CSV file matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Staging {
    Movies,
    People,
    Metrics,
    Lists,
    Credits,
    Nominations,
    Genres,
    ImdbFilms,
    ImdbRatings,
    ImdbPeople,
}

/// Ownership and origin of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue {
    /// Cinegraph owns the movie tables.
    pub is_ours: bool,
    /// The catalogue was generated.
    pub is_generated: bool,
}

/// Full names of known keys. Lists and organizations without one get a name derived from the key; genres get a negative
/// id.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Key and name.
    pub lists: &'static [(&'static str, &'static str)],
    /// Abbreviation and name.
    pub organizations: &'static [(&'static str, &'static str)],
    /// Name and TMDb's id.
    pub genres: &'static [(&'static str, i32)],
}

/// A row that must not occur together with an earlier one.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Repeat {
    /// Line of the row.
    #[sqlx(try_from = "i64")]
    pub line: u64,
    /// Line of the earlier row.
    #[sqlx(try_from = "i64")]
    pub earlier: u64,
    /// The repeated value.
    pub value: String,
}

/// Counts of a merge, over the distinct rows of a staging table.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Merged {
    /// Distinct rows.
    #[sqlx(try_from = "i64")]
    pub rows: u64,
    /// New rows.
    #[sqlx(try_from = "i64")]
    pub inserted: u64,
    /// Rows that existed with other values.
    #[sqlx(try_from = "i64")]
    pub updated: u64,
}

/// Counts of nominations with a nominee name, of the imported movies.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Links {
    /// Nominations linked to exactly one credited person.
    #[sqlx(try_from = "i64")]
    pub linked: u64,
    /// Other nominations.
    #[sqlx(try_from = "i64")]
    pub unlinked: u64,
    /// Nominations whose link changed.
    #[sqlx(try_from = "i64")]
    pub changed: u64,
}

/// An import in progress. Dropped before [`Import::commit`], it is rolled back.
#[derive(Debug)]
pub struct Import {
    pub(super) transaction: Transaction<'static, Postgres>,
    /// Current time, as the host tables store it: UTC without time zone.
    now: NaiveDateTime,
}

impl Import {
    /// Starts an import with empty staging tables. Waits until no other import runs.
    ///
    /// # Errors
    /// If the database is not migrated or unavailable.
    pub async fn begin(pool: &PgPool, now: DateTime<Utc>) -> sqlx::Result<(Self, Catalogue)> {
        let mut transaction = pool.begin().await?;
        // Connections for requests limit statements to seconds; importing a million movies takes minutes.
        sqlx::query!("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
        let catalogue = sqlx::query_as!(
            Catalogue,
            r#"SELECT owns_catalogue AS is_ours, catalogue_origin IS NOT DISTINCT FROM 'generated' AS "is_generated!"
               FROM cinegraph.installation FOR UPDATE"#
        )
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::raw_sql(include_str!("sql/import_staging.sql")).execute(&mut *transaction).await?;
        Ok((Self { transaction, now: now.naive_utc() }, catalogue))
    }

    /// Empties the movie tables, which this import then fills again.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn empty_catalogue(&mut self) -> sqlx::Result<()> {
        super::generate::empty_catalogue(&mut self.transaction).await
    }

    /// Copies rows into a staging table. `next` appends rows to an empty buffer and returns whether more follow.
    ///
    /// # Errors
    /// Errors of `next`, and database errors.
    pub async fn copy<E: From<sqlx::Error>>(
        &mut self,
        staging: Staging,
        mut next: impl FnMut(&mut CopyText) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut copy = self.transaction.copy_in_raw(staging.copy_statement()).await?;
        let mut rows = CopyText::default();
        loop {
            rows.clear();
            match next(&mut rows) {
                Ok(more) => {
                    copy.send(rows.bytes()).await?;
                    if !more {
                        break;
                    }
                }
                Err(error) => {
                    copy.abort("the file is damaged").await?;
                    return Err(error);
                }
            }
        }
        copy.finish().await?;
        // Autovacuum does not analyze temporary tables, and the planner would assume that they are small.
        sqlx::query(staging.analyze_statement()).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// First row that repeats or contradicts an earlier one although it must not.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn first_repeat(&mut self, staging: Staging) -> sqlx::Result<Option<Repeat>> {
        let Some(statement) = staging.repeat_statement() else { return Ok(None) };
        sqlx::query_as(statement).fetch_optional(&mut *self.transaction).await
    }

    /// Merges a staging table into the movie tables. Staging tables that it refers to must be merged before.
    ///
    /// # Errors
    /// If the database is unavailable, or rejects a row.
    pub async fn merge(&mut self, staging: Staging, names: &Names) -> sqlx::Result<Merged> {
        match staging {
            Staging::Movies => {
                let mapped = self.map_movies().await?;
                let merged: Merged = self.run(include_str!("sql/import_movies.sql")).await?;
                self.execute(include_str!("sql/import_doubled_movies.sql")).await?;
                Ok(Merged { updated: merged.updated + mapped, ..merged })
            }
            Staging::People => self.run(include_str!("sql/import_people.sql")).await,
            Staging::Metrics => self.run(include_str!("sql/import_metrics.sql")).await,
            Staging::Lists => {
                self.name(include_str!("sql/import_list_names.sql"), names.lists).await?;
                self.run(include_str!("sql/import_lists.sql")).await
            }
            Staging::Credits => {
                self.execute(include_str!("sql/import_replaced_credits.sql")).await?;
                self.run(include_str!("sql/import_credits.sql")).await
            }
            Staging::Nominations => {
                self.name(include_str!("sql/import_organizations.sql"), names.organizations).await?;
                self.execute(include_str!("sql/import_ceremonies.sql")).await?;
                self.execute(include_str!("sql/import_categories.sql")).await?;
                self.run(include_str!("sql/import_nominations.sql")).await
            }
            Staging::Genres => {
                self.name(include_str!("sql/import_genre_names.sql"), names.genres).await?;
                self.run(include_str!("sql/import_genres.sql")).await
            }
            Staging::ImdbFilms => {
                self.execute(include_str!("sql/import_imdb_films.sql")).await?;
                self.run(include_str!("sql/import_movies.sql")).await
            }
            Staging::ImdbRatings => self.run(include_str!("sql/import_imdb_ratings.sql")).await,
            Staging::ImdbPeople => self.run(include_str!("sql/import_imdb_people.sql")).await,
        }
    }

    /// Replaces the ids and attributes of movies from IMDb's dumps by those of the staged movies with the same
    /// `imdb_id`. Returns their number.
    async fn map_movies(&mut self) -> sqlx::Result<u64> {
        let statement = sqlx::query_scalar(include_str!("sql/import_mapped_movies.sql"));
        let mapped: i64 = statement.bind(self.now).fetch_one(&mut *self.transaction).await?;
        Ok(mapped.unsigned_abs())
    }

    /// Links the nominations of the imported movies to credited people.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn link_nominees(&mut self) -> sqlx::Result<Links> {
        self.run(include_str!("sql/import_nominee_links.sql")).await
    }

    /// Whether the database would hold no movie if the import ended now.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn leaves_no_movie(&mut self) -> sqlx::Result<bool> {
        sqlx::query_scalar!(r#"SELECT NOT EXISTS (SELECT FROM public.movies) AS "empty!""#)
            .fetch_one(&mut *self.transaction)
            .await
    }

    /// Commits the import.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::query!(
            "UPDATE cinegraph.installation SET catalogue_origin = 'imported' WHERE catalogue_origin IS DISTINCT FROM 'imported'"
        )
        .execute(&mut *self.transaction)
        .await?;
        // Makes a running service show the new lists, genres and data origin.
        super::invalidation::invalidate_reference(&mut self.transaction).await?;
        self.transaction.commit().await
    }

    /// Runs a statement with the time as `$1` that returns one row of counts.
    async fn run<T>(&mut self, statement: &'static str) -> sqlx::Result<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let query: QueryAs<'_, Postgres, T, PgArguments> = sqlx::query_as(statement);
        query.bind(self.now).fetch_one(&mut *self.transaction).await
    }

    /// Runs a statement with the time as `$1`.
    async fn execute(&mut self, statement: &'static str) -> sqlx::Result<()> {
        sqlx::query(statement).bind(self.now).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Runs a statement with the time as `$1`, keys as `$2`, and the known value of each key as `$3`.
    async fn name<T>(&mut self, statement: &'static str, known: &[(&str, T)]) -> sqlx::Result<()>
    where
        T: Copy + Sync,
        Vec<T>: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres> + Send,
    {
        let (keys, values): (Vec<&str>, Vec<T>) = known.iter().copied().unzip();
        let query = sqlx::query(statement).bind(self.now).bind(keys).bind(values);
        query.execute(&mut *self.transaction).await?;
        Ok(())
    }
}

/// Analyzes the imported tables for the query planner.
///
/// # Errors
/// If the database is unavailable.
pub async fn analyze(pool: &PgPool) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query!("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    sqlx::query!(
        "ANALYZE public.movies, public.people, public.external_metrics, public.movie_lists, public.movie_credits,
             public.festival_organizations, public.festival_ceremonies, public.festival_categories,
             public.festival_nominations, public.genres, public.movie_genres"
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

impl Staging {
    fn copy_statement(self) -> &'static str {
        match self {
            Self::Movies => "COPY staged_movies FROM STDIN",
            Self::People => "COPY staged_people FROM STDIN",
            Self::Metrics => "COPY staged_metrics FROM STDIN",
            Self::Lists => "COPY staged_lists FROM STDIN",
            Self::Credits => "COPY staged_credits FROM STDIN",
            Self::Nominations => "COPY staged_nominations FROM STDIN",
            Self::Genres => "COPY staged_genres FROM STDIN",
            Self::ImdbFilms => "COPY staged_imdb_films FROM STDIN",
            Self::ImdbRatings => "COPY staged_imdb_ratings FROM STDIN",
            Self::ImdbPeople => "COPY staged_imdb_people FROM STDIN",
        }
    }

    fn analyze_statement(self) -> &'static str {
        match self {
            Self::Movies => "ANALYZE staged_movies",
            Self::People => "ANALYZE staged_people",
            Self::Metrics => "ANALYZE staged_metrics",
            Self::Lists => "ANALYZE staged_lists",
            Self::Credits => "ANALYZE staged_credits",
            Self::Nominations => "ANALYZE staged_nominations",
            Self::Genres => "ANALYZE staged_genres",
            Self::ImdbFilms => "ANALYZE staged_imdb_films",
            Self::ImdbRatings => "ANALYZE staged_imdb_ratings",
            Self::ImdbPeople => "ANALYZE staged_imdb_people",
        }
    }

    /// Statement that finds the first row that clashes with an earlier one. Repeated movies, people and ids of CSV
    /// files are detected while reading; nominations are merged, and genres of a movie combined.
    fn repeat_statement(self) -> Option<&'static str> {
        match self {
            Self::Movies => Some(include_str!("sql/import_repeated_imdb_id.sql")),
            Self::Metrics => Some(include_str!("sql/import_contradicting_metric.sql")),
            Self::Lists => Some(include_str!("sql/import_contradicting_list.sql")),
            Self::Credits => Some(include_str!("sql/import_repeated_credit_id.sql")),
            Self::ImdbFilms => Some(include_str!("sql/import_imdb_repeated_films.sql")),
            Self::ImdbRatings => Some(include_str!("sql/import_imdb_repeated_ratings.sql")),
            Self::ImdbPeople => Some(include_str!("sql/import_imdb_repeated_people.sql")),
            Self::People | Self::Nominations | Self::Genres => None,
        }
    }
}

/// Rows in COPY's text format: values separated by tabs, rows by line breaks, NULL as `\N`.
#[derive(Debug, Default)]
pub struct CopyText {
    text: Vec<u8>,
    row_start: usize,
}

impl CopyText {
    /// Starts a row with its line number in the file.
    pub fn begin_row(&mut self, line: u64) {
        self.row_start = self.text.len();
        self.text.extend_from_slice(line.to_string().as_bytes());
    }

    /// Appends NULL.
    pub fn null(&mut self) {
        self.text.extend_from_slice(b"\t\\N");
    }

    /// Appends a value.
    pub fn text(&mut self, value: &str) {
        self.text.push(b'\t');
        for byte in value.bytes() {
            match byte {
                b'\\' => self.text.extend_from_slice(b"\\\\"),
                b'\t' => self.text.extend_from_slice(b"\\t"),
                b'\n' => self.text.extend_from_slice(b"\\n"),
                b'\r' => self.text.extend_from_slice(b"\\r"),
                plain => self.text.push(plain),
            }
        }
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.text.push(b'\n');
    }

    /// Removes the row that was begun.
    pub fn discard_row(&mut self) {
        self.text.truncate(self.row_start);
    }

    /// All rows.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    fn clear(&mut self) {
        self.text.clear();
    }
}
