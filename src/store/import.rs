//! Merges movies from files: staging tables, filled by COPY, and the statements that merge them.
//!
//! The staging tables of an import are merged in one transaction, in the order of [`Staging`]'s variants. They exist
//! only during this transaction, so `sqlx` cannot check the statements that read them at compile time: these are plain
//! queries, covered by tests.

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;

use super::catalogue::{self, CatalogueState};
use super::connection::Connection;
use super::copy_text::CopyText;
use super::error::StoreError;
use super::import_staging::Staging;
use super::invalidation::invalidate_reference;
use super::pool::Store;
use super::query_name::QueryName;
use super::transaction::{OpenTransaction, SETUP_LIMIT};

/// Full names of the lists and organizations, and TMDb's ids of the genres, that files usually name. Another list or
/// organization gets a name derived from its key, and another genre a negative `tmdb_id`.
#[derive(Debug, Clone, Copy)]
pub struct KnownNames {
    /// Key and name.
    pub lists: &'static [(&'static str, &'static str)],
    /// Abbreviation and name.
    pub organizations: &'static [(&'static str, &'static str)],
    /// Name and TMDb's id.
    pub genres: &'static [(&'static str, i32)],
}

/// A row that repeats or contradicts an earlier one.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RepeatedRow {
    /// Line of the row.
    #[sqlx(try_from = "i64")]
    pub line: u64,
    /// Line of the earlier row.
    #[sqlx(try_from = "i64")]
    pub earlier: u64,
    /// What is repeated or contradicted.
    pub value: String,
}

/// Counts of a merge, over the distinct rows of a staging table.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct MergeCounts {
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

/// Names that the database has, in the order in which they were added.
#[derive(Debug, Default)]
pub struct StoredNames {
    /// Names of genres.
    pub genres: Vec<String>,
    /// Names and abbreviations of award organizations.
    pub organizations: Vec<String>,
    /// Keys of lists.
    pub lists: Vec<String>,
    /// Names of organizations, each with a category of theirs.
    pub categories: Vec<(String, String)>,
}

/// Counts of those nominations of the imported movies that name a nominee.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct NomineeLinks {
    /// Nominations linked to exactly one credited person.
    #[sqlx(try_from = "i64")]
    pub linked: u64,
    /// Nominations whose nominee has the name of no credited person, or of several.
    #[sqlx(try_from = "i64")]
    pub unlinked: u64,
    /// Nominations whose link changed.
    #[sqlx(try_from = "i64")]
    pub changed: u64,
}

/// An import in progress. Dropped before [`Import::commit`], it is rolled back.
#[derive(Debug)]
pub struct Import {
    pub(super) transaction: OpenTransaction,
    /// Current time, as the host tables store it: UTC without time zone.
    pub(super) now: NaiveDateTime,
}

impl Store {
    /// Starts an import with empty staging tables. Waits while another import or the generator writes the catalogue.
    ///
    /// # Errors
    /// [`StoreError`] if the database is not migrated or unavailable.
    pub async fn import(&self, now: DateTime<Utc>) -> Result<(Import, CatalogueState), StoreError> {
        let (mut transaction, state) = self.change_catalogue().await?;
        let created = sqlx::raw_sql(include_str!("sql/import_staging.sql")).execute(transaction.connection()).await;
        transaction.checked(created)?;
        Ok((Import { transaction, now: now.naive_utc() }, state))
    }

    /// Updates the planner's statistics of the imported tables, which autovacuum would do later.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn analyze_imported(&self) -> Result<(), StoreError> {
        self.run_in_transaction(QueryName::TaskSetup, SETUP_LIMIT, async |connection| {
            sqlx::query!(
                "ANALYZE public.movies, public.people, public.external_metrics, public.movie_lists, public.movie_credits,
             public.festival_organizations, public.festival_ceremonies, public.festival_categories,
             public.festival_nominations, public.genres, public.movie_genres"
            )
            .execute(connection)
            .await
            .map(|_| ())
        })
        .await
    }
}

impl Import {
    /// Empties the movie tables, which this import then fills again.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn empty_catalogue(&mut self) -> Result<(), StoreError> {
        let emptied = catalogue::empty(self.transaction.connection()).await;
        self.transaction.checked(emptied)
    }

    /// Copies rows into a staging table. `next` is called until it returns false: each call appends rows to an empty
    /// buffer and returns whether more rows follow.
    ///
    /// # Errors
    /// Errors of `next`, and database errors.
    pub async fn copy<E: From<StoreError>>(
        &mut self,
        staging: Staging,
        next: impl FnMut(&mut CopyText) -> Result<bool, E>,
    ) -> Result<(), E> {
        let copied = copy(self.transaction.connection(), staging, next).await;
        self.transaction.checked(copied)?
    }

    /// The first staged row that repeats or contradicts an earlier one. `None` if there is none, or if the table
    /// needs no such check.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn first_repeat(&mut self, staging: Staging) -> Result<Option<RepeatedRow>, StoreError> {
        let Some(statement) = staging.repeat_statement() else { return Ok(None) };
        let repeat = sqlx::query_as(statement).fetch_optional(self.transaction.connection()).await;
        self.transaction.checked(repeat)
    }

    /// Merges a staging table into the movie tables. The movies and people that its rows refer to must be merged before
    /// it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable, or rejects a row.
    pub async fn merge(&mut self, staging: Staging, names: &KnownNames) -> Result<MergeCounts, StoreError> {
        match staging {
            Staging::Movies => self.merge_movies(&[]).await,
            Staging::People => self.run(include_str!("sql/import_people.sql")).await,
            Staging::Metrics => self.run(include_str!("sql/import_metrics.sql")).await,
            Staging::Lists => {
                self.execute_with_known(include_str!("sql/import_list_names.sql"), names.lists).await?;
                self.run(include_str!("sql/import_lists.sql")).await
            }
            Staging::Credits => {
                // First removes credits of IMDb's dumps for movies that now get credits of another source: the same
                // people would count twice.
                self.execute(include_str!("sql/import_replaced_credits.sql")).await?;
                self.run(include_str!("sql/import_credits.sql")).await
            }
            Staging::Nominations => {
                self.execute_with_known(include_str!("sql/import_organizations.sql"), names.organizations).await?;
                self.execute(include_str!("sql/import_ceremonies.sql")).await?;
                self.execute(include_str!("sql/import_categories.sql")).await?;
                self.run(include_str!("sql/import_nominations.sql")).await
            }
            Staging::Genres => {
                self.execute_with_known(include_str!("sql/import_genre_names.sql"), names.genres).await?;
                self.run(include_str!("sql/import_genres.sql")).await
            }
            // Needs no mapping: movies that another source has already mapped (`known_movies`) are not staged.
            Staging::ImdbMovies => {
                self.execute(include_str!("sql/import_imdb_films.sql")).await?;
                self.add_movies(&[]).await
            }
            Staging::ImdbRatings => self.run(include_str!("sql/import_imdb_ratings.sql")).await,
            Staging::ImdbPeople => self.run(include_str!("sql/import_imdb_people.sql")).await,
            Staging::Links | Staging::TmdbIds => unreachable!("merged by link_movies and merge_tmdb_ids"),
        }
    }

    /// Merges the staged movies. `columns`: the optional columns that they have; the others keep their values.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable, or rejects a row.
    pub async fn merge_movies(&mut self, columns: &[&str]) -> Result<MergeCounts, StoreError> {
        // Before the merge, which otherwise would insert these movies again under their new ids.
        let mapped = sqlx::query(include_str!("sql/import_mapped_movies.sql")).bind(self.now).bind(columns);
        let mapped = mapped.execute(self.transaction.connection()).await;
        let mapped = self.transaction.checked(mapped)?.rows_affected();
        let counts = self.add_movies(columns).await?;
        // If the database had the movie under both ids, one of its two rows is removed.
        self.execute(include_str!("sql/import_doubled_movies.sql")).await?;
        let current = "DELETE FROM cinegraph.former_tmdb_ids AS f USING staged_movies AS s WHERE f.tmdb_id = s.tmdb_id";
        self.execute(current).await?;
        Ok(MergeCounts { updated: counts.updated + mapped, ..counts })
    }

    async fn add_movies(&mut self, columns: &[&str]) -> Result<MergeCounts, StoreError> {
        let merge = sqlx::query_as(include_str!("sql/import_movies.sql")).bind(self.now).bind(columns);
        let counts = merge.fetch_one(self.transaction.connection()).await;
        self.transaction.checked(counts)
    }

    /// The names of genres, organizations and lists in the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn stored_names(&mut self) -> Result<StoredNames, StoreError> {
        let genres = sqlx::query_scalar!("SELECT name FROM public.genres ORDER BY id")
            .fetch_all(self.transaction.connection())
            .await;
        let genres = self.transaction.checked(genres)?;
        let organizations = sqlx::query_scalar!(
            r#"SELECT given AS "given!" FROM public.festival_organizations, unnest(ARRAY[abbreviation, name]) AS given
               WHERE given IS NOT NULL ORDER BY id"#
        )
        .fetch_all(self.transaction.connection())
        .await;
        let organizations = self.transaction.checked(organizations)?;
        let lists = sqlx::query_scalar!("SELECT source_key FROM public.movie_lists ORDER BY id")
            .fetch_all(self.transaction.connection())
            .await;
        let lists = self.transaction.checked(lists)?;
        let categories =
            sqlx::query_file!("src/store/sql/stored_categories.sql").fetch_all(self.transaction.connection()).await;
        let categories = self.transaction.checked(categories)?;
        let categories = categories.into_iter().map(|row| (row.organization, row.category)).collect();
        Ok(StoredNames { genres, organizations, lists, categories })
    }

    /// Links the nominations of the imported movies to credited people.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn link_nominees(&mut self) -> Result<NomineeLinks, StoreError> {
        self.run(include_str!("sql/import_nominee_links.sql")).await
    }

    /// Whether the database would hold no movie if the import ended now.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn leaves_no_movie(&mut self) -> Result<bool, StoreError> {
        let empty = sqlx::query_scalar!(r#"SELECT NOT EXISTS (SELECT FROM public.movies) AS "empty!""#)
            .fetch_one(self.transaction.connection())
            .await;
        self.transaction.checked(empty)
    }

    /// Commits the import.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let recorded = sqlx::query!(
            "UPDATE cinegraph.installation SET catalogue_origin = 'imported' WHERE catalogue_origin IS DISTINCT FROM 'imported'"
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(recorded)?;
        // Makes a running service show the new lists, genres and data origin.
        let invalidated = invalidate_reference(self.transaction.connection()).await;
        self.transaction.checked(invalidated)?;
        self.transaction.commit().await
    }

    /// Runs a statement with the time as `$1` that returns one row of counts.
    pub(super) async fn run<T>(&mut self, statement: &'static str) -> Result<T, StoreError>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let query: QueryAs<'_, Postgres, T, PgArguments> = sqlx::query_as(statement);
        let counts = query.bind(self.now).fetch_one(self.transaction.connection()).await;
        self.transaction.checked(counts)
    }

    /// Runs a statement with the time as `$1`.
    pub(super) async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let executed = sqlx::query(statement).bind(self.now).execute(self.transaction.connection()).await;
        self.transaction.checked(executed).map(|_| ())
    }

    /// Runs a statement that adds the lists, organizations or genres of staged rows: with the time as `$1`, the known
    /// keys as `$2`, and the name or id of each of these keys as `$3`.
    async fn execute_with_known<T>(&mut self, statement: &'static str, known: &[(&str, T)]) -> Result<(), StoreError>
    where
        T: Copy + Sync,
        Vec<T>: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres> + Send,
    {
        let (keys, values): (Vec<&str>, Vec<T>) = known.iter().copied().unzip();
        let query = sqlx::query(statement).bind(self.now).bind(keys).bind(values);
        let named = query.execute(self.transaction.connection()).await;
        self.transaction.checked(named).map(|_| ())
    }
}

/// Copies the rows of `next`. The outer error is one of the database. The inner one is one of `next`, after which the
/// transaction can only be rolled back.
async fn copy<E>(
    connection: &mut Connection,
    staging: Staging,
    mut next: impl FnMut(&mut CopyText) -> Result<bool, E>,
) -> Result<Result<(), E>, sqlx::Error> {
    let mut copy = connection.copy_in(staging.copy_statement()).await?;
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
                return Ok(Err(error));
            }
        }
    }
    copy.finish().await?;
    // Autovacuum does not analyze temporary tables, and the planner would assume that they are small.
    sqlx::query(staging.analyze_statement()).execute(connection).await?;
    Ok(Ok(()))
}
