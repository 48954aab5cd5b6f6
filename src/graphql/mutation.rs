//! The root of all changes: each takes an administrator.

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

/// Everything that can be changed. Takes an admin token: the header `Authorization: Bearer …`.
pub struct Mutation;

/// Everything that can be changed. Takes an admin token: the header `Authorization: Bearer …`.
#[Object]
impl Mutation {
    /// Makes a weight profile. CONFLICT: its name is taken.
    async fn create_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it shall be")] input: ProfileInput,
    ) -> Result<Profile, ApiError> {
        root(ctx, async |services, admin| Ok(Profile(services.profiles.create(&admin, input.try_into()?).await?))).await
    }

    /// Makes a weight profile what the input says, all of it. CONFLICT: its new name is taken, or it was changed
    /// meanwhile. FORBIDDEN: the default would become inactive.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id")] id: ID,
        #[graphql(desc = "What it shall be")] input: ProfileInput,
        #[graphql(
            desc = "Its `updatedAt` when it was read; nothing is changed if it has another one by now. Null: it is \
                    changed in any case"
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

    /// Removes a weight profile; returns its id. FORBIDDEN: it came with the database, or is the default.
    async fn delete_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id")] id: ID,
    ) -> Result<ID, ApiError> {
        root(ctx, async |services, admin| {
            services.profiles.delete(&admin, NodeId::profile(&id, "id")?).await?;
            Ok(id)
        })
        .await
    }

    /// Lets questions that name no profile be asked under this one. FORBIDDEN: it is not active.
    async fn set_default_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id")] id: ID,
    ) -> Result<Profile, ApiError> {
        root(ctx, async |services, admin| {
            Ok(Profile(services.profiles.make_default(&admin, NodeId::profile(&id, "id")?).await?))
        })
        .await
    }

    /// Lets answers be computed anew, on every instance, before they are served again.
    async fn invalidate_cache(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which answers")] scope: InvalidateScope,
    ) -> Result<Invalidation, ApiError> {
        root(ctx, async |services, admin| Ok(services.invalidate(&admin, scope.try_into()?).await?.into())).await
    }

    /// Queues movies to be scored anew. They are as soon as background jobs run, within seconds for a few.
    async fn refresh_scores(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ids of movies, 1 to 10,000. Null: all movies")] movie_ids: Option<Vec<ID>>,
    ) -> Result<RefreshJob, ApiError> {
        root(ctx, async |services, admin| {
            let read = |(place, id): (usize, &ID)| NodeId::movie(id, &format!("movieIds[{place}]"));
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

/// A root field that only administrators reach.
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

/// Which answers are to be computed anew.
#[derive(OneofObject)]
enum InvalidateScope {
    /// All; only true makes sense.
    All(bool),
    /// Predictions and confirmed additions of a list in a decade.
    Decade(ListDecadeInput),
    /// Those under the weights of a profile, by its name.
    Profile(String),
}

/// A list in a decade.
#[derive(InputObject)]
struct ListDecadeInput {
    /// The list's key.
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

/// What was invalidated.
#[derive(SimpleObject)]
struct Invalidation {
    /// Whether all was.
    all: bool,
    /// The key of the list, where one was named.
    list: Option<String>,
    /// First year of the decade, where one was named.
    decade: Option<i32>,
    /// The profile, where one was named.
    profile: Option<Profile>,
    /// How many data versions were raised.
    versions: usize,
    /// How many kept values of the instance that answered will not be served any more; others keep their own.
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

/// Movies that were queued to be scored anew.
#[derive(SimpleObject)]
struct RefreshJob {
    /// Of this request alone.
    id: ID,
    /// How many different movies; null where it is all of them.
    films: Option<usize>,
    /// Whether it is all of them.
    all: bool,
    /// When they were queued.
    queued_at: DateTime<Utc>,
}
