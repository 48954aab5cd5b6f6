//! Weight profiles.

use async_graphql::{Context, Object};

use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::profile::Profile;
use crate::services::profiles::named;

/// Queries for profiles.
#[derive(Default)]
pub(super) struct ProfileQueries;

#[Object]
impl ProfileQueries {
    /// Weight profiles, ordered by name.
    #[graphql(complexity = "complexity::PROFILES * child_complexity")]
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whether to return only active profiles", default = true)] active_only: bool,
    ) -> Result<Vec<Profile>, ApiError> {
        query_field(ctx, async {
            let profiles = context(ctx).profiles().await?.iter();
            Ok(profiles.filter(|profile| profile.active || !active_only).cloned().map(Profile).collect())
        })
        .await
    }

    /// The weight profile with this name, active or not. Null if it does not exist.
    async fn profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the profile")] name: String,
    ) -> Option<Result<Profile, ApiError>> {
        query_field(ctx, async {
            let profiles = context(ctx).profiles().await?;
            Ok(named(profiles, &name).cloned().map(Profile))
        })
        .await
        .transpose()
    }
}
