//! The root of all subscriptions.

use std::sync::Arc;

use async_graphql::futures_util::stream::{BoxStream, Stream, StreamExt, iter, unfold};
use async_graphql::{Context, Enum, SimpleObject};

use super::context::{RankingParams, context};
use super::error::ApiError;
use super::prediction::{Prediction, WeightsInput};
use super::query::instrument_field;
use crate::cache::DependencyScope;
use crate::scoring::Decade;
use crate::services::ServiceError;
use crate::services::live_updates::{self, Change, Update, UpdateParams, UpdateStream};
use crate::services::predictions::ScoredMovie;
use crate::telemetry::{Dropped, Metrics, SubscriptionGuard};

/// Movies of one stream at most.
const LIMIT_MAX: i32 = 2000;

/// Movies of one batch at most.
const BATCH_MAX: i32 = 100;

/// Movies that one subscription follows at most.
const TOP_MAX: i32 = 500;

/// Some of the predictions that a stream sends.
#[derive(SimpleObject)]
pub(super) struct PredictionBatch {
    /// The next movies, best first. Empty only where there are none at all.
    predictions: Vec<Prediction>,
    /// Movies sent so far, these included.
    received: usize,
    /// Movies that the stream sends in all.
    total: usize,
    /// Whether this is the last batch.
    complete: bool,
    /// Whether newer scores are on their way: this stream sends those that were at hand.
    stale: bool,
}

/// What became of a movie among the best.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "live_updates::UpdateKind")]
pub(super) enum UpdateKind {
    /// It is among the best now.
    Entered,
    /// It no longer is.
    Left,
    /// It has another rank.
    Moved,
    /// It has the same rank and other criteria.
    Rescored,
}

/// A change of one movie among the best. Those of one change of the data come together, first the movies that left, then
/// the others by rank.
#[derive(SimpleObject)]
pub(super) struct PredictionUpdate {
    /// What became of it.
    kind: UpdateKind,
    /// The movie as it is now. One that left keeps its rank if it is still a candidate.
    prediction: Prediction,
    /// Its rank before; null where it was not among the best.
    previous_rank: Option<usize>,
    /// Version of the decade's data since this change, as on pages of predictions.
    data_version: i64,
}

/// What can be followed, over a WebSocket.
pub struct Subscription;

/// What can be followed, over a WebSocket.
#[async_graphql::Subscription]
impl Subscription {
    /// The best movies of a decade that are not on the list, in batches, all from one state of the data. The first batch
    /// comes at once; then the stream completes by itself.
    #[graphql(complexity = "10 + usize::try_from(batch_size).unwrap_or(0).min(100) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn prediction_stream(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of a profile; excludes `weights`. Neither: the default profile")] profile: Option<
            String,
        >,
        #[graphql(desc = "Weights of your own; excludes `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990", default = 2020)] decade: i32,
        #[graphql(desc = "Movies at most, 1 to 2,000", default = 500)] limit: i32,
        #[graphql(desc = "Movies of a batch, 1 to 100", default = 25)] batch_size: i32,
    ) -> Result<BoxStream<'static, PredictionBatch>, ApiError> {
        let context = context(ctx);
        instrument_field("Subscription", ctx, async {
            let (limit, size) = (bounded("limit", limit, LIMIT_MAX)?, bounded("batchSize", batch_size, BATCH_MAX)?);
            let decade = Decade::starting(decade).map_err(ServiceError::from)?;
            let params = Arc::new(context.ranking_params(profile, weights, list).await?);
            let predictions = &context.services().predictions;
            let top = predictions.top(&params.list, decade, params.selection.weights, limit, &[]).await?;
            let stale = DependencyScope::current().is_some_and(|reading| reading.snapshot().stale > 0);
            Ok(batches(top.films, size, params, stale, open(ctx)))
        })
        .await
    }

    /// What changes among the best movies of a decade that are not on the list, within a second of each change. Goes on
    /// until it is completed by the client.
    #[graphql(complexity = "10 + child_complexity")]
    async fn prediction_updates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of a profile; without one, whichever is the default")] profile: Option<String>,
        #[graphql(desc = "Key of the target list", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990", default = 2020)] decade: i32,
        #[graphql(desc = "How many movies from the best on, 1 to 500", default = 100)] top: i32,
    ) -> Result<BoxStream<'static, Result<PredictionUpdate, ApiError>>, ApiError> {
        let context = context(ctx);
        instrument_field("Subscription", ctx, async {
            let top = bounded("top", top, TOP_MAX)?;
            let decade = Decade::starting(decade).map_err(ServiceError::from)?;
            let list = context.list(list).await?;
            let params = UpdateParams { profile, list: list.clone(), decade, top };
            let follower = UpdateStream::start(Arc::clone(context.services()), params).await?;
            Ok(updates(follower, list, open(ctx), ctx.data_unchecked::<Metrics>().clone()))
        })
        .await
    }
}

/// A number of movies, checked.
fn bounded(field: &str, given: i32, max: i32) -> Result<usize, ApiError> {
    match usize::try_from(given) {
        Ok(count) if (1..=max).contains(&given) => Ok(count),
        _ => Err(ApiError::bad_input(field, format!("is {given}, expected 1 to {max}"))),
    }
}

fn open(ctx: &Context<'_>) -> SubscriptionGuard {
    let metrics = ctx.data_unchecked::<Metrics>();
    metrics.subscription(metrics.field_name(ctx.field().name()))
}

fn batches(
    films: Vec<ScoredMovie>,
    size: usize,
    params: Arc<RankingParams>,
    stale: bool,
    open: SubscriptionGuard,
) -> BoxStream<'static, PredictionBatch> {
    let total = films.len();
    let starts: Vec<usize> = (0..total.max(1)).step_by(size).collect();
    let batch = move |start: usize| {
        let end = (start + size).min(total);
        let prediction = |film: &ScoredMovie| Prediction::ranked(film.clone(), Arc::clone(&params));
        let predictions = films[start..end].iter().map(prediction).collect();
        PredictionBatch { predictions, received: end, total, complete: end == total, stale }
    };
    holding(open, iter(starts).map(batch))
}

/// A stream that counts as open until it is dropped.
fn holding<T: Send + 'static>(
    open: SubscriptionGuard,
    stream: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    let held = move |item| {
        let _open = &open;
        item
    };
    stream.map(held).boxed()
}

fn updates(
    follower: UpdateStream,
    list: String,
    open: SubscriptionGuard,
    metrics: Metrics,
) -> BoxStream<'static, Result<PredictionUpdate, ApiError>> {
    let next = move |follower: Option<UpdateStream>| {
        let (list, metrics) = (list.clone(), metrics.clone());
        async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(change) => Some((told(change, list), Some(follower))),
                Err(error) => {
                    metrics.subscriptions_dropped(Dropped::Error, 1);
                    Some((vec![Err(error.into())], None))
                }
            }
        }
    };
    holding(open, unfold(Some(follower), next).flat_map(iter))
}

fn told(change: Change, list: String) -> Vec<Result<PredictionUpdate, ApiError>> {
    let Change { updates, selection, data_version } = change;
    let params = Arc::new(RankingParams { selection, custom: false, list });
    let told = |Update { kind, film, previous_rank }| {
        let prediction = Prediction::ranked(film, Arc::clone(&params));
        Ok(PredictionUpdate { kind: kind.into(), prediction, previous_rank, data_version })
    };
    updates.into_iter().map(told).collect()
}
