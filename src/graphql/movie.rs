//! Schema types of movies, credits, people, ratings and awards.

use std::sync::Arc;

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use chrono::{DateTime, Datelike, Utc};
use futures_util::FutureExt;
use serde_json::Value;

use super::connection::{Connection, CountFields, CursorScope, Edge, TitleCursor, page_size};
use super::context::{RequestContext, context};
use super::error::{ApiError, ErrorCode};
use super::id::NodeId;
use super::loaders::{
    LiveScoreOf, MovieCountries, MovieCredits, MovieFestivals, MovieGenres, MovieMetrics, PersonKey, PersonQualityKey,
};
use super::prediction::{Prediction, WeightsInput};
use super::scalars::Date;
use crate::scoring::{Decade, MovieId, Standing};
use crate::services::movies::DetailKey;
use crate::store::{self, PersonId};

impl RequestContext {
    /// A movie that another part of the result refers to.
    ///
    /// # Errors
    /// `NOT_FOUND` if it was deleted in the meantime.
    pub(super) async fn movie(&self, id: MovieId) -> Result<Movie, ApiError> {
        self.load(id).await?.map(Movie).ok_or_else(movie_deleted)
    }

    /// The score of a single movie, computed from the base tables.
    ///
    /// # Errors
    /// `NOT_FOUND` if the movie was deleted in the meantime.
    pub(super) async fn live_score(&self, id: MovieId) -> Result<store::LiveScore, ApiError> {
        self.load(LiveScoreOf(id)).await?.ok_or_else(movie_deleted)
    }
}

/// A page of movies, ordered by title.
pub(super) type MovieConnection = async_graphql::connection::Connection<TitleCursor, Movie>;

/// A movie that existed earlier in the same operation.
fn movie_deleted() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the movie was deleted while the request ran; retry")
}

/// A movie.
pub(super) struct Movie(pub(super) Arc<store::Movie>);

impl Movie {
    /// Key of the movie's details: its ID, and the decade whose data version invalidates them.
    fn of(&self) -> DetailKey<MovieId> {
        DetailKey { id: self.0.id, decade: self.0.release_date.and_then(Decade::of) }
    }
}

/// A movie.
#[Object]
impl Movie {
    /// Global ID.
    pub(super) async fn id(&self) -> ID {
        NodeId::Movie(self.0.id).into()
    }

    /// TMDb ID. Null if unknown.
    async fn tmdb_id(&self) -> Option<i32> {
        self.0.tmdb_id
    }

    /// IMDb ID, such as "tt0111161". Null if unknown.
    async fn imdb_id(&self) -> Option<&str> {
        self.0.imdb_id.as_deref()
    }

    /// Title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// Date of the first release. Null if unknown.
    async fn release_date(&self) -> Option<Date> {
        self.0.release_date.map(Date)
    }

    /// Year of the first release. Null if unknown.
    async fn year(&self) -> Option<i32> {
        self.0.release_date.map(|day| day.year())
    }

    /// First year of the decade of the first release, such as 1990. Null if unknown.
    async fn decade(&self) -> Option<i32> {
        self.0.release_date.and_then(Decade::of).map(Decade::year)
    }

    /// Original language, as a two-letter code.
    async fn original_language(&self) -> Option<&str> {
        self.0.original_language.as_deref()
    }

    /// Path of the poster on TMDb's image server.
    async fn poster_path(&self) -> Option<&str> {
        self.0.poster_path.as_deref()
    }

    /// Genres, ordered by name.
    async fn genres(&self, ctx: &Context<'_>) -> Result<Vec<Genre>, ApiError> {
        let genres = context(ctx).load(MovieGenres(self.of())).await?;
        Ok(map_loaded(genres, |genre| Genre::from(genre)))
    }

    /// Production countries, ordered by code.
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<Country>, ApiError> {
        let countries = context(ctx).load(MovieCountries(self.of())).await?;
        Ok(map_loaded(countries, |country| country.into()))
    }

    /// Lists that contain the movie, ordered by key.
    async fn lists(&self, ctx: &Context<'_>) -> Result<Vec<ListMembership>, ApiError> {
        let names = &context(ctx).reference().boxed().await?.lists;
        let membership = |on: &store::Membership| ListMembership {
            name: names.iter().find(|list| list.key == on.list_key).map_or(&on.list_key, |list| &list.name).clone(),
            key: on.list_key.clone(),
            position: on.position,
            edition: on.edition.clone(),
        };
        Ok(self.0.lists.iter().map(membership).collect())
    }

    /// External ratings and other metrics, ordered by source and type.
    async fn metrics(&self, ctx: &Context<'_>) -> Result<Vec<Metric>, ApiError> {
        let metrics = context(ctx).load(MovieMetrics(self.of())).await?;
        Ok(map_loaded(metrics, |metric| Metric {
            source: metric.source.clone(),
            r#type: metric.metric_type.clone(),
            value: metric.value,
            fetched_at: metric.fetched_at,
        }))
    }

    /// Award nominations and wins.
    async fn festivals(&self, ctx: &Context<'_>) -> Result<FestivalRecord, ApiError> {
        let entries = context(ctx).load(MovieFestivals(self.of())).await?;
        let entries = map_loaded(entries, |entry| FestivalEntry {
            organization: entry.organization.clone(),
            year: entry.year,
            category: entry.category.clone(),
            person_name: entry.person_name.clone(),
            won: entry.won,
        });
        let wins = entries.iter().filter(|entry| entry.won).count();
        Ok(FestivalRecord { wins, nominations: entries.len(), entries })
    }

    /// Credited people, each once: directors, then the cast in billing order, then the rest of the crew.
    #[graphql(complexity = "usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn people(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of people, 1 to 100", default = 10)] first: i32,
    ) -> Result<Vec<CreditedPerson>, ApiError> {
        let first = page_size(first)?;
        let credits = context(ctx).load(MovieCredits(self.of())).await?;
        let mut people: Vec<CreditedPerson> = Vec::new();
        for credit in credits.iter().flat_map(|credits| credits.iter()) {
            let role = role(credit);
            if let Some(known) = people.iter_mut().find(|known| known.person.person.id == credit.person.id) {
                known.roles.push(role);
            } else if people.len() < first {
                people.push(CreditedPerson {
                    person: Person { person: credit.person.clone(), decade: self.of().decade },
                    roles: vec![role],
                });
            }
        }
        Ok(people)
    }

    /// Cast and crew credits: directors, then the cast in billing order, then the rest of the crew.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this department, such as Directing (cast: Acting)")] department: Option<String>,
        #[graphql(desc = "Page size, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Returns items after this cursor, the previous page's `endCursor`")] after: Option<String>,
    ) -> Result<Connection<Credit, CountFields>, ApiError> {
        let first = page_size(first)?;
        let scope_of = [&self.0.id.to_string(), department.as_deref().unwrap_or("*")];
        let cursors = CursorScope::of(&["credits", scope_of[0], scope_of[1]]);
        let after = cursors.read(after.as_deref())?;
        let credits = context(ctx).load(MovieCredits(self.of())).await?;
        let wanted = |credit: &&store::Credit| department.as_deref().is_none_or(|name| in_department(credit, name));
        let credits: Vec<_> = credits.iter().flat_map(|credits| credits.iter()).filter(wanted).cloned().collect();
        let standing = |place: usize| Standing { score: 0.0, id: MovieId(i64::try_from(place).unwrap_or(i64::MAX)) };
        let decade = self.of().decade;
        let start = after.map_or(0, |after| usize::try_from(after.id.0).map_or(0, |place| place + 1));
        let total_count = credits.len();
        let page = credits.into_iter().enumerate().skip(start).take(first);
        let has_next = start.saturating_add(first) < total_count;
        let mut connection = Connection::with_additional_fields(start > 0, has_next, CountFields { total_count });
        connection
            .edges
            .extend(page.map(|(place, credit)| Edge::new(cursors.cursor(standing(place)), Credit { credit, decade })));
        Ok(connection)
    }

    /// Score and rank of the movie. The arguments have the same meaning as in `Query.predictions`.
    #[graphql(complexity = "2 + child_complexity")]
    async fn prediction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name; excludes `weights`. Default: the default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights; mutually exclusive with `profile`")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list", default = "1001_movies")] list: String,
    ) -> Option<Result<Prediction, ApiError>> {
        let context = context(ctx);
        let predict = async {
            let params = context.ranking_params(profile, weights, list).await?;
            Prediction::of_movie(context, &self.0, Arc::new(params)).await
        };
        Some(predict.boxed().await)
    }
}

/// Converts loaded values to schema types. Empty if the loader found none.
fn map_loaded<T, U>(loaded: Option<Arc<Vec<T>>>, convert: impl Fn(&T) -> U) -> Vec<U> {
    loaded.iter().flat_map(|values| values.iter()).map(convert).collect()
}

/// Whether a credit belongs to a department. Cast rows of older databases have no department.
fn in_department(credit: &store::Credit, name: &str) -> bool {
    let own = credit.department.as_deref().unwrap_or(if credit.cast { "Acting" } else { "" });
    own.eq_ignore_ascii_case(name)
}

/// The character, job or department of a credit, whichever is known.
fn role(credit: &store::Credit) -> String {
    let role = if credit.cast { credit.character.as_deref() } else { credit.job.as_deref() };
    let otherwise = if credit.cast { "Cast" } else { credit.department.as_deref().unwrap_or("Crew") };
    role.unwrap_or(otherwise).to_owned()
}

/// A genre.
#[derive(SimpleObject)]
pub(super) struct Genre {
    /// TMDb ID. Null if the genre comes from another source.
    tmdb_id: Option<i32>,
    /// Name.
    name: String,
}

impl From<&store::Genre> for Genre {
    fn from(genre: &store::Genre) -> Self {
        Self { tmdb_id: genre.tmdb_id, name: genre.name.clone() }
    }
}

/// A country.
#[derive(SimpleObject)]
pub(super) struct Country {
    /// ISO 3166-1 alpha-2 code.
    code: String,
    /// Name.
    name: String,
}

impl From<&store::Country> for Country {
    fn from(country: &store::Country) -> Self {
        Self { code: country.code.clone(), name: country.name.clone() }
    }
}

/// Membership of a movie in a list.
#[derive(SimpleObject)]
pub(super) struct ListMembership {
    /// Key of the list.
    key: String,
    /// Display name of the list.
    name: String,
    /// Position on the list. Null if the list is not ordered.
    position: Option<i32>,
    /// Edition of the list that added the movie. Null if unknown.
    edition: Option<String>,
}

/// An external rating or other metric of a movie, from one source.
#[derive(SimpleObject)]
pub(super) struct Metric {
    /// Source: tmdb, imdb, metacritic, rotten_tomatoes, …
    source: String,
    /// Type: rating_average, metascore, tomatometer, popularity_score, …
    r#type: String,
    /// Value. Null if the source provides no number.
    value: Option<f64>,
    /// When the value was fetched from the source.
    fetched_at: DateTime<Utc>,
}

/// Award nominations and wins of a movie.
#[derive(SimpleObject)]
pub(super) struct FestivalRecord {
    /// Number of wins.
    wins: usize,
    /// Number of nominations, including wins.
    nominations: usize,
    /// All nominations: latest first, then by organization and category.
    entries: Vec<FestivalEntry>,
}

/// An award nomination.
#[derive(SimpleObject)]
pub(super) struct FestivalEntry {
    /// Abbreviation of the organization, such as AMPAS for the Academy Awards.
    organization: String,
    /// Year of the awards ceremony.
    year: i32,
    /// Award category.
    category: String,
    /// Nominated person. Null if the nomination names none.
    person_name: Option<String>,
    /// Whether the nomination won.
    won: bool,
}

/// A person and their roles in a movie.
#[derive(SimpleObject)]
pub(super) struct CreditedPerson {
    /// The person.
    person: Person,
    /// Jobs and characters of the person in this movie.
    roles: Vec<String>,
}

/// One role of one person in one movie.
pub(super) struct Credit {
    credit: store::Credit,
    decade: Option<Decade>,
}

/// One role of one person in one movie.
#[Object]
impl Credit {
    /// TMDb's ID of the credit.
    async fn credit_id(&self) -> &str {
        &self.credit.credit_id
    }

    /// The person.
    async fn person(&self) -> Person {
        Person { person: self.credit.person.clone(), decade: self.decade }
    }

    /// True for cast, false for crew.
    async fn cast(&self) -> bool {
        self.credit.cast
    }

    /// Department; "Acting" for the cast. Null if unknown.
    async fn department(&self) -> Option<&str> {
        self.credit.department.as_deref().or(self.credit.cast.then_some("Acting"))
    }

    /// Job. Null for the cast.
    async fn job(&self) -> Option<&str> {
        self.credit.job.as_deref()
    }

    /// Character. Null for the crew.
    async fn character(&self) -> Option<&str> {
        self.credit.character.as_deref()
    }
}

/// A member of the cast or crew of movies.
pub(super) struct Person {
    person: store::Person,
    /// Decade of the movie that refers to the person, if any; its data version invalidates the person's quality.
    decade: Option<Decade>,
}

impl Person {
    /// The person with this ID; `None` if there is none.
    pub(super) async fn find(context: &RequestContext, id: PersonId) -> Result<Option<Self>, ApiError> {
        let person = context.load(PersonKey(DetailKey { id, decade: None })).await?;
        Ok(person.map(|person| Self { person: store::Person::clone(&person), decade: None }))
    }
}

/// A member of the cast or crew of movies.
#[Object]
impl Person {
    /// Global ID.
    pub(super) async fn id(&self) -> ID {
        NodeId::Person(self.person.id).into()
    }

    /// TMDb ID. Null if unknown.
    async fn tmdb_id(&self) -> Option<i32> {
        self.person.tmdb_id
    }

    /// Name.
    async fn name(&self) -> &str {
        &self.person.name
    }

    /// Quality of the person's record, an input of `PEOPLE_QUALITY`. Null if it has not been computed.
    async fn quality(&self, ctx: &Context<'_>) -> Option<Result<PersonQuality, ApiError>> {
        let quality = context(ctx)
            .load(PersonQualityKey(DetailKey { id: self.person.id, decade: self.decade }))
            .await
            .transpose()?;
        Some(quality.map(|quality| PersonQuality {
            score: quality.score,
            components: Json(quality.components.clone()),
            calculated_at: quality.calculated_at,
        }))
    }
}

/// Quality of a person's record.
#[derive(SimpleObject)]
pub(super) struct PersonQuality {
    /// Quality, 0 to 100, on a logarithmic scale.
    score: f64,
    /// The counts that the score is derived from.
    components: Json<Value>,
    /// When the score was computed.
    calculated_at: DateTime<Utc>,
}
