//! Objects by global ID.

use async_graphql::{Context, ID, Interface, Object};

use crate::graphql::complexity;
use crate::graphql::context::{RequestContext, context};
use crate::graphql::error::ApiError;
use crate::graphql::id::NodeId;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::movie_prediction::{Movie, Person, Prediction};
use crate::graphql::types::profile::Profile;

/// Maximum number of IDs in `nodes`: the maximum page size.
const MAX_NODE_IDS: usize = 100;

/// An object with a global ID, which `node` and `nodes` can load.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Global ID"))]
pub(super) enum Node {
    Movie(Movie),
    Person(Person),
    Profile(Profile),
    Prediction(Prediction),
}

impl Node {
    /// The object with a global ID; `None` if it does not exist, or if `id` is not a global ID of this service.
    async fn find(context: &RequestContext, id: &ID) -> Result<Option<Self>, ApiError> {
        match NodeId::read(id) {
            Some(NodeId::Movie(id)) => Ok(context.load(id).await?.map(|movie| Self::Movie(Movie(movie)))),
            Some(NodeId::Profile(id)) => {
                let profile = context.profiles().await?.iter().find(|profile| profile.id == id);
                Ok(profile.cloned().map(|profile| Self::Profile(Profile(profile))))
            }
            Some(NodeId::Person(id)) => Ok(Person::find(context, id).await?.map(Self::Person)),
            Some(NodeId::Prediction(id, ranking)) => {
                Ok(Prediction::find(context, id, &ranking).await?.map(Self::Prediction))
            }
            None => Ok(None),
        }
    }
}

/// Queries for objects by global ID.
#[derive(Default)]
pub(super) struct NodeQueries;

#[Object]
impl NodeQueries {
    /// The movie, person, profile or prediction with this global ID. Null if it does not exist. A prediction is computed
    /// again: its rank and score are the current ones. Null also for the prediction of a learned ranking that is no longer
    /// served.
    #[graphql(complexity = "complexity::RANK + child_complexity")]
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Global ID")] id: ID) -> Option<Result<Node, ApiError>> {
        query_field(ctx, Node::find(context(ctx), &id)).await.transpose()
    }

    /// Movies, people, profiles and predictions by global ID, as `node` returns them, in the order of `ids`. An entry is null
    /// if its object does not exist.
    #[graphql(complexity = "ids.len().min(MAX_NODE_IDS) * (complexity::RANK + child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global IDs, at most 100")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>, ApiError> {
        query_field(ctx, async {
            if ids.len() > MAX_NODE_IDS {
                return Err(ApiError::bad_input(
                    "ids",
                    format!("has {} IDs, expected {MAX_NODE_IDS} at most", ids.len()),
                ));
            }
            futures_util::future::try_join_all(ids.iter().map(|id| Node::find(context(ctx), id))).await
        })
        .await
    }
}
