//! People and their credits.

use std::sync::Arc;

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use serde_json::Value;

use super::date::{Date, Timestamp};
use crate::graphql::context::{RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::loaders::{PersonKey, PersonQualityKey};
use crate::scoring::Decade;
use crate::services::movies::DetailKey;
use crate::store::{self, PersonId};

/// A person and their roles in a movie.
#[derive(SimpleObject)]
pub(in crate::graphql) struct CreditedPerson {
    /// The person.
    person: Person,
    /// Jobs and characters of the person in this movie. For an unknown one: "Cast", the department or "Crew".
    roles: Vec<String>,
}

impl CreditedPerson {
    /// The first people of these credits, at most `limit`, each once and with all their roles. `decade` is that of the
    /// movie.
    pub(in crate::graphql) fn of(credits: &[store::Credit], decade: Option<Decade>, limit: usize) -> Vec<Self> {
        let mut people: Vec<Self> = Vec::new();
        for credit in credits {
            let role = role(credit);
            if let Some(known) = people.iter_mut().find(|known| known.person.person.id == credit.person.id) {
                known.roles.push(role);
            } else if people.len() < limit {
                people.push(Self { person: Person::credited(&credit.person, decade), roles: vec![role] });
            }
        }
        people
    }
}

/// The character of a credit of the cast, or the job of a credit of the crew. If it is unknown, `Cast` or the
/// department.
fn role(credit: &store::Credit) -> String {
    let role = if credit.cast { credit.character.as_deref() } else { credit.job.as_deref() };
    let otherwise = if credit.cast { "Cast" } else { credit.department.as_deref().unwrap_or("Crew") };
    role.unwrap_or(otherwise).to_owned()
}

/// One role of one person in one movie.
pub(in crate::graphql) struct Credit {
    pub(in crate::graphql) credit: store::Credit,
    /// Decade of the movie.
    pub(in crate::graphql) decade: Option<Decade>,
}

/// One role of one person in one movie.
#[Object]
impl Credit {
    /// Unique ID of the credit; TMDb's if the credit comes from TMDb.
    async fn credit_id(&self) -> &str {
        &self.credit.credit_id
    }

    /// The person.
    async fn person(&self) -> Person {
        Person::credited(&self.credit.person, self.decade)
    }

    /// True for cast, false for crew.
    async fn cast(&self) -> bool {
        self.credit.cast
    }

    /// Department; "Acting" for the cast. Null if unknown.
    async fn department(&self) -> Option<&str> {
        self.credit.department.as_deref().or(self.credit.cast.then_some("Acting"))
    }

    /// Job. Null for the cast, and if unknown.
    async fn job(&self) -> Option<&str> {
        self.credit.job.as_deref()
    }

    /// Character. Null for the crew, and if unknown.
    async fn character(&self) -> Option<&str> {
        self.credit.character.as_deref()
    }
}

/// Whether a credit belongs to a department. Cast rows of older databases have no department.
pub(in crate::graphql) fn in_department(credit: &store::Credit, name: &str) -> bool {
    let own = credit.department.as_deref().unwrap_or(if credit.cast { "Acting" } else { "" });
    own.eq_ignore_ascii_case(name)
}

/// A member of the cast or crew of movies.
pub(in crate::graphql) struct Person {
    person: store::Person,
    /// Decade of the movie that the person was reached from; `None` if no movie was. The data version of this decade
    /// invalidates the person's cached quality.
    decade: Option<Decade>,
}

impl Person {
    /// The person with this ID; `None` if there is none.
    pub(in crate::graphql) async fn find(context: &RequestContext, id: PersonId) -> Result<Option<Self>, ApiError> {
        let known = context.load(PersonKey(DetailKey { id, decade: None })).await?;
        Ok(known.map(|known| Self { person: known.person.clone(), decade: None }))
    }

    /// A person with a credit of a movie of this decade.
    pub(super) fn credited(person: &store::Person, decade: Option<Decade>) -> Self {
        Self { person: person.clone(), decade }
    }

    /// What is known of the person's life; `None` if the person was deleted in the meantime.
    async fn biography_of(&self, ctx: &Context<'_>) -> Result<Option<Arc<store::Biography>>, ApiError> {
        context(ctx).load(PersonKey(DetailKey { id: self.person.id, decade: self.decade })).await
    }
}

/// A member of the cast or crew of movies.
#[Object]
impl Person {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
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

    /// IMDb ID, such as "nm0905154". Null if unknown.
    async fn imdb_id(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.imdb_id.clone()))
    }

    /// Page of the person at TMDb. Null without a TMDb ID.
    async fn tmdb_url(&self) -> Option<String> {
        self.person.tmdb_id.map(|id| format!("https://www.themoviedb.org/person/{id}"))
    }

    /// Text about the person's life and work. Null if unknown.
    async fn biography(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.text.clone()))
    }

    /// Date of birth. Null if unknown.
    async fn birthday(&self, ctx: &Context<'_>) -> Result<Option<Date>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.birthday).map(Date))
    }

    /// Date of death. Null if unknown, or if the person is alive.
    async fn deathday(&self, ctx: &Context<'_>) -> Result<Option<Date>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.deathday).map(Date))
    }

    /// Place of birth. Null if unknown.
    async fn place_of_birth(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.place_of_birth.clone()))
    }

    /// Department that the person is known for, such as Acting or Directing. Null if unknown.
    async fn known_for_department(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.known_for_department.clone()))
    }

    /// Path of the person's portrait on TMDb's image server, used like `Movie.posterPath`. Null if unknown.
    async fn profile_path(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.profile_path.clone()))
    }

    /// Quality of the person's record. Null if it has not been computed.
    async fn quality(&self, ctx: &Context<'_>) -> Option<Result<PersonQuality, ApiError>> {
        let quality = context(ctx)
            .load(PersonQualityKey(DetailKey { id: self.person.id, decade: self.decade }))
            .await
            .transpose()?;
        Some(quality.map(|quality| PersonQuality {
            score: quality.score,
            components: Json(quality.components.clone()),
            calculated_at: Timestamp(quality.calculated_at),
        }))
    }
}

/// How good a person's record is: number of movies, list memberships, highly rated movies, nominations and wins. The
/// criterion `PEOPLE_QUALITY` is derived from it.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PersonQuality {
    /// Quality from 0 to 100, on a logarithmic scale.
    score: f64,
    /// The counts that the score is derived from: `total_count` (movies), `canonical_count` (list memberships),
    /// `high_rated_count`, `festival_nominations` and `festival_wins`, `direct_…` for those of the person, and their
    /// weighted sum `raw_score`. A host application may use other keys.
    components: Json<Value>,
    /// When the score was computed.
    calculated_at: Timestamp,
}
