//! The values of arguments: canonical lists with their counts, genres and countries.

use async_graphql::{Context, Object, SimpleObject};

use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::movie_details::{Country, Genre};
use crate::store;

/// Queries for lists, genres and countries.
#[derive(Default)]
pub(super) struct ListQueries;

#[Object]
impl ListQueries {
    /// All lists, ordered by key, with movie counts by decade.
    #[graphql(complexity = "complexity::LIST_COUNTS + complexity::LISTS * child_complexity")]
    async fn lists(&self, ctx: &Context<'_>) -> Result<Vec<MovieList>, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let lists = context.services().reference.list_summaries().await?;
            Ok(lists.iter().map(Into::into).collect())
        })
        .await
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

/// A canonical list of movies, such as "1001 Movies", with counts by decade.
#[derive(SimpleObject)]
pub(super) struct MovieList {
    /// Key of the list, the value of the argument `list`.
    key: String,
    /// Display name.
    name: String,
    /// Movies on the list, including those that are not fully imported or have no release date.
    films: usize,
    /// Movies on the list without a release date. They belong to no decade.
    undated: usize,
    /// Decades with listed movies or candidates, in ascending order.
    decades: Vec<ListDecade>,
}

/// Number of listed movies and of candidates in one decade.
#[derive(SimpleObject)]
pub(super) struct ListDecade {
    /// First year of the decade.
    decade: i32,
    /// Movies of the decade that are on the list, fully imported or not.
    listed: usize,
    /// Candidates: fully imported movies of the decade that are not on the list.
    candidates: usize,
}

impl From<&store::ListSummary> for MovieList {
    fn from(list: &store::ListSummary) -> Self {
        let decades = list.decades.iter().map(|decade| ListDecade {
            decade: decade.decade,
            listed: decade.listed,
            candidates: decade.candidates,
        });
        Self {
            key: list.key.clone(),
            name: list.name.clone(),
            films: list.movies,
            undated: list.undated,
            decades: decades.collect(),
        }
    }
}
