//! Versions of learned rankings, and the feature codes that they rank movies by.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::connection::Connection;
use super::error::StoreError;
use super::lease::Lease;
use super::pool::Store;
use super::query_name::QueryName;
use super::statement::Statement;
use super::transaction::{BATCH_LIMIT, TABLE_LIMIT};
use crate::scoring::learned::{DecadeCodes, TrainingReport, Variant};
use crate::scoring::{Decade, MovieId};
use crate::telemetry::{Label as _, label};

label! {
    /// What became of a version of a learned ranking.
    ModelStatus {
        // It may be served; the newest such version is.
        Accepted = "accepted",
        // The list is not learnable from the data of that time.
        Refused = "refused",
        // An operator has rolled it back.
        Withdrawn = "withdrawn",
    }
}

/// A version of a learned ranking: one training.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    /// Id, which grows with each version.
    pub id: i64,
    /// Key of the target list.
    pub list: String,
    /// Whether other lists are inputs.
    pub variant: Variant,
    /// What became of it.
    pub status: ModelStatus,
    /// When the movies that it is trained on were read.
    pub trained_at: DateTime<Utc>,
    /// How well it did.
    pub report: TrainingReport,
}

/// A ranking's last training, and what is served.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSummary {
    /// The last training.
    pub latest: ModelVersion,
    /// [`ModelVersion::trained_at`] of the version that is served; `None` if none is.
    pub served: Option<DateTime<Utc>>,
    /// Number of refused trainings since the last one that was accepted, up to the number of reports that are kept.
    pub refusals: u64,
}

/// Codes of a decade's movies under one version.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCodes {
    /// The decade.
    pub decade: Decade,
    /// The movies, by ascending id.
    pub movies: Vec<MovieId>,
    /// Their codes, in the same order.
    pub codes: DecadeCodes,
}

/// Stored reports of each ranking that are no longer needed for serving or rolling back are removed, except the newest ten.
const REPORTS_KEPT: i64 = 10;

/// Advisory lock of the training by background work: instances train one after the other.
const TRAINING_LOCK: i64 = 0x6369_6e65_0004;

impl Store {
    /// Takes the lock of trainings by background work; `None` while another instance holds it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn model_training(&self) -> Result<Option<Lease>, StoreError> {
        let name = QueryName::TaskStatus;
        let Statement { connection, measurement } = self.statement(name).await?;
        let taken = Lease::take(name, connection, TRAINING_LOCK).await;
        Ok(measurement.finish_with(taken, |_| 0)?.ok())
    }

    /// Those of `lists` of which a ranking was never trained, or not since `since` and the last change of the list.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn untrained_lists(&self, lists: &[String], since: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let variants = Variant::ALL.map(|variant| name(variant).to_owned());
        let untrained = sqlx::query_file_scalar!("src/store/sql/untrained_lists.sql", lists, &variants, since)
            .fetch_all(statement.connection())
            .await;
        statement.rows(untrained)
    }

    /// Stores a training on movies that were read at `trained_at`. `model` is that of an accepted one, with the codes of
    /// all decades, which is then served.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; nothing is stored then.
    pub async fn add_model(
        &self,
        list: &str,
        variant: Variant,
        trained_at: DateTime<Utc>,
        report: &TrainingReport,
        model: Option<(&[u8], &[ModelCodes])>,
    ) -> Result<ModelVersion, StoreError> {
        let status = if model.is_some() { ModelStatus::Accepted } else { ModelStatus::Refused };
        let version =
            ModelVersion { id: 0, list: list.to_owned(), variant, status, trained_at, report: report.clone() };
        Ok(ModelVersion { id: self.insert_model(&version, model).await?, ..version })
    }

    /// Inserts a version, whose id the database chooses.
    async fn insert_model(
        &self,
        version: &ModelVersion,
        model: Option<(&[u8], &[ModelCodes])>,
    ) -> Result<i64, StoreError> {
        let ModelVersion { list, variant, status, trained_at, report, .. } = version;
        self.run_in_transaction(QueryName::TaskSnapshot, TABLE_LIMIT, async |connection| {
            let id = sqlx::query_scalar!(
                "INSERT INTO cinegraph.model_versions (list_key, variant, status, trained_at, report, model)
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
                list,
                name(*variant),
                status.as_str(),
                trained_at,
                Json(report) as _,
                model.map(|(bytes, _)| bytes)
            )
            .fetch_one(&mut *connection)
            .await?;
            if let Some((_, codes)) = model {
                insert_codes(connection, id, codes, *trained_at).await?;
            }
            // Also for a refused one: the reports are data that responses contain.
            raise(connection, list, model.is_some()).await?;
            sqlx::query_file!("src/store/sql/prune_models.sql", list, name(*variant), REPORTS_KEPT)
                .execute(&mut *connection)
                .await?;
            Ok(id)
        })
        .await
    }

    /// Replaces the codes of a version, unless it is no longer there. `read_at` is when the movies were read that they were
    /// computed from: later changes make them outdated.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; nothing is replaced then.
    pub async fn replace_model_codes(
        &self,
        version: &ModelVersion,
        codes: &[ModelCodes],
        read_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (id, list) = (version.id, version.list.as_str());
        self.run_in_transaction(QueryName::TaskSnapshot, TABLE_LIMIT, async |connection| {
            let found = sqlx::query_scalar!("SELECT id FROM cinegraph.model_versions WHERE id = $1 FOR UPDATE", id)
                .fetch_optional(&mut *connection)
                .await?;
            if found.is_some() {
                sqlx::query!("DELETE FROM cinegraph.model_codes WHERE version_id = $1", id)
                    .execute(&mut *connection)
                    .await?;
                insert_codes(connection, id, codes, read_at).await?;
                raise(connection, list, false).await?;
            }
            Ok(())
        })
        .await
    }

    /// Withdraws the version `served` of a ranking, so that the accepted one `before` it is served. Returns false, and
    /// changes nothing, if these are not the two newest accepted versions, as after another training.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; nothing changes then.
    pub async fn roll_model_back(&self, served: &ModelVersion, before: &ModelVersion) -> Result<bool, StoreError> {
        let (list, variant) = (served.list.as_str(), served.variant);
        self.run_in_transaction(QueryName::TaskSnapshot, BATCH_LIMIT, async |connection| {
            let accepted = sqlx::query_scalar!(
                "SELECT id FROM cinegraph.model_versions
                 WHERE list_key = $1 AND variant = $2 AND status = 'accepted' ORDER BY id DESC LIMIT 2 FOR UPDATE",
                list,
                name(variant)
            )
            .fetch_all(&mut *connection)
            .await?;
            if accepted != [served.id, before.id] {
                return Ok(false);
            }
            sqlx::query!("UPDATE cinegraph.model_versions SET status = 'withdrawn' WHERE id = $1", served.id)
                .execute(&mut *connection)
                .await?;
            raise(connection, list, true).await?;
            Ok(true)
        })
        .await
    }

    /// The versions of a list's rankings, or of all lists, the newest first. A report of another release, with other
    /// fields, is left out: its model cannot be served either.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn model_versions(&self, list: Option<&str>) -> Result<Vec<ModelVersion>, StoreError> {
        let mut statement = self.statement(QueryName::Profiles).await?;
        let rows = sqlx::query_as!(
            VersionRow,
            "SELECT id, list_key, variant, status, trained_at, report
             FROM cinegraph.model_versions WHERE list_key = $1 OR $1 IS NULL ORDER BY id DESC",
            list
        )
        .fetch_all(statement.connection())
        .await;
        Ok(statement.rows(rows)?.into_iter().filter_map(VersionRow::version).collect())
    }

    /// The last training of each ranking, and whether a version is served.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn model_summaries(&self) -> Result<Vec<ModelSummary>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let rows = sqlx::query_file!("src/store/sql/model_summaries.sql").fetch_all(statement.connection()).await;
        let summaries = statement.rows(rows)?.into_iter().filter_map(|row| {
            let latest = VersionRow {
                id: row.id,
                list_key: row.list_key,
                variant: row.variant,
                status: row.status,
                trained_at: row.trained_at,
                report: row.report,
            };
            Some(ModelSummary { latest: latest.version()?, served: row.served, refusals: row.refusals.unsigned_abs() })
        });
        Ok(summaries.collect())
    }

    /// The served versions whose codes are older than the last change of scores or lists, or which lack those of a decade.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn outdated_models(&self) -> Result<Vec<ModelVersion>, StoreError> {
        let mut statement = self.statement(QueryName::TaskSnapshot).await?;
        let rows = sqlx::query_file_as!(VersionRow, "src/store/sql/outdated_models.sql")
            .fetch_all(statement.connection())
            .await;
        Ok(statement.rows(rows)?.into_iter().filter_map(VersionRow::version).collect())
    }

    /// The stored model of a version; `None` if it has none.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn model(&self, version: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.statement(QueryName::Profiles).await?;
        let row = sqlx::query_scalar!("SELECT model FROM cinegraph.model_versions WHERE id = $1", version)
            .fetch_optional(statement.connection())
            .await;
        Ok(statement.row(row)?.flatten())
    }

    /// Removes the codes of a decade under a version, so that [`outdated_models`](Self::outdated_models) contains it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn discard_model_codes(&self, version: i64, decade: Decade) -> Result<(), StoreError> {
        let year = decade.year();
        self.run_in_transaction(QueryName::TaskSnapshot, BATCH_LIMIT, async |connection| {
            sqlx::query!("DELETE FROM cinegraph.model_codes WHERE version_id = $1 AND decade = $2", version, year)
                .execute(connection)
                .await
                .map(drop)
        })
        .await
    }

    /// The codes of a decade's movies under a version; `None` if there are none.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if they cannot be decoded; [`StoreError`] if the database is unavailable.
    pub async fn model_codes(&self, version: i64, decade: Decade) -> Result<Option<ModelCodes>, StoreError> {
        let mut statement = self.statement(QueryName::Profiles).await?;
        let row = sqlx::query!(
            "SELECT movie_ids, codes FROM cinegraph.model_codes WHERE version_id = $1 AND decade = $2",
            version,
            decade.year()
        )
        .fetch_optional(statement.connection())
        .await;
        let Some(row) = statement.row(row)? else { return Ok(None) };
        let (ids, rest) = row.movie_ids.as_chunks::<8>();
        let movies: Vec<_> = ids.iter().map(|id| MovieId(i64::from_be_bytes(*id))).collect();
        let codes = DecadeCodes::from_bytes(movies.len(), &row.codes).filter(|_| rest.is_empty() && movies.is_sorted());
        let codes = codes.ok_or(StoreError::Unreadable(QueryName::Profiles))?;
        Ok(Some(ModelCodes { decade, movies, codes }))
    }
}

struct VersionRow {
    id: i64,
    list_key: String,
    variant: String,
    status: String,
    trained_at: DateTime<Utc>,
    report: serde_json::Value,
}

impl VersionRow {
    /// The version; `None` if another release has written it.
    fn version(self) -> Option<ModelVersion> {
        Some(ModelVersion {
            id: self.id,
            list: self.list_key,
            variant: Variant::ALL.into_iter().find(|of| name(*of) == self.variant)?,
            status: ModelStatus::ALL.iter().copied().find(|status| status.as_str() == self.status)?,
            trained_at: self.trained_at,
            report: serde_json::from_value(self.report).ok()?,
        })
    }
}

async fn insert_codes(
    connection: &mut Connection,
    version: i64,
    codes: &[ModelCodes],
    read_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    for ModelCodes { decade, movies, codes } in codes {
        let ids: Vec<u8> = movies.iter().flat_map(|id| id.0.to_be_bytes()).collect();
        sqlx::query!(
            "INSERT INTO cinegraph.model_codes (version_id, decade, movie_ids, codes, computed_at)
             VALUES ($1, $2, $3, $4, $5)",
            version,
            decade.year(),
            ids,
            codes.to_bytes(),
            read_at
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Raises the version of a list's learned rankings. `hard` if another model is served from now on.
async fn raise(connection: &mut Connection, list: &str, hard: bool) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT cinegraph.raise_version('model', $1, 0, $2)", list, hard).execute(connection).await.map(drop)
}

/// The variant in the database.
fn name(variant: Variant) -> &'static str {
    match variant {
        Variant::WithLists => "with_lists",
        Variant::WithoutLists => "without_lists",
    }
}
