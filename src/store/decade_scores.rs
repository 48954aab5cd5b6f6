//! The columns of a decade, which one statement reads: from the score table or, as a fallback, computed by the formula
//! from the movie tables (direct query). Also the inputs and scores of single movies.

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;

use super::connection::Connection;
use super::error::{ScoreTableFault, StoreError};
use super::pool::Store;
use super::query_name::QueryName;
use super::record_decoder::{DecodeError, RecordDecoder};
use super::replica_reads::ReplicaQuery;
use super::transaction::TABLE_LIMIT;
use crate::scoring::{
    Decade, DecadeColumns, DecadeColumnsBuilder, FORMULA_VERSION, Inputs, MovieId, MovieRow, ScoreVector,
};

/// Source of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ColumnsSource {
    /// The stored scores.
    ScoreTable,
    /// The formula, computed from the movie tables within the request.
    DirectQuery,
}

/// Columns of a decade and their source.
#[derive(Debug)]
pub struct LoadedColumns {
    /// The decade's movies.
    pub columns: DecadeColumns,
    /// Source of the scores.
    pub source: ColumnsSource,
}

/// The score of one movie, fully imported or not, computed from the movie tables.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveScore {
    /// The five criteria.
    pub vector: ScoreVector,
    /// How many of the four rating inputs are above 0.
    pub coverage: u8,
    /// Keys of the lists that contain the movie.
    pub list_keys: Vec<String>,
    /// Whether the movie is fully imported.
    pub full: bool,
    /// Release day.
    pub release_date: Option<NaiveDate>,
    /// When the score was computed: the time of the statement.
    pub computed_at: DateTime<Utc>,
}

/// Converts the coverage of movie `id` in the view `movie_scores_live`. Fails if it is negative or above 255.
fn coverage(value: i16, id: i64) -> Result<u8, StoreError> {
    u8::try_from(value).map_err(|_| StoreError::Row {
        table: "movie_scores_live",
        column: "coverage",
        id,
        problem: format!("{value} is no number of ratings"),
    })
}

/// Summary of the score table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreTable {
    /// Number of movies with stored scores.
    pub movies: usize,
    /// When the newest score was computed; `None` if the table is empty.
    pub newest: Option<DateTime<Utc>>,
}

impl Store {
    /// Summarises the score table. Reads all of it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn score_table(&self) -> Result<ScoreTable, StoreError> {
        let mut statement = self.statement(QueryName::ScoreTable).await?;
        let row = sqlx::query!(
            r#"SELECT count(*) AS "films!", max(computed_at) AS newest FROM cinegraph.movie_discovery_scores"#
        )
        .fetch_one(statement.connection())
        .await;
        let row = statement.finish(row)?;
        Ok(ScoreTable { movies: usize::try_from(row.films).unwrap_or_default(), newest: row.newest })
    }

    /// Columns of a decade's fully imported movies from the score table.
    ///
    /// # Errors
    /// [`StoreError::ScoreTable`] if the table has no movie of the decade, or has scores of another formula or
    /// unreadable records; [`StoreError`] if the database is unavailable.
    pub async fn columns_from_table(&self, decade: Decade) -> Result<LoadedColumns, StoreError> {
        let (columns, checked) = self.read(InTable(decade)).await?;
        if columns.scores.is_empty() {
            // If the read found another fault, that one is returned: it may be why there is no movie.
            checked.and(Err(ScoreTableFault::NoMovie))?;
        }
        checked?;
        Ok(LoadedColumns { columns, source: ColumnsSource::ScoreTable })
    }

    /// Columns of a decade's fully imported movies, with scores computed from the movie tables. This takes seconds if
    /// there are a million movies, so it has a time limit of its own.
    ///
    /// # Errors
    /// [`StoreError::TooManyDirectQueries`] if no permit becomes available, [`StoreError`] if the database is
    /// unavailable or the deadline passes.
    pub async fn columns_from_view(&self, decade: Decade) -> Result<LoadedColumns, StoreError> {
        let (mut statement, _permit) = self.direct_query(QueryName::ColumnsFromView).await?;
        let read = async {
            let mut movies =
                sqlx::query_file_scalar!("src/store/sql/columns_from_view.sql", decade.first_day(), decade.end())
                    .fetch(statement.connection());
            let mut columns = DecadeColumnsBuilder::default();
            let mut readable = Ok(());
            // After an unreadable record the other rows are read as well: the connection of a statement that is not
            // read to its end would have to be closed.
            while let Some(record) = movies.try_next().await? {
                readable = readable.and(add_movies(&mut columns, &record));
            }
            Ok((columns.finish(), readable))
        };
        let read = read.await;
        let (columns, readable) = statement.finish_with(read, |(columns, _)| columns.scores.len())?;
        readable.map_err(|DecodeError| StoreError::Unreadable(QueryName::ColumnsFromView))?;
        Ok(LoadedColumns { columns, source: ColumnsSource::DirectQuery })
    }

    /// Inputs of the criteria of a decade's full movies, sorted by id. [`Inputs::people`] is empty or has one value:
    /// the mean of the movie's people, which the statement computes.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn inputs_of(&self, decade: Decade) -> Result<Vec<(MovieId, Inputs)>, StoreError> {
        // A command reads them, so the time limit of tasks applies instead of that of requests.
        self.run_in_transaction(QueryName::TaskScoreInputs, TABLE_LIMIT, async |connection| {
            let rows = sqlx::query_file!("src/store/sql/score_inputs.sql", decade.first_day(), decade.end());
            Ok(rows
                .fetch_all(connection)
                .await?
                .into_iter()
                .map(|row| {
                    let count = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
                    let inputs = Inputs {
                        tmdb_rating: row.tmdb_rating,
                        imdb_rating: row.imdb_rating,
                        metascore: row.metascore,
                        tomatometer: row.tomatometer,
                        popularity: row.popularity,
                        nominations: count(row.nominations),
                        wins: count(row.wins),
                        lists: count(row.lists),
                        people: row.people_quality.into_iter().collect(),
                    };
                    (MovieId(row.movie_id), inputs)
                })
                .collect())
        })
        .await
    }

    /// Scores of single movies, fully imported or not, with or without a release date, computed from the movie tables.
    /// Omits unknown ids; in no particular order.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn live_scores(&self, ids: &[MovieId]) -> Result<Vec<(MovieId, LiveScore)>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut statement = self.statement(QueryName::LiveScores).await?;
        let rows = sqlx::query_file!("src/store/sql/live_scores.sql", &ids).fetch_all(statement.connection()).await;
        statement
            .rows(rows)?
            .into_iter()
            .map(|row| {
                let score = LiveScore {
                    vector: ScoreVector([
                        row.popular_opinion_score,
                        row.critical_acclaim_score,
                        row.industry_recognition_score,
                        row.cultural_impact_score,
                        row.people_quality_score,
                    ]),
                    coverage: coverage(row.coverage, row.movie_id)?,
                    list_keys: row.list_keys,
                    full: row.full,
                    release_date: row.release_date,
                    computed_at: row.computed_at,
                };
                Ok((MovieId(row.movie_id), score))
            })
            .collect()
    }
}

/// Query for the movies of a decade in the score table. Its output has an `Err` beside the columns if the table cannot
/// serve the decade.
struct InTable(Decade);

impl ReplicaQuery for InTable {
    type Output = (DecadeColumns, Result<(), ScoreTableFault>);

    const NAME: QueryName = QueryName::ColumnsFromTable;

    fn decade(&self) -> Decade {
        self.0
    }

    async fn run(&self, connection: &mut Connection) -> Result<Self::Output, sqlx::Error> {
        let (from, until) = (self.0.first_day(), self.0.end());
        let mut columns = DecadeColumnsBuilder::default();
        let mut checked = Ok(());
        // One row per release date, so that no value is large. All rows are read even after a fault, as in
        // `columns_from_view`.
        let mut days =
            sqlx::query_file!("src/store/sql/columns_from_table.sql", from, until, FORMULA_VERSION).fetch(connection);
        while let Some(day) = days.try_next().await? {
            if !day.current {
                checked = Err(ScoreTableFault::OtherFormula);
            } else if add_movies(&mut columns, &day.records).is_err() {
                checked = Err(ScoreTableFault::Unreadable);
            }
        }
        Ok((columns.finish(), checked))
    }

    fn rows((columns, _): &Self::Output) -> usize {
        columns.scores.len()
    }
}

/// Adds the movies whose records are concatenated in `records`. Decodes the values in the order in which the SQL
/// function `cinegraph.film_record` writes them.
fn add_movies(columns: &mut DecadeColumnsBuilder, records: &[u8]) -> Result<(), DecodeError> {
    let mut reader = RecordDecoder::new(records);
    while !reader.is_at_end() {
        let (id, release_day) = (MovieId(reader.i64()?), reader.day()?);
        let vector = ScoreVector(reader.f64s()?);
        let (coverage, computed_at) = (reader.i16()?, reader.time()?);
        let [title, language] = reader.texts()?.try_into().map_err(|_| DecodeError)?;
        columns.push(MovieRow {
            id,
            vector,
            release_day,
            coverage: u8::try_from(coverage).map_err(|_| DecodeError)?,
            computed_at,
            title,
            language,
            list_keys: reader.texts()?,
            genres: reader.codes()?,
            countries: reader.codes()?,
        });
    }
    Ok(())
}
