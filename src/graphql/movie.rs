//! Movies, and what hangs on them.

use std::sync::Arc;

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use chrono::{DateTime, Datelike, Utc};
use futures_util::FutureExt;
use serde_json::Value;

use super::connection::{Connection, CountFields, CursorScope, Edge, TitleCursor, page_size};
use super::context::{RequestContext, context};
use super::error::ApiError;
use super::id::NodeId;
use super::loaders::{CountriesOf, CreditsOf, FestivalsOf, GenresOf, LiveScoreOf, MetricsOf, QualityOf};
use super::prediction::{Prediction, WeightsInput};
use super::scalars::Date;
use crate::scoring::{Decade, MovieId, Standing};
use crate::services::catalogue::DetailKey;
use crate::store;
use crate::telemetry::ErrorCode;

impl RequestContext {
    /// A movie that an answer speaks of.
    pub(super) async fn movie(&self, id: MovieId) -> Result<Movie, ApiError> {
        self.load(id).await?.map(Movie).ok_or_else(gone)
    }

    /// The score of a movie that an answer speaks of, computed for it alone.
    pub(super) async fn live_score(&self, id: MovieId) -> Result<store::LiveScore, ApiError> {
        self.load(LiveScoreOf(id)).await?.ok_or_else(gone)
    }
}

/// Pages of movies, by title.
pub(super) type MovieConnection = async_graphql::connection::Connection<TitleCursor, Movie>;

/// A movie that was there a moment ago.
fn gone() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the movie has been deleted meanwhile")
}

/// A movie.
pub(super) struct Movie(pub(super) Arc<store::Movie>);

impl Movie {
    /// Whose details these are, and the decade whose changes they follow.
    fn of(&self) -> DetailKey<MovieId> {
        DetailKey { id: self.0.id, decade: self.0.release_date.and_then(Decade::of) }
    }
}

/// A movie.
#[Object]
impl Movie {
    /// Global id.
    pub(super) async fn id(&self) -> ID {
        NodeId::Movie(self.0.id).into()
    }

    /// Its id at TMDb; null where no source has mapped it.
    async fn tmdb_id(&self) -> Option<i32> {
        self.0.tmdb_id
    }

    /// Its id at IMDb, "tt…".
    async fn imdb_id(&self) -> Option<&str> {
        self.0.imdb_id.as_deref()
    }

    /// Its title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// When it was first shown.
    async fn release_date(&self) -> Option<Date> {
        self.0.release_date.map(Date)
    }

    /// The year in which it was first shown.
    async fn year(&self) -> Option<i32> {
        self.0.release_date.map(|day| day.year())
    }

    /// First year of the decade in which it was first shown.
    async fn decade(&self) -> Option<i32> {
        self.0.release_date.and_then(Decade::of).map(Decade::year)
    }

    /// The language that it was made in, two letters.
    async fn original_language(&self) -> Option<&str> {
        self.0.original_language.as_deref()
    }

    /// Path of its poster at TMDb's image server.
    async fn poster_path(&self) -> Option<&str> {
        self.0.poster_path.as_deref()
    }

    /// Its genres, by name.
    async fn genres(&self, ctx: &Context<'_>) -> Result<Vec<Genre>, ApiError> {
        let genres = context(ctx).load(GenresOf(self.of())).await?;
        Ok(each(genres, |genre| Genre::from(genre)))
    }

    /// The countries that produced it, by code.
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<Country>, ApiError> {
        let countries = context(ctx).load(CountriesOf(self.of())).await?;
        Ok(each(countries, |country| country.into()))
    }

    /// The lists that it is on, by key.
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

    /// What others measured of it, by source and type.
    async fn metrics(&self, ctx: &Context<'_>) -> Result<Vec<Metric>, ApiError> {
        let metrics = context(ctx).load(MetricsOf(self.of())).await?;
        Ok(each(metrics, |metric| Metric {
            source: metric.source.clone(),
            r#type: metric.metric_type.clone(),
            value: metric.value,
            fetched_at: metric.fetched_at,
        }))
    }

    /// Its nominations and wins.
    async fn festivals(&self, ctx: &Context<'_>) -> Result<FestivalRecord, ApiError> {
        let entries = context(ctx).load(FestivalsOf(self.of())).await?;
        let entries = each(entries, |entry| FestivalEntry {
            organization: entry.organization.clone(),
            year: entry.year,
            category: entry.category.clone(),
            person_name: entry.person_name.clone(),
            won: entry.won,
        });
        let wins = entries.iter().filter(|entry| entry.won).count();
        Ok(FestivalRecord { wins, nominations: entries.len(), entries })
    }

    /// The people credited for it, each once: directors, then the cast as billed, then the rest of the crew.
    #[graphql(complexity = "usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn people(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "People at most, 1 to 100", default = 10)] first: i32,
    ) -> Result<Vec<CreditedPerson>, ApiError> {
        let first = page_size(first)?;
        let credits = context(ctx).load(CreditsOf(self.of())).await?;
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

    /// Who did what for it: directors, then the cast as billed, then the rest of the crew.
    #[graphql(complexity = "5 + usize::try_from(first).unwrap_or(0).min(100) * child_complexity")]
    async fn credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this department, such as Directing; the cast is Acting")] department: Option<String>,
        #[graphql(desc = "Credits at most, 1 to 100", default = 25)] first: i32,
        #[graphql(desc = "Cursor of the last credit of the page before")] after: Option<String>,
    ) -> Result<Connection<Credit, CountFields>, ApiError> {
        let first = page_size(first)?;
        let scope_of = [&self.0.id.to_string(), department.as_deref().unwrap_or("*")];
        let cursors = CursorScope::of(&["credits", scope_of[0], scope_of[1]]);
        let after = cursors.read(after.as_deref())?;
        let credits = context(ctx).load(CreditsOf(self.of())).await?;
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

    /// How it scores; the arguments are those of the query `predictions`.
    #[graphql(complexity = "2 + child_complexity")]
    async fn prediction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of a profile; excludes `weights`. Neither: the default profile")] profile: Option<
            String,
        >,
        #[graphql(desc = "Weights of your own; excludes `profile`")] weights: Option<WeightsInput>,
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

/// What a loader gave, as schema types; empty where it gave nothing.
fn each<T, U>(loaded: Option<Arc<Vec<T>>>, convert: impl Fn(&T) -> U) -> Vec<U> {
    loaded.iter().flat_map(|values| values.iter()).map(convert).collect()
}

/// Whether a credit is of a department. Cast rows of older databases name none.
fn in_department(credit: &store::Credit, name: &str) -> bool {
    let own = credit.department.as_deref().unwrap_or(if credit.cast { "Acting" } else { "" });
    own.eq_ignore_ascii_case(name)
}

/// What somebody did, in a few words.
fn role(credit: &store::Credit) -> String {
    let role = if credit.cast { credit.character.as_deref() } else { credit.job.as_deref() };
    let otherwise = if credit.cast { "Cast" } else { credit.department.as_deref().unwrap_or("Crew") };
    role.unwrap_or(otherwise).to_owned()
}

/// A genre.
#[derive(SimpleObject)]
pub(super) struct Genre {
    /// Its id at TMDb; null where it is of another source.
    tmdb_id: Option<i32>,
    /// Its name.
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
    /// ISO 3166-1, two letters.
    code: String,
    /// Its name.
    name: String,
}

impl From<&store::Country> for Country {
    fn from(country: &store::Country) -> Self {
        Self { code: country.code.clone(), name: country.name.clone() }
    }
}

/// A movie's place on one list.
#[derive(SimpleObject)]
pub(super) struct ListMembership {
    /// The list's key.
    key: String,
    /// What the list is called.
    name: String,
    /// Its number on the list, where the list numbers its films.
    position: Option<i32>,
    /// The edition that it was added in.
    edition: Option<String>,
}

/// A number about a movie, from one source.
#[derive(SimpleObject)]
pub(super) struct Metric {
    /// Who says so: tmdb, imdb, metacritic, rotten_tomatoes, …
    source: String,
    /// What it is: rating_average, metascore, tomatometer, popularity_score, …
    r#type: String,
    /// The number; null where the source gives a text, or no number.
    value: Option<f64>,
    /// When it was taken.
    fetched_at: DateTime<Utc>,
}

/// A movie's nominations and wins.
#[derive(SimpleObject)]
pub(super) struct FestivalRecord {
    /// Nominations that won.
    wins: usize,
    /// All nominations, won ones included.
    nominations: usize,
    /// Each of them: latest first, then by organization and category.
    entries: Vec<FestivalEntry>,
}

/// A nomination, won or not.
#[derive(SimpleObject)]
pub(super) struct FestivalEntry {
    /// Abbreviation of the organization, such as AMPAS for the Academy Awards.
    organization: String,
    /// Year of the ceremony.
    year: i32,
    /// Category.
    category: String,
    /// Who was nominated, where somebody is named.
    person_name: Option<String>,
    /// Whether it won.
    won: bool,
}

/// Somebody who worked on a movie, and as what.
#[derive(SimpleObject)]
pub(super) struct CreditedPerson {
    /// Who.
    person: Person,
    /// Their jobs and characters.
    roles: Vec<String>,
}

/// One thing that one person did for one movie.
pub(super) struct Credit {
    credit: store::Credit,
    decade: Option<Decade>,
}

/// One thing that one person did for one movie.
#[Object]
impl Credit {
    /// TMDb's id of the credit.
    async fn credit_id(&self) -> &str {
        &self.credit.credit_id
    }

    /// Who.
    async fn person(&self) -> Person {
        Person { person: self.credit.person.clone(), decade: self.decade }
    }

    /// Whether they acted; otherwise they were of the crew.
    async fn cast(&self) -> bool {
        self.credit.cast
    }

    /// The department; "Acting" for the cast.
    async fn department(&self) -> Option<&str> {
        self.credit.department.as_deref().or(self.credit.cast.then_some("Acting"))
    }

    /// The job; null for the cast.
    async fn job(&self) -> Option<&str> {
        self.credit.job.as_deref()
    }

    /// The character; null for the crew.
    async fn character(&self) -> Option<&str> {
        self.credit.character.as_deref()
    }
}

/// Somebody who works on movies.
pub(super) struct Person {
    person: store::Person,
    /// Of the movie that it is a person of.
    decade: Option<Decade>,
}

/// Somebody who works on movies.
#[Object]
impl Person {
    /// Global id.
    async fn id(&self) -> ID {
        NodeId::Person(self.person.id).into()
    }

    /// Their id at TMDb; null where no source has mapped them.
    async fn tmdb_id(&self) -> Option<i32> {
        self.person.tmdb_id
    }

    /// Their name.
    async fn name(&self) -> &str {
        &self.person.name
    }

    /// How much their record speaks for a movie; null where it was not computed.
    async fn quality(&self, ctx: &Context<'_>) -> Option<Result<PersonQuality, ApiError>> {
        let quality =
            context(ctx).load(QualityOf(DetailKey { id: self.person.id, decade: self.decade })).await.transpose()?;
        Some(quality.map(|quality| PersonQuality {
            score: quality.score,
            components: Json(quality.components.clone()),
            calculated_at: quality.calculated_at,
        }))
    }
}

/// How much a person's record speaks for a movie.
#[derive(SimpleObject)]
pub(super) struct PersonQuality {
    /// 0 to 100, logarithmic.
    score: f64,
    /// The counts that it was made of.
    components: Json<Value>,
    /// When it was computed.
    calculated_at: DateTime<Utc>,
}
