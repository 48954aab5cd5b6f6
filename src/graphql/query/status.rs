//! Status of the service and origin of its data.

use async_graphql::{Context, Enum, Object, SimpleObject};

use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::date::Timestamp;
use crate::graphql::types::weights::CriterionName;
use crate::services::status::{self, Status};
use crate::store;

/// Queries for the state of the service.
#[derive(Default)]
pub(super) struct StatusQueries;

#[Object]
impl StatusQueries {
    /// Origin of the movies. If it is `GENERATED`, tell your users that the movies do not exist.
    async fn data_origin(&self, ctx: &Context<'_>) -> Result<DataOrigin, ApiError> {
        let context = context(ctx);
        query_field(ctx, async { Ok(context.services().reference.data_origin().await?.into()) }).await
    }

    /// What queries mean that name no list and no decade.
    async fn defaults(&self, ctx: &Context<'_>) -> Result<Defaults, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let reference = context.reference().await?;
            Ok(Defaults { list: reference.default_list.clone(), decade: reference.default_decade.year() })
        })
        .await
    }

    /// Criteria that are left out of all weights for lack of data, as of the latest snapshot: nothing tells them, or, for
    /// cultural impact, only membership of a single list. Their weight in a breakdown is 0; the other criteria share it.
    #[graphql(complexity = "complexity::FILTER_VALUES")]
    async fn criteria_without_data(&self, ctx: &Context<'_>) -> Result<Vec<CriterionName>, ApiError> {
        let context = context(ctx);
        query_field(ctx, async { Ok(context.reference().await?.criteria.missing().map(Into::into).collect()) }).await
    }

    /// Service version and data freshness.
    async fn status(&self, ctx: &Context<'_>) -> Result<ServiceStatus, ApiError> {
        let context = context(ctx);
        query_field(ctx, async { Ok(context.services().status.now().await?.into()) }).await
    }
}

/// What queries mean that name no list and no decade.
#[derive(SimpleObject)]
pub(super) struct Defaults {
    /// Key of the first target list of the service's settings that has movies, otherwise of another target list.
    list: String,
    /// First year of the latest decade that has begun and has fully imported movies.
    decade: i32,
}

/// Origin of the movies in this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "store::DataOrigin")]
pub(super) enum DataOrigin {
    /// Generated for demonstration. These movies do not exist.
    Generated,
    /// Imported from files.
    Imported,
    /// Read from the tables of another application, the host, to whose database the service is attached.
    Host,
    /// Not known: this program has neither imported nor generated the movies.
    Unknown,
}

/// Service version and data freshness.
#[derive(SimpleObject)]
pub(super) struct ServiceStatus {
    /// Release version of the service.
    version: &'static str,
    /// Version of the scoring formula. Scores of different versions cannot be compared.
    formula_version: i32,
    /// Fully imported movies that have a stored score.
    scored_films: usize,
    /// When the newest stored score was computed. Null if there are none.
    scored_at: Option<Timestamp>,
    /// When the scores were copied to the snapshot that validations read. Null if there is none yet.
    snapshot_at: Option<Timestamp>,
    /// Keys of the lists that can be validated on the basis `BLIND`. Empty if there is no snapshot yet.
    target_lists: Vec<String>,
    /// The target lists as they are chosen now, ordered by key, and whether they can be validated already.
    targets: Vec<TargetList>,
    /// Criteria that are left out of all weights for lack of data, as `criteriaWithoutData` returns them.
    criteria_without_data: Vec<CriterionName>,
}

/// A target list.
#[derive(SimpleObject)]
pub(super) struct TargetList {
    /// Key of the list.
    key: String,
    /// Whether the setting `target_lists` of the service names the list. Other target lists were chosen by
    /// `setTargetList`.
    configured: bool,
    /// Whether the list can be validated on the basis `BLIND`.
    state: TargetState,
}

/// Whether a target list can be validated on the basis `BLIND`, which needs scores that do not know the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "status::TargetState")]
pub(super) enum TargetState {
    /// It can be validated.
    Ready,
    /// Its blind scores are being computed.
    Computing,
    /// Its blind scores wait for a background task.
    Waiting,
    /// The background task has failed repeatedly. It runs again within the hour.
    Failed,
}

impl From<Status> for ServiceStatus {
    fn from(status: Status) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            formula_version: crate::scoring::FORMULA_VERSION,
            scored_films: status.scored_movies,
            scored_at: status.scored_at.map(Timestamp),
            snapshot_at: status.snapshot_at.map(Timestamp),
            target_lists: status.target_lists,
            targets: status.targets.into_iter().map(TargetList::from).collect(),
            criteria_without_data: status.criteria_without_data.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<status::TargetList> for TargetList {
    fn from(target: status::TargetList) -> Self {
        Self { key: target.key, configured: target.configured, state: target.state.into() }
    }
}
