//! The subscription `predictionStream`: a long ranking in batches.

use std::sync::Arc;

use async_graphql::futures_util::stream::{BoxStream, Stream, StreamExt, iter};
use async_graphql::{Context, SimpleObject};

use super::open_subscription::count_open;
use crate::cache::DependencyScope;
use crate::graphql::complexity;
use crate::graphql::context::{RankingParams, context};
use crate::graphql::error::ApiError;
use crate::graphql::pagination::bounded;
use crate::graphql::root_fields::instrument_field;
use crate::graphql::types::movie_prediction::Prediction;
use crate::graphql::types::ranking_kind::RankingKind;
use crate::graphql::types::weights::WeightsInput;
use crate::services::predictions::ScoredMovie;

/// Maximum number of movies of a prediction stream. A choice, which bounds the memory of an open stream.
const LIMIT_MAX: i32 = 2000;

/// Maximum number of movies of a batch: the maximum page size.
const BATCH_MAX: i32 = 100;

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
    /// What ranked the movies: `FORMULA` also if no learned ranking of the list is served.
    ranking: RankingKind,
    /// Whether newer scores are being computed. This stream uses the cached ones.
    stale: bool,
}

/// The subscription for a long ranking.
#[derive(Default)]
pub(super) struct PredictionStreamSubscription;

#[async_graphql::Subscription]
impl PredictionStreamSubscription {
    /// The best candidates of a decade in batches, all from one state of the data. The first batch is sent at once; the
    /// subscription completes after the last one.
    #[graphql(complexity = "complexity::RANKING + complexity::items(batch_size) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field in the schema")]
    async fn prediction_stream(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "First year of the decade, such as 1990. Null: that of the query `defaults`")] decade: Option<
            i32,
        >,
        #[graphql(desc = "Maximum number of movies, 1 to 2,000", default = 500)] limit: i32,
        #[graphql(desc = "Movies per batch, 1 to 100", default = 25)] batch_size: i32,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Result<BoxStream<'static, PredictionBatch>, ApiError> {
        let context = context(ctx);
        instrument_field("Subscription", ctx, async {
            let (limit, size) = (bounded("limit", limit, LIMIT_MAX)?, bounded("batchSize", batch_size, BATCH_MAX)?);
            let decade = context.decade(decade).await?;
            let params = Arc::new(context.ranking_params(profile, weights, list, ranking.into()).await?);
            let predictions = &context.services().predictions;
            let top = predictions.top(&params.list, decade, &params.selection.ranked_by(), limit, &[]).await?;
            let stale = DependencyScope::current().is_some_and(|scope| scope.snapshot().stale > 0);
            Ok(count_open(ctx, batches(top.movies, size, params, stale)))
        })
        .await
    }
}

fn batches(
    movies: Vec<ScoredMovie>,
    size: usize,
    params: Arc<RankingParams>,
    stale: bool,
) -> impl Stream<Item = PredictionBatch> + Send + 'static {
    let total = movies.len();
    // An empty ranking has one empty batch, which tells the client that the stream is complete.
    let starts: Vec<usize> = (0..total.max(1)).step_by(size).collect();
    let batch = move |start: usize| {
        let end = (start + size).min(total);
        let prediction = |scored: &ScoredMovie| Prediction::ranked(scored.clone(), Arc::clone(&params));
        let predictions = movies[start..end].iter().map(prediction).collect();
        PredictionBatch {
            predictions,
            received: end,
            total,
            complete: end == total,
            ranking: params.ranked_by().into(),
            stale,
        }
    };
    iter(starts).map(batch)
}
