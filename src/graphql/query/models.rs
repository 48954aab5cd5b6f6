//! Learned rankings: how good they are, and what they have learned.

use async_graphql::{Context, Object};

use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::model::Model;
use crate::graphql::types::ranking_kind::RankingKind;
use crate::services::learned;

/// Queries for learned rankings.
#[derive(Default)]
pub(super) struct ModelQueries;

#[Object]
impl ModelQueries {
    /// Model card of a learned ranking: how well it predicts the list, compared with simple rankings, what it has learned, and
    /// why it is not served if it is not. Null if no ranking of the list was trained yet.
    async fn model(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "Which learned ranking. `FORMULA` has no model", default_with = "RankingKind::Learned")]
        ranking: RankingKind,
    ) -> Option<Result<Model, ApiError>> {
        let context = context(ctx);
        query_field(ctx, async {
            let list = context.list(list).await?;
            let variant = learned::RankingKind::from(ranking).variant();
            let variant = variant.ok_or_else(|| ApiError::bad_input("ranking", "is FORMULA, which is not learned"))?;
            let learned = &context.services().learned;
            let Some(state) = learned.state(&list, variant).await? else { return Ok(None) };
            let model = match &state.served {
                Some(served) => learned.ranking(served.id).await?,
                None => None,
            };
            Ok(Some(Model { list, ranking, state, model }))
        })
        .await
        .transpose()
    }
}
