//! People and their credits.

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use serde_json::Value;

use super::date::Timestamp;
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
                people.push(Self { person: Person { person: credit.person.clone(), decade }, roles: vec![role] });
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
        let person = context.load(PersonKey(DetailKey { id, decade: None })).await?;
        Ok(person.map(|person| Self { person: store::Person::clone(&person), decade: None }))
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
