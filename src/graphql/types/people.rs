//! What is known of people, and the roles of credits. `movie_prediction.rs` has what refers to movies.

use std::sync::Arc;

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use serde_json::Value;

use super::date::{Date, Timestamp};
use super::movie_links::{key, with_plain_text};
use crate::graphql::context::{RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::loaders::{PersonKey, PersonQualityKey};
use crate::scoring::Decade;
use crate::services::movies::DetailKey;
use crate::store::{self, PersonId};

/// The character of a credit of the cast, or the job of a credit of the crew. If it is unknown, `Cast` or the
/// department.
pub(super) fn role(credit: &store::Credit) -> String {
    let role = if credit.cast { credit.character.as_deref() } else { credit.job.as_deref() };
    let otherwise = if credit.cast { "Cast" } else { credit.department.as_deref().unwrap_or("Crew") };
    role.unwrap_or(otherwise).to_owned()
}

/// Whether a credit belongs to a department. Cast rows of older databases have no department.
pub(super) fn in_department(credit: &store::Credit, name: &str) -> bool {
    let own = credit.department.as_deref().unwrap_or(if credit.cast { "Acting" } else { "" });
    own.eq_ignore_ascii_case(name)
}

/// A member of the cast or crew of movies.
pub(super) struct PersonFacts {
    pub(super) person: store::Person,
    /// Decade of the movie that the person was reached from; `None` if no movie was. The data version of this decade
    /// invalidates the person's cached quality.
    decade: Option<Decade>,
}

/// What the slug of a person begins with.
pub(in crate::graphql) enum PersonSlug {
    Tmdb(i32),
    Id(PersonId),
}

impl PersonSlug {
    /// `None` if the text is not the slug of a person.
    pub(in crate::graphql) fn read(slug: &str) -> Option<Self> {
        let key = key(slug);
        if key.bytes().all(|byte| byte.is_ascii_digit()) {
            return key.parse().ok().map(Self::Tmdb);
        }
        match NodeId::read(&ID::from(key)) {
            Some(NodeId::Person(id)) => Some(Self::Id(id)),
            _ => None,
        }
    }
}

impl PersonFacts {
    /// The person with this ID; `None` if there is none.
    pub(super) async fn find(context: &RequestContext, id: PersonId) -> Result<Option<Self>, ApiError> {
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
impl PersonFacts {
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

    /// IMDb ID, such as "nm0905154". Null if unknown.
    async fn imdb_id(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(self.biography_of(ctx).await?.and_then(|known| known.imdb_id.clone()))
    }

    /// Name of the person in URLs: the TMDb ID, or the global ID of a person without one, and the name in plain letters, such as
    /// "6384-keanu-reeves". Changes with the name; `person(by: { slug })` reads the part before the first hyphen.
    async fn slug(&self) -> String {
        let key = self.person.tmdb_id.map_or_else(|| ID::from(NodeId::Person(self.person.id)).0, |id| id.to_string());
        with_plain_text(key, &self.person.name)
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
