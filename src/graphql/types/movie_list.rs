//! Lists of movies.

use async_graphql::connection::Edge;
use async_graphql::{Context, Object, SimpleObject};

use super::date::Timestamp;
use super::movie_prediction::Movie;
use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::pagination::{CountFields, OrderedCursor, page_size};
use crate::scoring::MovieId;
use crate::services::reference::OrderedMember;
use crate::store::{self, ListName, ListSummary, Membership};

/// A page of the movies of a list, in the order of the list.
type ListedMovieConnection = async_graphql::connection::Connection<OrderedCursor, ListedMovie, CountFields>;

/// A canonical list of movies, such as "1001 Movies", with counts by decade.
pub(in crate::graphql) struct MovieList(pub(in crate::graphql) ListName);

impl MovieList {
    /// What `read` takes of the movie counts of this list. Without counts, the list is new and has no movies yet.
    async fn counted<T: Default>(&self, ctx: &Context<'_>, read: impl Fn(&ListSummary) -> T) -> Result<T, ApiError> {
        let summaries = context(ctx).list_summaries().await?;
        Ok(summaries.iter().find(|summary| summary.key == self.0.key).map(read).unwrap_or_default())
    }
}

/// A canonical list of movies, such as "1001 Movies", with counts by decade.
#[Object]
impl MovieList {
    /// Key of the list, the value of the argument `list`.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// Display name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether this is a target list: one that can be validated on the basis `BLIND` once its scores are computed, see
    /// `status { targets { key state } }`.
    async fn is_target(&self) -> bool {
        self.0.is_target
    }

    /// When the list was last imported or renamed, the value of the argument `expectedUpdatedAt`. Null if that is not
    /// recorded.
    async fn updated_at(&self) -> Option<Timestamp> {
        self.0.updated_at.map(Timestamp)
    }

    /// Number of movies on the list, including those that are not fully imported or have no release date.
    async fn movie_count(&self, ctx: &Context<'_>) -> Result<usize, ApiError> {
        self.counted(ctx, |summary| summary.movies).await
    }

    /// The same as `movieCount`.
    #[graphql(deprecation = "use `movieCount`")]
    async fn films(&self, ctx: &Context<'_>) -> Result<usize, ApiError> {
        self.counted(ctx, |summary| summary.movies).await
    }

    /// Movies on the list without a release date. They belong to no decade.
    async fn undated(&self, ctx: &Context<'_>) -> Result<usize, ApiError> {
        self.counted(ctx, |summary| summary.undated).await
    }

    /// Decades with listed movies or candidates, in ascending order.
    async fn decades(&self, ctx: &Context<'_>) -> Result<Vec<ListDecade>, ApiError> {
        self.counted(ctx, |summary| summary.decades.iter().copied().map(ListDecade::from).collect()).await
    }

    /// Movies on the list, in its order: by position, then by title. Movies without a position come last.
    #[graphql(complexity = "complexity::SUBLIST + complexity::items(first) * child_complexity")]
    async fn movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<ListedMovieConnection, ApiError> {
        let (first, cursors) = (page_size(first)?, context(ctx).cursors(&["movies of a list", &self.0.key]));
        let after = after.map(|after| cursors.read_ordered(&after)).transpose()?;
        let members = context(ctx).services().reference.list_members(self.0.key.clone()).await?;
        let is_before = |member: &OrderedMember, after: &OrderedCursor| {
            (&member.order, member.member.id.0) <= (&after.order, after.id)
        };
        let start = after.map_or(0, |after| members.partition_point(|member| is_before(member, &after)));
        let page = &members[start..members.len().min(start + first)];
        let count = CountFields { total_count: members.len() };
        let has_next = start + page.len() < members.len();
        let mut connection = ListedMovieConnection::with_additional_fields(start > 0, has_next, count);
        connection.edges.extend(page.iter().map(|OrderedMember { order, member }| {
            let cursor = OrderedCursor { scope: cursors, order: order.clone(), id: member.id.0 };
            Edge::new(cursor, ListedMovie { id: member.id, membership: member.membership.clone() })
        }));
        Ok(connection)
    }
}

/// Number of listed movies and of candidates in one decade.
#[derive(SimpleObject)]
struct ListDecade {
    /// First year of the decade.
    decade: i32,
    /// Movies of the decade that are on the list, fully imported or not.
    listed: usize,
    /// Candidates: fully imported movies of the decade that are not on the list.
    candidates: usize,
}

impl From<store::ListDecade> for ListDecade {
    fn from(decade: store::ListDecade) -> Self {
        Self { decade: decade.decade, listed: decade.listed, candidates: decade.candidates }
    }
}

/// A movie on a list.
pub(in crate::graphql) struct ListedMovie {
    id: MovieId,
    membership: Membership,
}

/// A movie on a list.
#[Object]
impl ListedMovie {
    /// Position on the list. Null if the list is not ordered.
    async fn position(&self) -> Option<i32> {
        self.membership.position
    }

    /// Edition of the list that added the movie. Null if unknown.
    async fn edition(&self) -> Option<&str> {
        self.membership.edition.as_deref()
    }

    /// The movie.
    async fn movie(&self, ctx: &Context<'_>) -> Result<Movie, ApiError> {
        context(ctx).movie(self.id).await
    }
}
