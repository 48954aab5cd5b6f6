//! Weight profiles.

use std::sync::Arc;

use async_graphql::{ID, InputObject, Json, Object};
use serde_json::Value;

use super::date::Timestamp;
use super::weights::{WeightShares, WeightsInput};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::store::{self, ProfileDraft};

/// A named set of weights.
pub(in crate::graphql) struct Profile(pub(crate) Arc<store::Profile>);

/// A named set of weights.
#[Object]
impl Profile {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::Profile(self.0.id).into()
    }

    /// Unique name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Purpose of the profile. Null if there is no description.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The weights, as shares that sum to 1.
    async fn weights(&self) -> WeightShares {
        self.0.weights.into()
    }

    /// The weights by category, such as ratings, awards or people, from which `weights` were derived. Other applications
    /// on the same database use them. Null if the weights were set directly.
    async fn category_weights(&self) -> Option<Json<Value>> {
        self.0.category_weights.clone().map(Json)
    }

    /// Whether queries that name no profile use this one.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// Whether the profile was installed with the database. Such a profile cannot be deleted.
    async fn is_system(&self) -> bool {
        self.0.is_system
    }

    /// Whether the profile can be used in queries.
    async fn active(&self) -> bool {
        self.0.active
    }

    /// When the profile was last changed.
    async fn updated_at(&self) -> Timestamp {
        Timestamp(self.0.updated_at)
    }
}

/// The new state of a weight profile.
#[derive(InputObject)]
pub(in crate::graphql) struct ProfileInput {
    /// Unique name, 1 to 255 characters.
    name: String,
    /// Purpose of the profile, at most 2,000 characters. Null: no description.
    description: Option<String>,
    /// Weights of the profile, on any scale.
    weights: WeightsInput,
    /// Whether the profile can be used in queries.
    #[graphql(default = true)]
    active: bool,
}

impl TryFrom<ProfileInput> for ProfileDraft {
    type Error = ApiError;

    fn try_from(input: ProfileInput) -> Result<Self, ApiError> {
        let weights = input.weights.try_into().map_err(|error: ApiError| error.prefix_field("input"))?;
        Ok(Self { name: input.name, description: input.description, weights, active: input.active })
    }
}
