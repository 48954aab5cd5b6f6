//! The mutation root. Every mutation requires an authenticated administrator.

use async_graphql::{Context, ID, InputObject, Object, OneofObject, SimpleObject};
use chrono::{DateTime, Utc};

use super::context::context;
use super::error::ApiError;
use super::id::{NodeId, opaque};
use super::profile::{Profile, ProfileInput};
use super::query::instrument_field;
use crate::services::invalidation::{self, Target};
use crate::services::{Administrator, Bearer, Services};
use crate::versions::Scope;

/// Administrative changes. Require an admin token in the header `Authorization: Bearer …`.
pub struct Mutation;

/// Administrative changes. Require an admin token in the header `Authorization: Bearer …`.
#[Object]
impl Mutation {
    /// Creates a weight profile. Fails with `CONFLICT` if the name is taken.
    async fn create_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new state of the profile")] input: ProfileInput,
    ) -> Result<Profile, ApiError> {
        root(ctx, async |services, admin| Ok(Profile(services.profiles.create(&admin, input.try_into()?).await?))).await
    }

    /// Replaces the whole state of a weight profile. Fails with `CONFLICT` if the new name is taken or the profile was
    /// changed since `expectedUpdatedAt`, and with `FORBIDDEN` if it would deactivate the default profile.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ID of the profile")] id: ID,
        #[graphql(desc = "The new state of the profile")] input: ProfileInput,
        #[graphql(
            desc = "The profile's `updatedAt` as last read. The update fails with `CONFLICT` if it has changed since. \
                    Null updates unconditionally"
        )]
        expected_updated_at: Option<DateTime<Utc>>,
    ) -> Result<Profile, ApiError> {
        root(ctx, async |services, admin| {
            let id = NodeId::profile(&id, "id")?;
            let updated = services.profiles.update(&admin, id, input.try_into()?, expected_updated_at).await?;
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
        root(ctx, async |services, admin| {
            services.profiles.delete(&admin, NodeId::profile(&id, "id")?).await?;
            Ok(id)
        })
        .await
    }

    /// Makes this the profile used when a query names none. Fails with `FORBIDDEN` if the profile is inactive.
    async fn set_default_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ID of the profile")] id: ID,
    ) -> Result<Profile, ApiError> {
        root(ctx, async |services, admin| {
            Ok(Profile(services.profiles.make_default(&admin, NodeId::profile(&id, "id")?).await?))
        })
        .await
    }

    /// Invalidates cached responses on all instances; the next request recomputes them.
    async fn invalidate_cache(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to invalidate")] scope: InvalidateScope,
    ) -> Result<Invalidation, ApiError> {
        root(ctx, async |services, admin| Ok(services.invalidate(&admin, scope.try_into()?).await?.into())).await
    }

    /// Queues movies for rescoring. Background jobs process the queue, within seconds for a few movies.
    async fn refresh_scores(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global IDs of movies, 1 to 10,000. Null rescores all movies")] movie_ids: Option<Vec<ID>>,
    ) -> Result<RefreshJob, ApiError> {
        root(ctx, async |services, admin| {
            let read = |(index, id): (usize, &ID)| NodeId::movie(id, &format!("movieIds[{index}]"));
            let ids = movie_ids.map(|ids| ids.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>());
            let (request, films) = services.request_scores(&admin, ids.transpose()?).await?;
            Ok(RefreshJob {
                id: opaque(format!("RefreshJob:{}", request.last_entry).as_bytes()),
                films,
                all: films.is_none(),
                queued_at: request.queued_at,
            })
        })
        .await
    }
}

/// Instruments a root field and authenticates its administrator.
async fn root<T>(
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

/// What to invalidate: exactly one field.
#[derive(OneofObject)]
enum InvalidateScope {
    /// Invalidate everything. Must be `true`.
    All(bool),
    /// Invalidate predictions and confirmed additions of a list in a decade.
    Decade(ListDecadeInput),
    /// Invalidate results under the weights of this profile, by name.
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
    /// Number of data versions raised.
    versions: usize,
    /// Cached entries invalidated on the responding instance. Other instances invalidate their own.
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

/// Movies queued for rescoring by one request.
#[derive(SimpleObject)]
struct RefreshJob {
    /// ID of the request.
    id: ID,
    /// Number of distinct movies queued. Null if all movies were queued.
    films: Option<usize>,
    /// Whether all movies were queued.
    all: bool,
    /// When the movies were queued.
    queued_at: DateTime<Utc>,
}
