//! Mutations of weight profiles.

use async_graphql::{Context, ID, Object};

use super::admin_field::admin_field;
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::types::date::Timestamp;
use crate::graphql::types::profile::{Profile, ProfileInput};

/// Mutations of profiles.
#[derive(Default)]
pub(super) struct ProfileMutations;

#[Object]
impl ProfileMutations {
    /// Creates a weight profile. Fails with `CONFLICT` if the name is taken.
    async fn create_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "New state of the profile")] input: ProfileInput,
    ) -> Result<Profile, ApiError> {
        admin_field(ctx, async |services, admin| {
            Ok(Profile(services.profiles.create(&admin, input.try_into()?).await?))
        })
        .await
    }

    /// Replaces the whole state of a weight profile. Fails with `CONFLICT` if the new name is taken or the profile was
    /// changed since `expectedUpdatedAt`, and with `FORBIDDEN` if it would deactivate the default profile.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ID of the profile")] id: ID,
        #[graphql(desc = "New state of the profile")] input: ProfileInput,
        #[graphql(
            desc = "The profile's `updatedAt` as last read. The update fails with `CONFLICT` if it has changed since.\n\
                    Null updates unconditionally"
        )]
        expected_updated_at: Option<Timestamp>,
    ) -> Result<Profile, ApiError> {
        admin_field(ctx, async |services, admin| {
            let id = NodeId::profile(&id, "id")?;
            let updated =
                services.profiles.update(&admin, id, input.try_into()?, expected_updated_at.map(|time| time.0)).await?;
            Ok(Profile(updated))
        })
        .await
    }

    /// Deletes a weight profile and returns its ID. Fails with `FORBIDDEN` for system profiles and the default profile.
    async fn delete_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ID of the profile")] id: ID,
    ) -> Result<ID, ApiError> {
        admin_field(ctx, async |services, admin| {
            services.profiles.delete(&admin, NodeId::profile(&id, "id")?).await?;
            Ok(id)
        })
        .await
    }

    /// Makes this profile the default, which is used when a query names none. Fails with `FORBIDDEN` if it is inactive.
    async fn set_default_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ID of the profile")] id: ID,
    ) -> Result<Profile, ApiError> {
        admin_field(ctx, async |services, admin| {
            Ok(Profile(services.profiles.make_default(&admin, NodeId::profile(&id, "id")?).await?))
        })
        .await
    }
}
