//! The values of arguments: canonical lists with their counts, genres and countries.

use async_graphql::{Context, Object};

use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::movie_details::{Country, Genre};
use crate::graphql::types::movie_list::MovieList;

/// Queries for lists, genres and countries.
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
}
