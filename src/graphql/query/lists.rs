//! Reference data: canonical lists with their counts, genres, countries, and sources of metrics.

use async_graphql::{Context, Object, SimpleObject};

use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::date::Timestamp;
use crate::graphql::types::movie_details::{Country, Genre};
use crate::graphql::types::movie_list::MovieList;
use crate::store;

/// Queries for reference data.
#[derive(Default)]
pub(super) struct ListQueries;

#[Object]
impl ListQueries {
    /// All lists, ordered by key, with movie counts by decade.
    #[graphql(complexity = "complexity::LIST_COUNTS + complexity::LISTS * child_complexity")]
    async fn lists(&self, ctx: &Context<'_>) -> Result<Vec<MovieList>, ApiError> {
        let context = context(ctx);
        query_field(ctx, async { Ok(context.reference().await?.lists.iter().cloned().map(MovieList).collect()) }).await
    }

    /// One list. Null if it does not exist.
    #[graphql(complexity = "complexity::LIST_COUNTS + child_complexity")]
    async fn list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the list")] key: String,
    ) -> Option<Result<MovieList, ApiError>> {
        query_field(ctx, async {
            let lists = &context(ctx).reference().await?.lists;
            Ok(lists.iter().find(|list| list.key == key).cloned().map(MovieList))
        })
        .await
        .transpose()
    }

    /// All genres, ordered by name. The filter of `predictions` takes their names.
    #[graphql(complexity = "complexity::FILTER_VALUES * child_complexity")]
    async fn genres(&self, ctx: &Context<'_>) -> Result<Vec<Genre>, ApiError> {
        let context = context(ctx);
        query_field(ctx, async { Ok(context.reference().await?.genres.iter().map(Into::into).collect()) }).await
    }

    /// All production countries, ordered by code. The filter of `predictions` takes their codes.
    #[graphql(complexity = "complexity::FILTER_VALUES * child_complexity")]
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<Country>, ApiError> {
        let context = context(ctx);
        query_field(ctx, async { Ok(context.reference().await?.countries.iter().map(Into::into).collect()) }).await
    }

    /// Sources of metrics as of the latest snapshot, those of the most movies first: how much they cover, and how new
    /// their data are.
    #[graphql(complexity = "complexity::FILTER_VALUES * child_complexity")]
    async fn metric_sources(&self, ctx: &Context<'_>) -> Result<Vec<MetricSource>, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let sources = context.services().reference.metric_sources().await?;
            Ok(sources.iter().map(Into::into).collect())
        })
        .await
    }
}

/// A source of metrics, as of the latest snapshot.
#[derive(SimpleObject)]
pub(super) struct MetricSource {
    /// Name, such as "imdb".
    source: String,
    /// Movies with a metric of this source.
    films: i64,
    /// When the newest metric was fetched from the source.
    newest_at: Timestamp,
}

impl From<&store::MetricSource> for MetricSource {
    fn from(source: &store::MetricSource) -> Self {
        Self { source: source.source.clone(), films: source.movies, newest_at: Timestamp(source.newest) }
    }
}
