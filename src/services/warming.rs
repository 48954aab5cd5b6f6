//! Cache warming: loads results before they are requested.
//!
//! Few loads run at a time, however many entries were invalidated, so that requests are hardly slowed down.

use futures_util::StreamExt;

use super::learned::RankedBy;
use super::predictions::{ListStatus, PageRequest};
use super::validation::TestedWeights;
use super::{ServiceError, Services};
use crate::cache::{DependencyScope, ReadMode};
use crate::scoring::{Basis, Filter, Weights};

/// Number of concurrent loads. A choice: more loads at a time would delay requests more.
const CONCURRENCY: usize = 2;

/// Page size of the API by default, and of the service's own pages.
const PAGE: usize = 25;

/// Outcome of a warming round.
#[derive(Debug, Clone, Default)]
pub struct Warmed {
    /// Results that are cached, or cannot exist yet because the data is incomplete.
    pub ready: u64,
    /// Results that could not be loaded.
    pub failed: u64,
    /// Error of the first failure.
    pub error: Option<ServiceError>,
}

/// A result to warm.
#[derive(Debug, Clone)]
enum WarmTarget {
    Predictions(String, Weights),
    Validation(String, Weights),
}

/// Loads the first page of the site: the default decade under the default profile, for every target list.
///
/// # Errors
/// As [`Services::select_profile`], and as the requests for lists and predictions.
pub async fn warm_first(services: &Services) -> Result<(), ServiceError> {
    let weights = services.select_profile(None).await?.weights;
    for list in services.reference.target_lists().await? {
        load(services, WarmTarget::Predictions(list, weights)).await?;
    }
    Ok(())
}

/// Loads the predictions of the default decade for every target list under every active profile, then the validations of
/// all decades. Fresh entries cost one lookup.
///
/// # Errors
/// [`ServiceError::Store`] if the target lists or the profiles cannot be read; later failures are counted.
pub async fn warm(services: &Services) -> Result<Warmed, ServiceError> {
    let target_lists = services.reference.target_lists().await?;
    let profiles = services.profiles.all().await?;
    let criteria = services.reference.names().await?.criteria;
    let active = profiles.iter().filter(|profile| profile.active);
    let weights: Vec<_> = active.map(|profile| profile.weights.among(criteria)).collect();
    // A target for each pair of a list and weights.
    let each = |target: fn(String, Weights) -> WarmTarget| {
        let (weights, target_lists) = (&weights, &target_lists);
        target_lists.iter().flat_map(move |list| weights.iter().map(move |weights| target(list.clone(), *weights)))
    };
    let targets: Vec<_> = each(WarmTarget::Predictions).chain(each(WarmTarget::Validation)).collect();
    let mut loads = futures_util::stream::iter(targets).map(|target| load(services, target)).buffered(CONCURRENCY);
    let mut warmed = Warmed::default();
    while let Some(done) = loads.next().await {
        match done {
            // Data that is incomplete, such as a missing validation snapshot, is not a failure of warming.
            Ok(()) | Err(ServiceError::NotReady(_)) => warmed.ready += 1,
            Err(error) => {
                warmed.failed += 1;
                warmed.error.get_or_insert(error);
            }
        }
        // A lookup of a fresh entry completes without waiting, so this loop must let other tasks run.
        tokio::task::yield_now().await;
    }
    Ok(warmed)
}

async fn load(services: &Services, target: WarmTarget) -> Result<(), ServiceError> {
    DependencyScope::new(ReadMode::Warm)
        .of(async {
            match target {
                WarmTarget::Predictions(list, weights) => {
                    let page = PageRequest {
                        list,
                        decade: services.reference.names().await?.default_decade,
                        by: RankedBy { weights, model: None },
                        min_probability: None,
                        custom: false,
                        status: ListStatus::Candidates,
                        filter: Filter::default(),
                        after: None,
                        first: PAGE,
                    };
                    Box::pin(services.predictions.page(page)).await.map(drop)
                }
                WarmTarget::Validation(list, weights) => {
                    let weights = TestedWeights { weights, custom: false, model: None };
                    Box::pin(services.validation.of_all(&list, weights, Basis::Blind)).await.map(drop)
                }
            }
        })
        .await
}
