//! The feature codes that a learned ranking ranks movies by.

use std::sync::Arc;

use super::catalogue::{Catalogue, Inputs};
use super::low_priority::{self, Report, go_on};
use crate::scoring::learned::{DecadeFeatures, Interrupted, LearnedRanking, Variant};
use crate::services::ServiceError;
use crate::store::{ModelCodes, ModelStatus, ModelVersion, Store};

/// Codes of the movies of all decades.
pub(super) fn codes(
    catalogue: &Catalogue,
    inputs: &Inputs<'_>,
    ranking: &LearnedRanking,
    report: Report<'_>,
) -> Result<Vec<ModelCodes>, Interrupted> {
    let mut all = vec![];
    for decade in catalogue.decades() {
        go_on(report(1.0))?;
        let of_decade = inputs.of(decade);
        let movies = of_decade.movies.iter().map(|movie| movie.id).collect();
        // The lists of the inputs are those of the ranking, so there is no error.
        if let Ok(codes) = ranking.codes(&DecadeFeatures::of(&of_decade)) {
            all.push(ModelCodes { decade, movies, codes });
        }
    }
    Ok(all)
}

/// Withdraws the served version of a ranking, so that the accepted one before it is served, with codes of the present
/// movies. Returns the withdrawn version and the served one; `None` if there are no two accepted versions.
///
/// # Errors
/// [`ServiceError::NotReady`] if the version before cannot be read, or another training has just ended;
/// [`ServiceError::Store`] if the database is unavailable. The version is still served then.
pub async fn roll_back(store: &Store, list: &str, variant: Variant) -> Result<Option<(i64, i64)>, ServiceError> {
    let versions = store.model_versions(Some(list)).await?.into_iter();
    let mut accepted = versions.filter(|version| version.variant == variant && version.status == ModelStatus::Accepted);
    let (Some(served), Some(before)) = (accepted.next(), accepted.next()) else { return Ok(None) };
    // First its codes, so that there is no time at which it is served and has none.
    if !replace_codes(store, &Arc::new(Catalogue::read(store).await?), &before).await? {
        return Err(ServiceError::NotReady(
            "the version before cannot be served: its stored model is damaged or of another release; train again",
        ));
    }
    if !store.roll_model_back(&served, &before).await? {
        return Err(ServiceError::NotReady("another training has just ended: look at its result, and retry"));
    }
    Ok(Some((served.id, before.id)))
}

/// Computes the codes of the served rankings again if scores or lists have changed since, so that new movies are ranked,
/// and others by their present ratings. Returns how many rankings got new codes.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable; the codes that are there stay.
pub async fn refresh_codes(store: &Store) -> Result<usize, ServiceError> {
    let outdated = store.outdated_models().await?;
    if outdated.is_empty() {
        return Ok(0);
    }
    let catalogue = Arc::new(Catalogue::read(store).await?);
    let mut refreshed = 0;
    for version in outdated {
        refreshed += usize::from(replace_codes(store, &catalogue, &version).await?);
    }
    Ok(refreshed)
}

/// Replaces the codes of a version by those of the present movies. Returns whether its stored model can be read.
async fn replace_codes(
    store: &Store,
    catalogue: &Arc<Catalogue>,
    version: &ModelVersion,
) -> Result<bool, ServiceError> {
    let Some(bytes) = store.model(version.id).await? else { return Ok(false) };
    let ranking = match LearnedRanking::from_bytes(&bytes) {
        Ok(ranking) => ranking,
        Err(error) => {
            tracing::warn!(%error, version = version.id, list = version.list, "stored model not usable; train again");
            return Ok(false);
        }
    };
    let shared = Arc::clone(catalogue);
    let compute = move |report: Report<'_>| {
        let inputs = shared.inputs(ranking.lists.clone(), None);
        codes(&shared, &inputs, &ranking, report)
    };
    // It is interrupted only with this future, so the error can only mean that it panicked.
    let codes = low_priority::run(compute, &mut |_| ()).await;
    let codes =
        codes.map_err(|Interrupted| ServiceError::NotReady("computing codes ended unexpectedly; see the log"))?;
    store.replace_model_codes(version, &codes, catalogue.read_at()).await?;
    Ok(true)
}
