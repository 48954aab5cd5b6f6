//! Movies by ID and by title.

use async_graphql::{Context, ID, Object, OneofObject, connection};

use crate::graphql::complexity;
use crate::graphql::context::{RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::pagination::{OrderedCursor, page_size};
use crate::graphql::root_fields::query_field;
use crate::graphql::types::movie_prediction::{Movie, MovieConnection};
use crate::graphql::types::prediction_filter::check_text;
use crate::scoring::fold_title;
use crate::store::MovieKey;

/// Identifies a movie by exactly one of its IDs.
#[derive(OneofObject)]
pub(super) enum MovieBy {
    /// Global ID.
    Id(ID),
    /// TMDb ID.
    TmdbId(i32),
    /// IMDb ID, such as "tt0111161".
    ImdbId(String),
}

impl MovieBy {
    /// The movie with this ID; `None` if it does not exist.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a malformed ID.
    pub(super) async fn find(self, context: &RequestContext) -> Result<Option<Movie>, ApiError> {
        let key = match self {
            Self::Id(id) => MovieKey::Id(NodeId::movie(&id, "by.id")?),
            Self::TmdbId(id) if id < 0 => return Err(ApiError::bad_input("by.tmdbId", "is negative")),
            Self::TmdbId(id) => MovieKey::Tmdb(id),
            // PostgreSQL texts cannot contain NUL, so no movie has this ID.
            Self::ImdbId(id) if id.contains('\0') => return Ok(None),
            Self::ImdbId(id) => MovieKey::Imdb(id),
        };
        match context.services().movies.movie_id(&key).await? {
            Some(id) => Ok(context.load(id).await?.map(Movie)),
            None => Ok(None),
        }
    }
}

/// Queries for movies.
#[derive(Default)]
pub(super) struct MovieQueries;

#[Object]
impl MovieQueries {
    /// One movie. Null if it does not exist.
    async fn movie(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Identifies the movie")] by: MovieBy,
    ) -> Option<Result<Movie, ApiError>> {
        query_field(ctx, by.find(context(ctx))).await.transpose()
    }

    /// Movies whose title contains a text, ordered by title; case and accents do not matter.
    #[graphql(complexity = "complexity::RANKING + complexity::items(first) * child_complexity")]
    async fn movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Text that the title contains, 1 to 200 characters. Case, accents and the Unicode form, such as\n\
                    full-width letters, do not matter"
        )]
        title_contains: String,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<MovieConnection, ApiError> {
        let context = context(ctx);
        query_field(ctx, search(context, &title_contains, first, after.as_deref())).await
    }
}

/// A page of the movies whose folded title contains the folded text `contains`, after the cursor `after`.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid argument, `NOT_FOUND` if a movie is deleted while the page is loaded.
async fn search(
    context: &RequestContext,
    contains: &str,
    first: i32,
    after: Option<&str>,
) -> Result<MovieConnection, ApiError> {
    check_text("titleContains", Some(contains))?;
    let folded = fold_title(contains);
    if folded.is_empty() {
        return Err(ApiError::bad_input(
            "titleContains",
            "has no visible characters: pass at least one letter, digit or sign",
        ));
    }
    let (first, cursors) = (page_size(first)?, context.cursors(&["folded titles", &folded]));
    let after: Option<OrderedCursor> = after.map(|after| cursors.read_ordered(after)).transpose()?;
    let has_previous = after.is_some();
    let after = after.map(|after| (after.order, after.id));
    // One movie more than the page has, to know whether another page follows.
    let mut found = context.services().movies.titled(&folded, after.as_ref(), first + 1).await?;
    let has_next = found.len() > first;
    found.truncate(first);
    let mut connection = MovieConnection::new(has_previous, has_next);
    let movies = found.into_iter().map(|(title, id)| async move {
        let movie = context.movie(id).await?;
        Ok::<_, ApiError>(connection::Edge::new(OrderedCursor { scope: cursors, order: title, id }, movie))
    });
    connection.edges = futures_util::future::try_join_all(movies).await?;
    Ok(connection)
}
