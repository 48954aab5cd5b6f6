//! Score columns: a decade read in one statement, from the score table or, when that cannot serve, from the formula.

use std::pin::pin;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::{Stream, TryStreamExt};

use super::{Store, StoreError, in_own_task};
use crate::scoring::{
    Decade, DecadeColumns, DecadeColumnsBuilder, FORMULA_VERSION, FilmRow, Inputs, MovieId, ScoreVector,
};

/// Where scores came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ColumnsSource {
    /// The stored scores.
    ScoreTable,
    /// The formula, computed from the base tables.
    DirectQuery,
}

/// A decade in memory, and where it came from.
#[derive(Debug)]
pub struct LoadedColumns {
    /// Its films.
    pub columns: DecadeColumns,
    /// Where from.
    pub source: ColumnsSource,
}

/// The score of one movie of any status, computed from the base tables.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveScore {
    /// The five criteria.
    pub vector: ScoreVector,
    /// How many of the four rating inputs are above 0.
    pub coverage: u8,
    /// Lists that it is on.
    pub list_keys: Vec<String>,
    /// Whether it is full.
    pub full: bool,
    /// Its release day.
    pub release_date: Option<NaiveDate>,
    /// When this was computed: now.
    pub computed_at: DateTime<Utc>,
}

struct ColumnRow {
    movie_id: i64,
    release_date: NaiveDate,
    list_keys: Vec<String>,
    popular_opinion_score: f64,
    critical_acclaim_score: f64,
    industry_recognition_score: f64,
    cultural_impact_score: f64,
    people_quality_score: f64,
    coverage: i16,
    formula_version: i32,
    computed_at: DateTime<Utc>,
    title: String,
    language: String,
    genres: Vec<i64>,
    countries: Vec<i64>,
}

impl ColumnRow {
    fn into_film(self) -> Result<FilmRow, StoreError> {
        if self.formula_version != FORMULA_VERSION {
            return Err(StoreError::ScoreTable("it holds scores of another formula"));
        }
        Ok(FilmRow {
            id: MovieId(self.movie_id),
            vector: ScoreVector([
                self.popular_opinion_score,
                self.critical_acclaim_score,
                self.industry_recognition_score,
                self.cultural_impact_score,
                self.people_quality_score,
            ]),
            release_day: self.release_date,
            coverage: coverage(self.coverage, self.movie_id)?,
            computed_at: self.computed_at,
            list_keys: self.list_keys,
            title: self.title,
            language: self.language,
            genres: codes("movie_genres", "genre_id", self.movie_id, self.genres)?,
            countries: codes("movie_production_countries", "production_country_id", self.movie_id, self.countries)?,
        })
    }
}

fn coverage(value: i16, id: i64) -> Result<u8, StoreError> {
    let row =
        |_| StoreError::Row { table: "movie_discovery_scores", column: "coverage", id, problem: value.to_string() };
    u8::try_from(value).map_err(row)
}

fn codes(table: &'static str, column: &'static str, id: i64, ids: Vec<i64>) -> Result<Vec<u32>, StoreError> {
    let code = |value: i64| {
        u32::try_from(value).map_err(|_| StoreError::Row { table, column, id, problem: value.to_string() })
    };
    ids.into_iter().map(code).collect()
}

/// What the score table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreTable {
    /// Films.
    pub films: usize,
    /// When the newest of them was computed.
    pub newest: Option<DateTime<Utc>>,
}

impl Store {
    /// What the score table holds. Reads all of it.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn score_table(&self) -> Result<ScoreTable, StoreError> {
        let mut statement = self.statement("score_table").await?;
        let row = sqlx::query!(
            r#"SELECT count(*) AS "films!", max(computed_at) AS newest FROM cinegraph.movie_discovery_scores"#
        )
        .fetch_one(statement.connection())
        .await;
        let row = statement.done(row)?;
        Ok(ScoreTable { films: usize::try_from(row.films).unwrap_or_default(), newest: row.newest })
    }

    /// The full films of a decade from the score table.
    ///
    /// # Errors
    /// [`StoreError::ScoreTable`] when it holds none, or scores of another formula.
    pub async fn columns_from_table(&self, decade: Decade) -> Result<LoadedColumns, StoreError> {
        let mut statement = self.statement("columns_from_table").await?;
        let (statement, columns) = in_own_task(async move {
            let rows = sqlx::query_file_as!(
                ColumnRow,
                "src/store/sql/columns_from_table.sql",
                decade.first_day(),
                decade.end()
            )
            .fetch(statement.connection());
            let columns = columns(rows).await;
            (statement, columns)
        })
        .await;
        let columns = statement.end(columns, films)??;
        if columns.scores.is_empty() {
            return Err(StoreError::ScoreTable("it holds no film of it"));
        }
        Ok(LoadedColumns { columns, source: ColumnsSource::ScoreTable })
    }

    /// The full films of a decade, their scores computed from the base tables. Slow at a million films, so it may take
    /// longer than other statements.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer in time.
    pub async fn columns_from_view(&self, decade: Decade) -> Result<LoadedColumns, StoreError> {
        let mut statement = self.statement("columns_from_view").await?;
        let limit = self.limits.direct_query.as_millis().to_string();
        let columns = async {
            let mut transaction = sqlx::Connection::begin(statement.connection()).await?;
            sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, true)", limit)
                .fetch_one(&mut *transaction)
                .await?;
            let rows = sqlx::query_file_as!(
                ColumnRow,
                "src/store/sql/columns_from_view.sql",
                decade.first_day(),
                decade.end(),
                FORMULA_VERSION
            )
            .fetch(&mut *transaction);
            let columns = columns(rows).await?;
            transaction.commit().await?;
            Ok(columns)
        }
        .await;
        let columns = statement.end(columns, films)??;
        Ok(LoadedColumns { columns, source: ColumnsSource::DirectQuery })
    }

    /// What the criteria of a decade's full films are made of, ordered by id. `people` holds their mean, where there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn inputs_of(&self, decade: Decade) -> Result<Vec<(MovieId, Inputs)>, StoreError> {
        self.task("task_score_inputs", async |connection| {
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

    /// Scores of single movies, whatever their status or date, computed from the base tables.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn live_scores(&self, ids: &[MovieId]) -> Result<Vec<(MovieId, LiveScore)>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut statement = self.statement("live_scores").await?;
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

/// Takes films over one by one: all rows of a decade at once would need several times the memory of its columns. The
/// inner error is of a row that breaks our rules.
async fn columns(
    rows: impl Stream<Item = Result<ColumnRow, sqlx::Error>>,
) -> Result<Result<DecadeColumns, StoreError>, sqlx::Error> {
    let mut rows = pin!(rows);
    let mut columns = DecadeColumnsBuilder::default();
    while let Some(row) = rows.try_next().await? {
        match row.into_film() {
            Ok(film) => columns.push(film),
            Err(broken) => return Ok(Err(broken)),
        }
    }
    Ok(Ok(columns.finish()))
}

fn films(columns: &Result<DecadeColumns, StoreError>) -> usize {
    columns.as_ref().map_or(0, |columns| columns.scores.len())
}
