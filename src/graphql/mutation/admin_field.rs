//! Authentication of mutations.

use async_graphql::Context;

use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::metrics::{GraphqlMetrics, TokenRejection};
use crate::graphql::root_fields::instrument_field;
use crate::services::{Administrator, Bearer, ServiceError, Services};

/// Resolves a root field of the mutations: authenticates the administrator by the token of the request, then runs
/// `change`. All of it is measured as the field.
///
/// # Errors
/// Those of the authentication, before `change` runs, and those of `change`.
pub(super) async fn admin_field<T>(
    ctx: &Context<'_>,
    change: impl AsyncFnOnce(&Services, Administrator) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    instrument_field("Mutation", ctx, async {
        let services = context(ctx).services();
        let admin = services.auth.authenticate(ctx.data_opt::<Bearer>()).await;
        if let Some(reason) = admin.as_ref().err().and_then(token_rejection) {
            ctx.data_unchecked::<GraphqlMetrics>().admin_token_rejected(reason);
        }
        change(services, admin?).await
    })
    .await
}

/// Why a token was rejected. `None` for all other errors, such as a missing token, which are not counted as rejected
/// tokens.
fn token_rejection(error: &ServiceError) -> Option<TokenRejection> {
    match error {
        ServiceError::InvalidToken => Some(TokenRejection::Invalid),
        ServiceError::TooManyInvalidTokens => Some(TokenRejection::RateLimit),
        _ => None,
    }
}
