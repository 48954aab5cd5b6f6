//! Validations: how accurately a ranking would have predicted past decades.

use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::graphql::complexity;
use crate::graphql::context::context;
use crate::graphql::error::ApiError;
use crate::graphql::root_fields::query_field;
use crate::graphql::types::decade_validation::{DecadeValidation, ScoreBasis, ValidationParams};
use crate::graphql::types::ranking_kind::RankingKind;
use crate::graphql::types::validation_report::{ProfileComparison, Validation};
use crate::graphql::types::weights::WeightsInput;
use crate::scoring::Decade;
use crate::services::ServiceError;

/// Queries for validations.
#[derive(Default)]
pub(super) struct ValidationQueries;

#[Object]
impl ValidationQueries {
    /// How accurately a ranking predicts the target list, in all decades before the 2020s. If N movies of a decade are
    /// on the list, the accuracy is the share of them that are in the top N of the ranking.
    #[graphql(complexity = "complexity::ALL_VALIDATIONS + child_complexity")]
    async fn validation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(
            desc = "Which scores to rank by: `BLIND` ones ignore the target list, `AS_PUBLISHED` ones depend on it",
            default
        )]
        basis: ScoreBasis,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Result<Validation, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            check_basis(ranking, basis)?;
            let ranking = Arc::new(context.ranking_params(profile, weights, list, ranking.into()).await?);
            let services = context.services();
            let report = services.validation.of_all(&ranking.list, ranking.for_validation(), basis.into()).await?;
            Ok(Validation { report, params: ValidationParams { ranking, basis } })
        })
        .await
    }

    /// How accurately a ranking predicts the target list in one decade.
    #[graphql(complexity = "complexity::VALIDATION + child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "the contract's arguments")]
    async fn decade_validation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Profile name, not together with `weights`. Null: default profile")] profile: Option<String>,
        #[graphql(desc = "Custom weights, instead of those of a profile")] weights: Option<WeightsInput>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(desc = "First year of the decade, such as 1990")] decade: i32,
        #[graphql(
            desc = "Which scores to rank by: `BLIND` ones ignore the target list, `AS_PUBLISHED` ones depend on it",
            default
        )]
        basis: ScoreBasis,
        #[graphql(desc = "What to rank by. `profile` and `weights` only with `FORMULA`", default)] ranking: RankingKind,
    ) -> Result<DecadeValidation, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let decade = Decade::starting(decade).map_err(ServiceError::from)?;
            check_basis(ranking, basis)?;
            let ranking = Arc::new(context.ranking_params(profile, weights, list, ranking.into()).await?);
            let (services, weights) = (context.services(), ranking.for_validation());
            let report = services.validation.of_decade(&ranking.list, decade, weights, basis.into()).await?;
            Ok(DecadeValidation { report, params: ValidationParams { ranking, basis } })
        })
        .await
    }

    /// The accuracy of the rankings under all active profiles, to find the best one.
    #[graphql(complexity = "complexity::PROFILE_COMPARISON + complexity::PROFILES * child_complexity")]
    async fn profile_comparison(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the target list. Null: that of the query `defaults`")] list: Option<String>,
        #[graphql(
            desc = "Which scores to rank by: `BLIND` ones ignore the target list, `AS_PUBLISHED` ones depend on it",
            default
        )]
        basis: ScoreBasis,
    ) -> Result<ProfileComparison, ApiError> {
        let context = context(ctx);
        query_field(ctx, async {
            let list = context.list(list).await?;
            let active: Vec<_> = context.profiles().await?.iter().filter(|profile| profile.active).cloned().collect();
            let reports = context.services().validation.compare(&list, active, basis.into()).await?;
            Ok(ProfileComparison { reports, list, basis })
        })
        .await
    }
}

/// Checks that scores of this basis exist: a learned ranking has blind ones alone.
///
/// # Errors
/// `BAD_USER_INPUT` if not.
fn check_basis(ranking: RankingKind, basis: ScoreBasis) -> Result<(), ApiError> {
    if ranking != RankingKind::Formula && basis == ScoreBasis::AsPublished {
        return Err(ApiError::bad_input("basis", "a learned ranking has blind scores only: leave it out"));
    }
    Ok(())
}
