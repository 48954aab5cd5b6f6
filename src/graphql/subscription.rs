//! The subscription root.

use std::sync::Arc;

use async_graphql::futures_util::stream::{BoxStream, Stream, StreamExt, iter, unfold};
use async_graphql::{Context, Enum, SimpleObject};

use super::context::{RankingParams, context};
use super::error::ApiError;
use super::metrics::{Dropped, GraphqlMetrics, SubscriptionGuard};
use super::prediction::{Prediction, WeightsInput};
use super::query::instrument_field;
use crate::cache::DependencyScope;
use crate::scoring::Decade;
use crate::services::ServiceError;
use crate::services::live_updates::{self, Change, Update, UpdateParams, UpdateStream};
use crate::services::predictions::ScoredMovie;

/// Maximum number of movies of a prediction stream.
const LIMIT_MAX: i32 = 2000;

/// Maximum number of movies of a batch.
const BATCH_MAX: i32 = 100;

/// Maximum size of the top that a subscription follows.
const TOP_MAX: i32 = 500;

/// A batch of a prediction stream.
#[derive(SimpleObject)]
pub(super) struct PredictionBatch {
    /// The next predictions, best first. Empty only if the stream has none at all.
    predictions: Vec<Prediction>,
    /// Number of predictions sent so far, including this batch.
    received: usize,
    /// Total number of predictions in the stream.
    total: usize,
    /// Whether this is the last batch.
    complete: bool,
    /// True if newer scores are being computed; this stream uses the cached ones.
    stale: bool,
}

/// How a movie's position changed.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "live_updates::UpdateKind")]
pub(super) enum UpdateKind {
    /// The movie entered the top.
    Entered,
    /// The movie left the top.
    Left,
    /// The movie's rank changed.
    Moved,
    /// The movie's score or criteria changed, but not its rank.
    Rescored,
}

/// A change of one movie in the top. The updates of one data change are sent together: first the movies that left, then
/// the others by rank.
#[derive(SimpleObject)]
pub(super) struct PredictionUpdate {
    /// How the movie's position changed.
    kind: UpdateKind,
    /// Current prediction of the movie. A movie that left the top still has a rank if it remains a candidate.
    prediction: Prediction,
    /// Previous rank. Null if the movie was not in the top.
    previous_rank: Option<usize>,
    /// Version of the decade's data after this change, comparable with `dataVersion` of `predictions`.
    data_version: i64,
}

/// Live results over WebSocket.
pub struct Subscription;

/// Live results over WebSocket.
#[async_graphql::Subscription]
impl Subscription {
    /// The best candidates of a decade, in batches from one consistent state of the data. Starts immediately, completes
    /// after the last batch.
    #[graphql(complexity = "10 + usize::try_from(batch_size).unwrap_or(0).min(100) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn prediction_stream(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990", default = 2020)] decade: i32,
        #[graphql(desc = "Maximum number of movies, 1 to 2,000", default = 500)] limit: i32,
        #[graphql(desc = "Movies per batch, 1 to 100", default = 25)] batch_size: i32,
    ) -> Result<BoxStream<'static, PredictionBatch>, ApiError> {
        let context = context(ctx);
        instrument_field("Subscription", ctx, async {
            let (limit, size) = (bounded("limit", limit, LIMIT_MAX)?, bounded("batchSize", batch_size, BATCH_MAX)?);
            let decade = Decade::starting(decade).map_err(ServiceError::from)?;
            let params = Arc::new(context.ranking_params(profile, weights, list).await?);
            let predictions = &context.services().predictions;
            let top = predictions.top(&params.list, decade, params.selection.weights, limit, &[]).await?;
            let stale = DependencyScope::current().is_some_and(|scope| scope.snapshot().stale > 0);
            Ok(batches(top.movies, size, params, stale, subscription_guard(ctx)))
        })
        .await
    }

    /// Changes in the top candidates of a decade, sent within a second of each data change. Runs until the client
    /// completes it.
    #[graphql(complexity = "10 + child_complexity")]
    async fn prediction_updates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name. Null follows the default profile as it changes")] profile: Option<String>,
        #[graphql(desc = "Key of the target list, see `lists`", default = "1001_movies")] list: String,
        #[graphql(desc = "First year of the decade, such as 1990", default = 2020)] decade: i32,
        #[graphql(desc = "Size of the top to follow, 1 to 500", default = 100)] top: i32,
    ) -> Result<BoxStream<'static, Result<PredictionUpdate, ApiError>>, ApiError> {
        let context = context(ctx);
        instrument_field("Subscription", ctx, async {
            let top = bounded("top", top, TOP_MAX)?;
            let decade = Decade::starting(decade).map_err(ServiceError::from)?;
            let list = context.list(list).await?;
            let params = UpdateParams { profile, list: list.clone(), decade, top };
            let stream = UpdateStream::start(Arc::clone(context.services()), params).await?;
            Ok(updates(stream, list, subscription_guard(ctx), ctx.data_unchecked::<GraphqlMetrics>().clone()))
        })
        .await
    }
}

/// The validated number of movies.
///
/// # Errors
/// `BAD_USER_INPUT` if it is not 1 to `max`.
fn bounded(field: &str, given: i32, max: i32) -> Result<usize, ApiError> {
    match usize::try_from(given) {
        Ok(count) if (1..=max).contains(&given) => Ok(count),
        _ => Err(ApiError::bad_input(field, format!("is {given}, expected 1 to {max}"))),
    }
}

/// Counts the subscription as open until the guard is dropped.
fn subscription_guard(ctx: &Context<'_>) -> SubscriptionGuard {
    let metrics = ctx.data_unchecked::<GraphqlMetrics>();
    metrics.subscription(metrics.field_name(ctx.field().name()))
}

fn batches(
    movies: Vec<ScoredMovie>,
    size: usize,
    params: Arc<RankingParams>,
    stale: bool,
    guard: SubscriptionGuard,
) -> BoxStream<'static, PredictionBatch> {
    let total = movies.len();
    let starts: Vec<usize> = (0..total.max(1)).step_by(size).collect();
    let batch = move |start: usize| {
        let end = (start + size).min(total);
        let prediction = |scored: &ScoredMovie| Prediction::ranked(scored.clone(), Arc::clone(&params));
        let predictions = movies[start..end].iter().map(prediction).collect();
        PredictionBatch { predictions, received: end, total, complete: end == total, stale }
    };
    with_guard(guard, iter(starts).map(batch))
}

/// Ties the guard to the stream, so that the subscription counts as open until the stream is dropped.
fn with_guard<T: Send + 'static>(
    guard: SubscriptionGuard,
    stream: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    let held = move |item| {
        let _guard = &guard;
        item
    };
    stream.map(held).boxed()
}

fn updates(
    stream: UpdateStream,
    list: String,
    guard: SubscriptionGuard,
    metrics: GraphqlMetrics,
) -> BoxStream<'static, Result<PredictionUpdate, ApiError>> {
    let next = move |stream: Option<UpdateStream>| {
        let (list, metrics) = (list.clone(), metrics.clone());
        async move {
            let mut stream = stream?;
            match stream.next().await {
                Ok(change) => Some((prediction_updates(change, list), Some(stream))),
                Err(error) => {
                    metrics.subscriptions_dropped(Dropped::Error, 1);
                    Some((vec![Err(error.into())], None))
                }
            }
        }
    };
    with_guard(guard, unfold(Some(stream), next).flat_map(iter))
}

/// Converts a change of the top to schema types, in order.
fn prediction_updates(change: Change, list: String) -> Vec<Result<PredictionUpdate, ApiError>> {
    let Change { updates, selection, data_version } = change;
    let params = Arc::new(RankingParams { selection, custom: false, list });
    let convert = |Update { kind, movie, previous_rank }| {
        let prediction = Prediction::ranked(movie, Arc::clone(&params));
        Ok(PredictionUpdate { kind: kind.into(), prediction, previous_rank, data_version })
    };
    updates.into_iter().map(convert).collect()
}
