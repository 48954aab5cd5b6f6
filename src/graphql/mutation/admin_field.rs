//! Authentication of mutations.

use async_graphql::Context;

use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::instrument_field;
use crate::services::{Administrator, Bearer, Services};

/// Instruments a root field and authenticates its administrator.
pub(super) async fn admin_field<T>(
    ctx: &Context<'_>,
    change: impl AsyncFnOnce(&Services, Administrator) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    instrument_field("Mutation", ctx, async {
        let services = context(ctx).services();
        let admin = services.auth.authenticate(ctx.data_opt::<Bearer>()).await?;
        change(services, admin).await
    })
    .await
}
