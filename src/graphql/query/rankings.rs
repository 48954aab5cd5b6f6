//! Predictions: rankings of a decade, and the score of one movie.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::movie_lookup::MovieBy;
use crate::graphql::complexity;
use crate::graphql::context::{RankingParams, RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::pagination::{Edge, page_size};
use crate::graphql::root_fields::query_field;
use crate::graphql::types::date::Timestamp;
use crate::graphql::types::movie_prediction::{Prediction, PredictionConnection, RankingFields};
use crate::graphql::types::prediction_filter::{PredictionFilter, ResolvedFilter};
use crate::graphql::types::ranking_kind::RankingKind;
use crate::graphql::types::weights::WeightsInput;
use crate::services::predictions::{ListStatus, PageRequest};

/// Queries for predictions.
#[derive(Default)]
pub(super) struct RankingQueries;

#[Object]
impl RankingQueries {
    /// Candidates of a decade, highest score first: the movies most likely to join the target list. A candidate is a
    /// fully imported movie that is not on the list. Fully imported means that its data is complete enough to be ranked.
    #[graphql(complexity = "complexity::RANKING + complexity::items(first) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn predictions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "First year of the decade, such as 1990. Null: that of the query `defaults`")] decade: Option<
            i32,
        >,
        #[graphql(desc = "Returns only matching movies. Their ranks stay the same")] filter: Option<PredictionFilter>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
        #[graphql(
            desc = "Lowest `dataVersion` that the response may have; `CONFLICT` if the data has not reached it. Null: any"
        )]
        at_least: Option<i64>,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Result<PredictionConnection, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let params = context.ranking_params(profile, weights, list, ranking.into()).await?;
            let filter = filter.unwrap_or_default().resolve(context, &params).await?;
            let paging = Paging { first, after: after.as_deref(), at_least };
            ranking_page(context, params, decade, ListStatus::Candidates, filter, paging).await
        })
        .await
    }

    /// Score and rank of one movie, whether on the target list or not. Null if the movie does not exist.
    #[graphql(complexity = "complexity::MOVIE_RANK + child_complexity")]
    async fn prediction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Identifies the movie")] by: MovieBy,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Option<Result<Prediction, ApiError>> {
        let context = context(ctx);
        query_field(ctx, async {
            let params = Arc::new(context.ranking_params(profile, weights, list, ranking.into()).await?);
            match by.find(context).await? {
                Some(movie) => Prediction::of_movie(context, &movie.0, params).await.map(Some),
                None => Ok(None),
            }
        })
        .await
        .transpose()
    }

    /// Confirmed additions of a decade, highest score first. A confirmed addition is a fully imported movie that is
    /// already on the target list.
    #[graphql(complexity = "complexity::RANKING + complexity::items(first) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn confirmed_additions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "First year of the decade, such as 1990. Null: that of the query `defaults`")] decade: Option<
            i32,
        >,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
        #[graphql(
            desc = "Lowest `dataVersion` that the response may have; `CONFLICT` if the data has not reached it. Null: any"
        )]
        at_least: Option<i64>,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Result<PredictionConnection, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let params = context.ranking_params(profile, weights, list, ranking.into()).await?;
            let paging = Paging { first, after: after.as_deref(), at_least };
            ranking_page(context, params, decade, ListStatus::Listed, ResolvedFilter::default(), paging).await
        })
        .await
    }
}

/// The arguments that select a page of a ranking, and the lowest version of its data.
struct Paging<'a> {
    first: i32,
    after: Option<&'a str>,
    at_least: Option<i64>,
}

/// A page of a decade's candidates or of its listed movies, as `status` says.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid argument.
async fn ranking_page(
    context: &RequestContext,
    params: RankingParams,
    decade: Option<i32>,
    status: ListStatus,
    filter: ResolvedFilter,
    paging: Paging<'_>,
) -> Result<PredictionConnection, ApiError> {
    let decade = context.decade(decade).await?;
    // All that determines the movies and their order. The `Debug` texts may change with a release, which makes older
    // cursors invalid.
    let cursors =
        context.cursors(&[&format!("{status:?}"), &params.key(), &decade.to_string(), &format!("{filter:?}")]);
    let request = PageRequest {
        list: params.list.clone(),
        decade,
        by: params.selection.ranked_by(),
        min_probability: filter.min_probability,
        custom: params.custom,
        status,
        filter: filter.movies,
        after: cursors.read(paging.after)?,
        first: page_size(paging.first)?,
    };
    let predictions = &context.services().predictions;
    let page = match paging.at_least {
        None => predictions.page(request).await?,
        Some(negative @ i64::MIN..0) => {
            return Err(ApiError::bad_input("atLeast", format!("is {negative}, expected 0 or more")));
        }
        Some(at_least) => predictions.page_at_least(request, at_least).await?,
    };
    let fields = RankingFields {
        list: params.list.clone(),
        decade: decade.year(),
        total_count: page.total,
        data_version: page.data_version,
        as_of: Timestamp(page.as_of),
        ranking: if page.model_version.is_some() { params.ranking.into() } else { RankingKind::Formula },
        model_version: page.model_version,
    };
    let mut connection = PredictionConnection::with_additional_fields(page.has_previous, page.has_next, fields);
    let params = Arc::new(params);
    connection.edges.extend(page.movies.into_iter().map(|scored| {
        let cursor = cursors.cursor(scored.standing());
        Edge::new(cursor, Prediction::ranked(scored, Arc::clone(&params)))
    }));
    Ok(connection)
}
