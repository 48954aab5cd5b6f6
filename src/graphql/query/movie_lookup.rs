//! Movies by ID, by title and by words.

use async_graphql::{Context, Enum, ID, Object, OneofObject, connection};
use chrono::NaiveDate;

use crate::graphql::complexity;
use crate::graphql::context::{RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::pagination::{CursorScope, INVALID_CURSOR, OrderedCursor, page_size};
use crate::graphql::root_fields::query_field;
use crate::graphql::types::movie_links;
use crate::graphql::types::movie_prediction::{Movie, MovieConnection, MovieCount};
use crate::graphql::types::prediction_filter::check_text;
use crate::graphql::unknown_name::unknown_name;
use crate::scoring::{MovieId, fold_title};
use crate::store::{self, MovieKey, MovieSearch, SearchText};

/// Identifies a movie by exactly one of its IDs.
#[derive(OneofObject)]
pub(super) enum MovieBy {
    /// Global ID.
    Id(ID),
    /// TMDb ID.
    TmdbId(i32),
    /// IMDb ID, such as "tt0111161".
    ImdbId(String),
    /// Slug (`Movie.slug`), or only its part before the first hyphen.
    Slug(String),
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
            Self::Slug(slug) => match movie_links::key_of_slug(&slug) {
                Some(key) => key,
                None => return Ok(None),
            },
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

    /// Movies of all years: those that a text finds, those of a year or a genre, or all. Without `search`, the most popular
    /// first. With `titleContains`, ordered by title.
    #[graphql(complexity = "complexity::RANKING + complexity::items(first) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the field")]
    async fn movies(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Text that the title contains, 1 to 200 characters. Case, accents and the Unicode form, such as\n\
                    full-width letters, do not matter. Not together with other conditions"
        )]
        title_contains: Option<String>,
        #[graphql(
            desc = "Words of the title or the original title, at most 200 characters and 20 words. Case, accents and\n\
                    punctuation do not matter. Whole titles come first, then titles that begin with the text, that have words\n\
                    which begin with its words, that contain its words, and that differ in one letter; the last two only if\n\
                    the database has the extension `pg_trgm`. Within these, the most popular come first"
        )]
        search: Option<String>,
        #[graphql(desc = "Only movies first released in this year")] year: Option<i32>,
        #[graphql(
            desc = "Only movies of this genre. The query `genres` returns all names; case and accents do not matter"
        )]
        genre: Option<String>,
        #[graphql(desc = "Order of the movies", default)] order_by: MovieOrder,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<MovieConnection, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let Some(contains) = title_contains else {
                let search = movie_search(context, search, year, genre, order_by).await?;
                return found(context, search, first, after.as_deref()).await;
            };
            if search.is_some() || year.is_some() || genre.is_some() || order_by != MovieOrder::Relevance {
                return Err(ApiError::bad_input(
                    "titleContains",
                    "cannot be combined with other conditions or `orderBy`: use `search`",
                ));
            }
            titled(context, &contains, first, after.as_deref()).await
        })
        .await
    }

    /// Movies by TMDb and IMDb IDs: first those of `tmdbIds`, then those of `imdbIds`, in the order of the IDs. An entry is
    /// null if its movie does not exist.
    #[graphql(
        complexity = "(tmdb_ids.as_ref().map_or(0, Vec::len) + imdb_ids.as_ref().map_or(0, Vec::len)).min(IDS_MAX) \
                            * child_complexity"
    )]
    async fn movies_by_ids(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "TMDb IDs. At most 100 IDs of both kinds")] tmdb_ids: Option<Vec<i32>>,
        #[graphql(desc = "IMDb IDs, such as \"tt0111161\"")] imdb_ids: Option<Vec<String>>,
    ) -> Result<Vec<Option<Movie>>, ApiError> {
        let context = context(ctx);
        query_field(ctx, by_ids(context, &tmdb_ids.unwrap_or_default(), imdb_ids.unwrap_or_default())).await
    }
}

/// Maximum number of IDs in `moviesByIds`: the maximum page size.
const IDS_MAX: usize = 100;

/// Maximum number of words of a search. A choice: more than nearly all titles have.
const WORDS_MAX: usize = 20;

/// Order of movies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub(super) enum MovieOrder {
    /// The best matches of `search` first, and among equally good ones the most popular. Without `search`, the most popular.
    #[default]
    Relevance,
    /// By title, without leading articles.
    Title,
    /// The latest release first. Undated movies are left out.
    Newest,
    /// The earliest release first. Undated movies are left out.
    Oldest,
}

impl From<MovieOrder> for store::MovieOrder {
    fn from(order: MovieOrder) -> Self {
        match order {
            MovieOrder::Relevance => Self::Relevance,
            MovieOrder::Title => Self::Title,
            MovieOrder::Newest => Self::Newest,
            MovieOrder::Oldest => Self::Oldest,
        }
    }
}

/// The words of the argument `search`.
///
/// # Errors
/// `BAD_USER_INPUT` if the text is too long or has no words.
pub(super) fn search_text(text: &str) -> Result<SearchText, ApiError> {
    check_text("search", Some(text))?;
    let text = SearchText::of(text).ok_or_else(|| {
        ApiError::bad_input("search", "has no visible characters: pass at least one letter, digit or sign")
    })?;
    let words = text.words().split(' ').count();
    if words > WORDS_MAX {
        return Err(ApiError::bad_input("search", format!("has {words} words, expected {WORDS_MAX} at most")));
    }
    Ok(text)
}

/// The search that the arguments of `movies` describe.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid argument.
async fn movie_search(
    context: &RequestContext,
    search: Option<String>,
    year: Option<i32>,
    genre: Option<String>,
    order: MovieOrder,
) -> Result<MovieSearch, ApiError> {
    let released = year.map(|year| {
        let day = |month, day| NaiveDate::from_ymd_opt(year, month, day).filter(|_| (1..=9999).contains(&year));
        let days = day(1, 1).zip(day(12, 31)).map(|(first, last)| [first, last]);
        days.ok_or_else(|| ApiError::bad_input("year", format!("is {year}, expected 1 to 9999")))
    });
    let genre = match genre {
        None => None,
        Some(name) => {
            check_text("genre", Some(&name))?;
            let reference = context.reference().await?;
            let names = reference.genres.iter().map(|genre| (genre.name.as_str(), [genre.name.as_str()]));
            Some(reference.genre_id(&name).ok_or_else(|| unknown_name("genre", "genre", &name, names, "genres"))?)
        }
    };
    Ok(MovieSearch {
        text: search.as_deref().map(search_text).transpose()?,
        released: released.transpose()?,
        genre,
        order: order.into(),
    })
}

/// A page of the movies that a search finds, after the cursor `after`.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid argument.
async fn found(
    context: &RequestContext,
    search: MovieSearch,
    first: i32,
    after: Option<&str>,
) -> Result<MovieConnection, ApiError> {
    let cursors = context.cursors(&["movies", &format!("{search:?}")]);
    let (first, after) = (page_size(first)?, cursors.place(after, MovieId)?);
    if after.as_ref().is_some_and(|(order, _)| !search.is_place(order)) {
        return Err(ApiError::bad_input("after", INVALID_CURSOR));
    }
    let page = context.services().movies.search(&search, after.as_ref(), first + 1).await?;
    connection(context, cursors, after.is_some(), page, first, MovieCount::Found(search)).await
}

/// A page of the movies whose folded title contains the folded text `contains`, after the cursor `after`.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid argument.
async fn titled(
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
    let cursors = context.cursors(&["folded titles", &folded]);
    let (first, after) = (page_size(first)?, cursors.place(after, MovieId)?);
    let page = context.services().movies.titled(&folded, after.as_ref(), first + 1).await?;
    connection(context, cursors, after.is_some(), page, first, MovieCount::Titled(folded)).await
}

/// The connection of the first `first` movies of `page`, which has one movie more if another page follows. Leaves out movies
/// that were deleted meanwhile.
async fn connection(
    context: &RequestContext,
    cursors: CursorScope,
    has_previous: bool,
    mut page: Vec<(String, MovieId)>,
    first: usize,
    count: MovieCount,
) -> Result<MovieConnection, ApiError> {
    let has_next = page.len() > first;
    page.truncate(first);
    let movies = page.into_iter().map(|(order, id)| async move {
        let movie = context.load(id).await?.map(Movie);
        let cursor = OrderedCursor { scope: cursors, order, id: id.0 };
        Ok::<_, ApiError>(movie.map(|movie| connection::Edge::new(cursor, movie)))
    });
    let mut connection = MovieConnection::with_additional_fields(has_previous, has_next, count);
    connection.edges = futures_util::future::try_join_all(movies).await?.into_iter().flatten().collect();
    Ok(connection)
}

/// The movies with these IDs.
///
/// # Errors
/// `BAD_USER_INPUT` if there are too many.
async fn by_ids(
    context: &RequestContext,
    tmdb_ids: &[i32],
    mut imdb_ids: Vec<String>,
) -> Result<Vec<Option<Movie>>, ApiError> {
    let count = tmdb_ids.len() + imdb_ids.len();
    if count > IDS_MAX {
        let field = if tmdb_ids.len() > IDS_MAX { "tmdbIds" } else { "imdbIds" };
        return Err(ApiError::bad_input(field, format!("{count} IDs are given, expected {IDS_MAX} at most")));
    }
    // PostgreSQL texts cannot contain NUL, and no movie has an empty ID.
    imdb_ids.iter_mut().filter(|id| id.contains('\0')).for_each(String::clear);
    let found = context.services().movies.movie_ids(tmdb_ids, &imdb_ids).await?;
    let movies = found.into_iter().map(|id| async move {
        match id {
            Some(id) => Ok::<_, ApiError>(context.load(id).await?.map(Movie)),
            None => Ok(None),
        }
    });
    futures_util::future::try_join_all(movies).await
}
