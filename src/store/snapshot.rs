//! The snapshot that validations read.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;

use super::connection::Connection;
use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use super::record_decoder::{DecodeError, RecordDecoder};
use super::replica_reads::ReplicaQuery;
use crate::scoring::{
    CriteriaWithData, Decade, MovieId, ScoreVector, SnapshotColumns, SnapshotColumnsBuilder, SnapshotRow,
};

/// Metadata of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// Version of the formula that the scores were computed with.
    pub formula_version: i32,
    /// Keys of the target lists that the snapshot has blind scores for, in alphabetical order.
    pub target_lists: Vec<String>,
    /// Which criteria have data.
    pub criteria: CriteriaWithData,
}

/// A source of metrics, as of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSource {
    /// Name, such as `imdb`.
    pub source: String,
    /// Movies with a metric of this source.
    pub movies: i64,
    /// When the newest metric was fetched.
    pub newest: DateTime<Utc>,
}

impl Store {
    /// The sources of metrics as of the snapshot, those of the most movies first.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn metric_sources(&self) -> Result<Vec<MetricSource>, StoreError> {
        let mut statement = self.statement(QueryName::Snapshot).await?;
        let rows = sqlx::query_as!(
            MetricSource,
            "SELECT source, movies, newest FROM cinegraph.metric_sources ORDER BY movies DESC, source"
        )
        .fetch_all(statement.connection())
        .await;
        statement.rows(rows)
    }

    /// Which criteria have data, as of the snapshot; all of them before the first one.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn criteria_with_data(&self) -> Result<CriteriaWithData, StoreError> {
        Ok(self.snapshot().await?.map_or(CriteriaWithData::ALL, |snapshot| snapshot.criteria))
    }

    /// Metadata of the snapshot; `None` before the first one.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let mut statement = self.statement(QueryName::Snapshot).await?;
        let row = sqlx::query!(
            r#"SELECT taken_at, formula_version, criteria_with_data,
                      ARRAY(SELECT list_key FROM cinegraph.target_lists ORDER BY list_key) AS "target_lists!"
               FROM cinegraph.snapshot"#
        )
        .fetch_optional(statement.connection())
        .await;
        let snapshot = statement.row(row)?.map(|row| Snapshot {
            taken_at: row.taken_at,
            formula_version: row.formula_version,
            target_lists: row.target_lists,
            criteria: criteria(row.criteria_with_data.as_deref()),
        });
        Ok(snapshot)
    }

    /// First years of the decades before `before` that have movies, ascending.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn decades_with_movies(&self, before: Decade) -> Result<Vec<i32>, StoreError> {
        let mut statement = self.statement(QueryName::DecadesWithMovies).await?;
        let rows = sqlx::query_file_scalar!("src/store/sql/decades_with_movies.sql", before.first_day())
            .fetch_all(statement.connection())
            .await;
        statement.rows(rows)
    }

    /// The columns of a decade's full movies in the snapshot: published scores, and the blind scores of the target list
    /// `snapshot_list`. They also name the unhittable movies of the list `list_key`: those on the list that are not
    /// full.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if a record cannot be decoded; [`StoreError`] if the database is unavailable.
    pub async fn snapshot_columns(
        &self,
        snapshot_list: &str,
        list_key: &str,
        decade: Decade,
    ) -> Result<SnapshotColumns, StoreError> {
        let (columns, decoded) = self.read(SnapshotMovies { list: snapshot_list, decade }).await?;
        decoded.map_err(|DecodeError| StoreError::Unreadable(QueryName::SnapshotColumns))?;
        // Read apart, since the snapshot has no such movies: they come from the movie tables as they are now.
        Ok(columns.finish(self.unhittable_movies(list_key, decade).await?))
    }

    /// The movies of a decade that are on a list but not full, so that no ranking contains them.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn unhittable_movies(&self, list: &str, decade: Decade) -> Result<Vec<MovieId>, StoreError> {
        let movies = self.read(UnhittableMovies { list, decade }).await?;
        Ok(movies.into_iter().map(MovieId).collect())
    }
}

/// Which criteria have data; all of them if only an earlier release has taken snapshots, which does not say.
pub(super) fn criteria(has_data: Option<&[bool]>) -> CriteriaWithData {
    has_data.and_then(|has_data| has_data.try_into().ok()).map_or(CriteriaWithData::ALL, CriteriaWithData::new)
}

/// Query for the full movies of a decade in the snapshot, with the blind scores of the target list `list`.
struct SnapshotMovies<'a> {
    list: &'a str,
    decade: Decade,
}

impl ReplicaQuery for SnapshotMovies<'_> {
    /// The columns, and the number of movies in them. An unreadable record is not an error of [`ReplicaQuery::run`],
    /// because the primary would return the same record.
    type Output = (SnapshotColumnsBuilder, Result<usize, DecodeError>);

    const NAME: QueryName = QueryName::SnapshotColumns;

    fn decade(&self) -> Decade {
        self.decade
    }

    async fn run(&self, connection: &mut Connection) -> Result<Self::Output, sqlx::Error> {
        let (from, until) = (self.decade.first_day(), self.decade.end());
        let mut columns = SnapshotColumnsBuilder::default();
        let mut decoded = Ok(0);
        let mut days =
            sqlx::query_file!("src/store/sql/snapshot_columns.sql", self.list, from, until).fetch(connection);
        while let Some(day) = days.try_next().await? {
            // After an error the rest is still received: a connection in the middle of a response would be closed.
            decoded = decoded.and_then(|movies| Ok(movies + add_movies(&mut columns, &day.records, &day.votes)?));
        }
        Ok((columns, decoded))
    }

    fn rows((_, decoded): &Self::Output) -> usize {
        decoded.unwrap_or_default()
    }
}

/// Query for a decade's movies that are on a list but not full.
struct UnhittableMovies<'a> {
    list: &'a str,
    decade: Decade,
}

impl ReplicaQuery for UnhittableMovies<'_> {
    type Output = Vec<i64>;

    const NAME: QueryName = QueryName::UnhittableMovies;

    fn decade(&self) -> Decade {
        self.decade
    }

    async fn run(&self, connection: &mut Connection) -> Result<Self::Output, sqlx::Error> {
        let (from, until) = (self.decade.first_day(), self.decade.end());
        sqlx::query_file_scalar!("src/store/sql/unhittable_movies.sql", self.list, from, until)
            .fetch_all(connection)
            .await
    }

    fn rows(movies: &Self::Output) -> usize {
        movies.len()
    }
}

/// Adds the movies whose records are concatenated in `records`, and their numbers of votes in `votes`; returns how many
/// movies there are.
fn add_movies(columns: &mut SnapshotColumnsBuilder, records: &[u8], votes: &[u8]) -> Result<usize, DecodeError> {
    let (mut reader, mut votes) = (RecordDecoder::new(records), RecordDecoder::new(votes));
    let mut movies = 0;
    while !reader.is_at_end() {
        columns.push(SnapshotRow {
            id: MovieId(reader.i64()?),
            published: ScoreVector(reader.f64s()?),
            blind_cultural_impact: reader.f64()?,
            blind_people_quality: reader.f64()?,
            popularity: reader.f64()?,
            votes: votes.f64()?,
            list_keys: reader.texts()?,
        });
        movies += 1;
    }
    Ok(movies)
}
