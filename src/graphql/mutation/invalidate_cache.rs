//! Invalidation of cached responses and results.

use async_graphql::{Context, InputObject, Object, OneofObject, SimpleObject};

use super::admin_field::admin_field;
use crate::graphql::error::ApiError;
use crate::graphql::types::profile::Profile;
use crate::services::invalidation::{self, Target};
use crate::versions::Scope;

/// The mutation that invalidates cached responses and results.
#[derive(Default)]
pub(super) struct CacheMutations;

#[Object]
impl CacheMutations {
    /// Invalidates cached responses and results on all instances; the next requests recompute them.
    async fn invalidate_cache(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to invalidate")] scope: InvalidateScope,
    ) -> Result<Invalidation, ApiError> {
        admin_field(ctx, async |services, admin| Ok(services.invalidate(&admin, scope.try_into()?).await?.into())).await
    }
}

/// What to invalidate: exactly one field.
#[derive(OneofObject)]
enum InvalidateScope {
    /// Invalidate everything. Must be `true`.
    All(bool),
    /// Invalidate predictions, confirmed additions and validations of a list in a decade.
    Decade(ListDecadeInput),
    /// The name of a profile: invalidate all results that were computed with its weights.
    Profile(String),
}

/// A list in a decade.
#[derive(InputObject)]
struct ListDecadeInput {
    /// Key of the list.
    list: String,
    /// First year of the decade, such as 1990.
    decade: i32,
}

impl TryFrom<InvalidateScope> for Target {
    type Error = ApiError;

    fn try_from(scope: InvalidateScope) -> Result<Self, ApiError> {
        match scope {
            InvalidateScope::All(true) => Ok(Self::All),
            InvalidateScope::All(false) => Err(ApiError::bad_input("scope.all", "is false, expected true")),
            InvalidateScope::Decade(ListDecadeInput { list, decade }) => Ok(Self::Decade { list, decade }),
            InvalidateScope::Profile(name) => Ok(Self::Profile(name)),
        }
    }
}

/// Result of an invalidation.
#[derive(SimpleObject)]
struct Invalidation {
    /// Whether everything was invalidated.
    all: bool,
    /// Key of the list, if the scope was a decade.
    list: Option<String>,
    /// First year of the decade, if the scope was a decade.
    decade: Option<i32>,
    /// The profile, if the scope was a profile.
    profile: Option<Profile>,
    /// Number of data versions raised. A data version counts the changes of one part of the data, such as the scores of
    /// a decade; raising it invalidates the cached values that were derived from this part.
    versions: usize,
    /// Number of entries with scores, rankings or validations that were invalidated in the caches of the instance that
    /// executed this mutation. Cached responses and movie details are not counted. Other instances invalidate their own
    /// entries.
    entries: usize,
}

impl From<invalidation::Invalidation> for Invalidation {
    fn from(done: invalidation::Invalidation) -> Self {
        let (list, decade) = match &done.scope {
            Some(Scope::List(list, decade)) => (Some(list.clone()), Some(decade.year())),
            _ => (None, None),
        };
        Self {
            all: done.scope.is_none(),
            list,
            decade,
            profile: done.profile.map(Profile),
            versions: done.versions,
            entries: done.entries,
        }
    }
}
