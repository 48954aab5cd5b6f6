//! Mutations of lists.

use async_graphql::{Context, Object};

use super::admin_field::admin_field;
use crate::graphql::complexity;
use crate::graphql::error::ApiError;
use crate::graphql::types::date::Timestamp;
use crate::graphql::types::movie_list::MovieList;

/// Mutations of lists.
#[derive(Default)]
pub(super) struct ListMutations;

#[Object]
impl ListMutations {
    /// Makes a list a target list, or no longer. A background task then computes the scores with which the list can be
    /// validated on the basis `BLIND`; `status { targets { key state } }` shows the progress. Fails with `FORBIDDEN` if it
    /// would remove a list that the setting `target_lists` names, and with `CONFLICT` if there are 10 target lists.
    #[graphql(complexity = "complexity::LIST_COUNTS + child_complexity")]
    async fn set_target_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the list")] key: String,
        #[graphql(desc = "Whether it is to be a target list")] target: bool,
    ) -> Result<MovieList, ApiError> {
        admin_field(ctx, async |services, admin| Ok(MovieList(services.set_target_list(&admin, &key, target).await?)))
            .await
    }

    /// Deletes a list and returns its key. Its movies stay, and are no longer on it. Fails with `FORBIDDEN` for a list that
    /// the setting `target_lists` names, and if the lists belong to another application.
    async fn delete_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the list")] key: String,
        #[graphql(
            desc = "The list's `updatedAt` as last read. The deletion fails with `CONFLICT` if it has changed since.\n\
                    Null deletes unconditionally"
        )]
        expected_updated_at: Option<Timestamp>,
    ) -> Result<String, ApiError> {
        admin_field(ctx, async |services, admin| {
            services.delete_list(&admin, &key, expected_updated_at.map(|time| time.0)).await?;
            Ok(key)
        })
        .await
    }
}
