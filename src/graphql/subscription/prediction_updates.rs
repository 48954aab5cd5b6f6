//! The subscription `predictionUpdates`: changes among the top candidates.

use std::sync::Arc;

use async_graphql::futures_util::stream::{BoxStream, Stream, StreamExt, iter, unfold};
use async_graphql::{Context, Enum, SimpleObject};

use super::open_subscription::count_open;
use crate::graphql::complexity;
use crate::graphql::context::{RankingParams, context};
use crate::graphql::error::ApiError;
use crate::graphql::metrics::{Dropped, GraphqlMetrics};
use crate::graphql::pagination::bounded;
use crate::graphql::root_fields::instrument_field;
use crate::graphql::types::movie_prediction::Prediction;
use crate::graphql::types::ranking_kind::RankingKind;
use crate::services::learned;
use crate::services::live_updates::{self, Change, Update, UpdateParams, UpdateStream};

/// Maximum number of candidates that a subscription follows. A choice: five pages of the maximum size; each change of
/// the data is compared with all of them.
const TOP_MAX: i32 = 500;

/// How a movie's position in the top changed.
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

/// How one movie changed among the `top` best candidates that `predictionUpdates` follows. When the data changes, all
/// resulting updates are sent together: first the movies that left, then the others by rank.
#[derive(SimpleObject)]
pub(super) struct PredictionUpdate {
    /// How the movie's position in the top changed.
    kind: UpdateKind,
    /// Current prediction of the movie. A movie that left the top still has a rank if it remains a candidate. Of a movie
    /// that left the decade, the last prediction in it, without a rank.
    prediction: Prediction,
    /// Previous rank. Null if the movie was not in the top.
    previous_rank: Option<usize>,
    /// Version of the decade's data after this change, comparable with `dataVersion` of `predictions`.
    data_version: i64,
}

/// The subscription for changes.
#[derive(Default)]
pub(super) struct PredictionUpdatesSubscription;

#[async_graphql::Subscription]
impl PredictionUpdatesSubscription {
    /// Changes among the `top` best candidates of a decade. They are usually sent within a second of each change of the
    /// data, until the client completes the subscription. It fails if the profile is deleted or deactivated.
    #[graphql(complexity = "complexity::RANKING + child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field in the schema")]
    async fn prediction_updates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name. Null follows the default profile as it changes")] profile: Option<String>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "First year of the decade, such as 1990. Null: that of the query `defaults`")] decade: Option<
            i32,
        >,
        #[graphql(desc = "How many of the best candidates to follow, 1 to 500", default = 100)] top: i32,
        #[graphql(
            desc = "Whether to send the current top first: an update of kind `ENTERED` for each of its movies, best first,\n\
                    all with one `dataVersion`. The changes that follow are those since then",
            default = false
        )]
        initial: bool,
        #[graphql(desc = "What to rank by. `profile` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Result<BoxStream<'static, Result<PredictionUpdate, ApiError>>, ApiError> {
        let context = context(ctx);
        instrument_field("Subscription", ctx, async {
            let top = bounded("top", top, TOP_MAX)?;
            let decade = context.decade(decade).await?;
            let list = context.list(list).await?;
            let ranking = learned::RankingKind::from(ranking);
            if ranking.variant().is_some() && profile.is_some() {
                return Err(ApiError::bad_input("ranking", "a learned ranking has no profile: leave `profile` out"));
            }
            let params = UpdateParams { profile, list: list.clone(), decade, top, initial, ranking };
            let stream = UpdateStream::start(Arc::clone(context.services()), params).await?;
            Ok(count_open(ctx, updates(stream, (list, ranking), ctx.data_unchecked::<GraphqlMetrics>().clone())))
        })
        .await
    }
}

/// Converts the changes of `stream` to a stream of updates. It ends with the first error, for example if the profile is
/// deleted.
fn updates(
    stream: UpdateStream,
    of: (String, learned::RankingKind),
    metrics: GraphqlMetrics,
) -> impl Stream<Item = Result<PredictionUpdate, ApiError>> + Send + 'static {
    let next = move |stream: Option<UpdateStream>| {
        let (of, metrics) = (of.clone(), metrics.clone());
        async move {
            let mut stream = stream?;
            match stream.next().await {
                Ok(change) => Some((prediction_updates(change, of), Some(stream))),
                Err(error) => {
                    metrics.subscriptions_dropped(Dropped::Error, 1);
                    Some((vec![Err(error.into())], None))
                }
            }
        }
    };
    unfold(Some(stream), next).flat_map(iter)
}

/// Converts the updates of a change to schema types, in the same order.
fn prediction_updates(
    change: Change,
    (list, ranking): (String, learned::RankingKind),
) -> Vec<Result<PredictionUpdate, ApiError>> {
    let Change { updates, selection, data_version } = change;
    let params = Arc::new(RankingParams { selection, custom: false, list, ranking });
    let convert = |Update { kind, movie, previous_rank }| {
        let prediction = Prediction::ranked(movie, Arc::clone(&params));
        Ok(PredictionUpdate { kind: kind.into(), prediction, previous_rank, data_version })
    };
    updates.into_iter().map(convert).collect()
}
