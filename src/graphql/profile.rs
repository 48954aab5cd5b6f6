//! Weight profiles.

use std::sync::Arc;

use async_graphql::{ID, InputObject, Json, Object};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::error::ApiError;
use super::id::NodeId;
use super::prediction::{WeightShares, WeightsInput};
use crate::store::{self, ProfileDraft};

/// Named weights: one taste.
pub(super) struct Profile(pub(super) Arc<store::Profile>);

/// Named weights: one taste.
#[Object]
impl Profile {
    /// Global id.
    pub(super) async fn id(&self) -> ID {
        NodeId::Profile(self.0.id).into()
    }

    /// Its name, unique.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Its weights: shares that sum to 1.
    async fn weights(&self) -> WeightShares {
        self.0.weights.into()
    }

    /// The category weights, as stored, that its weights were mapped from; null where they were set one by one.
    async fn category_weights(&self) -> Option<Json<Value>> {
        self.0.category_weights.clone().map(Json)
    }

    /// Whether it is used where a query names no profile.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// Whether it came with the database.
    async fn is_system(&self) -> bool {
        self.0.is_system
    }

    /// Whether it can be asked for.
    async fn active(&self) -> bool {
        self.0.active
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// What a weight profile shall be.
#[derive(InputObject)]
pub(super) struct ProfileInput {
    /// Its name, which no other profile has; 1 to 255 characters.
    name: String,
    /// What it is for; 2,000 characters at most.
    description: Option<String>,
    /// Its weights.
    weights: WeightsInput,
    /// Whether it can be asked for.
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
