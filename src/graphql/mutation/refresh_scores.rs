//! Rescoring of movies on request.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::admin_field::admin_field;
use crate::graphql::error::ApiError;
use crate::graphql::id::{NodeId, opaque};
use crate::graphql::types::date::Timestamp;

/// The mutation that queues movies for rescoring.
#[derive(Default)]
pub(super) struct RefreshMutations;

#[Object]
impl RefreshMutations {
    /// Queues movies for rescoring. A background task processes the queue: a few movies take seconds.
    async fn refresh_scores(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global IDs of movies, 1 to 10,000. Null rescores all movies")] movie_ids: Option<Vec<ID>>,
    ) -> Result<RefreshJob, ApiError> {
        admin_field(ctx, async |services, admin| {
            let read = |(index, id): (usize, &ID)| NodeId::movie(id, &format!("movieIds[{index}]"));
            let ids = movie_ids.map(|ids| ids.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>());
            let (request, movies) = services.request_scores(&admin, ids.transpose()?).await?;
            Ok(RefreshJob {
                id: opaque(format!("RefreshJob:{}", request.last_entry).as_bytes()),
                films: movies,
                all: movies.is_none(),
                queued_at: Timestamp(request.queued_at),
            })
        })
        .await
    }
}

/// Movies queued for rescoring by one request.
#[derive(SimpleObject)]
struct RefreshJob {
    /// Opaque ID of this rescoring request, for your own records: no query accepts it.
    id: ID,
    /// Number of distinct movies queued. Null if all movies were queued.
    films: Option<usize>,
    /// Whether all movies were queued.
    all: bool,
    /// When the movies were queued.
    queued_at: Timestamp,
}
