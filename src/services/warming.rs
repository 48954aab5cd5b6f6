//! Cache warming: loads results before they are requested.
//!
//! Runs few loads at a time to limit the impact on requests, however many entries were invalidated.

use futures_util::StreamExt;

use super::predictions::{ListStatus, PageRequest};
use super::profiles::selection;
use super::validation::TestedWeights;
use super::{ServiceError, Services};
use crate::cache::{DependencyScope, ReadMode};
use crate::scoring::{Basis, Decade, Filter, Weights};

/// Number of concurrent loads.
const CONCURRENCY: usize = 2;

/// Page size that is requested most.
const PAGE: usize = 25;

/// Outcome of a warming round.
#[derive(Debug, Clone, Default)]
pub struct Warmed {
    /// Results that are cached.
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

/// Loads the first page of the site: the current decade under the default profile.
///
/// # Errors
/// As [`selection`], and as the requests for predictions.
pub async fn warm_first(services: &Services, target_lists: &[String]) -> Result<(), ServiceError> {
    let profiles = services.profiles.all().await?;
    let weights = selection(&profiles, None)?.weights;
    for list in target_lists {
        load(services, WarmTarget::Predictions(list.clone(), weights)).await?;
    }
    Ok(())
}

/// Loads the predictions of the current decade under every active profile, then the validations of all decades. Fresh
/// entries cost one lookup.
///
/// # Errors
/// [`ServiceError::Store`] if the profiles cannot be read; later failures are counted.
pub async fn warm(services: &Services, target_lists: &[String]) -> Result<Warmed, ServiceError> {
    let profiles = services.profiles.all().await?;
    let weights: Vec<_> = profiles.iter().filter(|profile| profile.active).map(|profile| profile.weights).collect();
    let each = |target: fn(String, Weights) -> WarmTarget| {
        let weights = &weights;
        target_lists.iter().flat_map(move |list| weights.iter().map(move |weights| target(list.clone(), *weights)))
    };
    let targets: Vec<_> = each(WarmTarget::Predictions).chain(each(WarmTarget::Validation)).collect();
    let mut loads = futures_util::stream::iter(targets).map(|target| load(services, target)).buffered(CONCURRENCY);
    let mut warmed = Warmed::default();
    while let Some(done) = loads.next().await {
        match done {
            // A missing validation snapshot is not a failure.
            Ok(()) | Err(ServiceError::NotReady(_)) => warmed.ready += 1,
            Err(error) => {
                warmed.failed += 1;
                warmed.error.get_or_insert(error);
            }
        }
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
                        decade: Decade::CURRENT,
                        weights,
                        custom: false,
                        status: ListStatus::Candidates,
                        filter: Filter::default(),
                        after: None,
                        first: PAGE,
                    };
                    Box::pin(services.predictions.page(page)).await.map(drop)
                }
                WarmTarget::Validation(list, weights) => {
                    let weights = TestedWeights { weights, custom: false };
                    Box::pin(services.validation.of_all(&list, weights, Basis::Blind)).await.map(drop)
                }
            }
        })
        .await
}
