//! People by ID and by the words of their names.

use async_graphql::connection::{self, EmptyFields};
use async_graphql::{Context, ID, Object, OneofObject};

use super::movie_lookup::search_text;
use crate::graphql::complexity;
use crate::graphql::context::{RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::pagination::{INVALID_CURSOR, OrderedCursor, page_size};
use crate::graphql::root_fields::query_field;
use crate::graphql::types::movie_prediction::Person;
use crate::graphql::types::people::PersonSlug;
use crate::store::{PersonId, PersonKey, SearchText};

type PersonConnection = connection::Connection<OrderedCursor, Person, EmptyFields>;

/// Identifies a person by exactly one of their IDs.
#[derive(OneofObject)]
enum PersonBy {
    /// Global ID.
    Id(ID),
    /// TMDb ID.
    TmdbId(i32),
    /// IMDb ID, such as "nm0000184".
    ImdbId(String),
    /// Slug (`Person.slug`), or only its part before the first hyphen.
    Slug(String),
}

impl PersonBy {
    /// The person with this ID; `None` if there is none.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for a malformed ID.
    async fn find(self, context: &RequestContext) -> Result<Option<Person>, ApiError> {
        let key = match self {
            Self::Id(id) => return Person::find(context, NodeId::person(&id, "by.id")?).await,
            Self::TmdbId(id) if id < 0 => return Err(ApiError::bad_input("by.tmdbId", "is negative")),
            Self::TmdbId(id) => PersonKey::Tmdb(id),
            // PostgreSQL texts cannot contain NUL, so no person has this ID.
            Self::ImdbId(id) if id.contains('\0') => return Ok(None),
            Self::ImdbId(id) => PersonKey::Imdb(id),
            Self::Slug(slug) => match PersonSlug::read(&slug) {
                Some(PersonSlug::Tmdb(id)) => PersonKey::Tmdb(id),
                Some(PersonSlug::Id(id)) => return Person::find(context, id).await,
                None => return Ok(None),
            },
        };
        match context.services().movies.person_id(&key).await? {
            Some(id) => Person::find(context, id).await,
            None => Ok(None),
        }
    }
}

/// Queries for people.
#[derive(Default)]
pub(super) struct PeopleQueries;

#[Object]
impl PeopleQueries {
    /// One member of the cast or crew of movies. Null if there is none with this ID.
    async fn person(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Identifies the person")] by: PersonBy,
    ) -> Option<Result<Person, ApiError>> {
        query_field(ctx, by.find(context(ctx))).await.transpose()
    }

    /// People that a text finds: whole names first, then names that begin with the text, that have words which begin with its
    /// words, that contain its words, and that differ in one letter; the last two only if the database has the extension
    /// `pg_trgm`. Within these, the people whose movies have the most votes come first. A person who was added is found within
    /// seconds; changed names and numbers of votes count after the nightly check of all scores.
    #[graphql(complexity = "complexity::RANKING + complexity::items(first) * child_complexity")]
    async fn people(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Words of the name, at most 200 characters and 20 words. Case, accents and punctuation do not matter"
        )]
        search: String,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor: `endCursor` of the previous page. Null: the first page")] after: Option<String>,
    ) -> Result<PersonConnection, ApiError> {
        let context = context(ctx);
        query_field(ctx, found(context, &search, first, after.as_deref())).await
    }
}

/// A page of the people that a text finds, after the cursor `after`. Leaves out people who were deleted meanwhile.
///
/// # Errors
/// `BAD_USER_INPUT` for an invalid argument.
async fn found(
    context: &RequestContext,
    search: &str,
    first: i32,
    after: Option<&str>,
) -> Result<PersonConnection, ApiError> {
    let text = search_text(search)?;
    let cursors = context.cursors(&["people", text.words()]);
    let (first, after) = (page_size(first)?, cursors.place(after, PersonId)?);
    if after.as_ref().is_some_and(|(order, _)| !SearchText::is_place(order)) {
        return Err(ApiError::bad_input("after", INVALID_CURSOR));
    }
    let mut page = context.services().movies.search_people(&text, after.as_ref(), first + 1).await?;
    let has_next = page.len() > first;
    page.truncate(first);
    let people = page.into_iter().map(|(order, id)| async move {
        let cursor = OrderedCursor { scope: cursors, order, id: id.0 };
        let person = Person::find(context, id).await?;
        Ok::<_, ApiError>(person.map(|person| connection::Edge::new(cursor, person)))
    });
    let mut connection = PersonConnection::new(after.is_some(), has_next);
    connection.edges = futures_util::future::try_join_all(people).await?.into_iter().flatten().collect();
    Ok(connection)
}
