//! Warming: answers that will be asked for are made before they are.
//!
//! A few at a time, so that requests hardly notice: never all keys at once, however many were invalidated.

use futures_util::StreamExt;

use super::predictions::{ListStatus, PageRequest};
use super::profiles::selection;
use super::validation::TestedWeights;
use super::{ServiceError, Services};
use crate::cache::{DependencyScope, ReadMode};
use crate::scoring::{Basis, Decade, Filter, Weights};

/// Answers that are made at the same time.
const AT_ONCE: usize = 2;

/// Films of the pages that are asked for most.
const PAGE: usize = 25;

/// What a round of warming did.
#[derive(Debug, Clone, Default)]
pub struct Warmed {
    /// Answers that are ready.
    pub ready: u64,
    /// Answers that could not be made.
    pub failed: u64,
    /// Why the first of these could not.
    pub error: Option<ServiceError>,
}

/// One answer to make.
#[derive(Debug, Clone)]
enum Answer {
    Predictions(String, Weights),
    Validation(String, Weights),
}

/// Makes the first page that people see: the current decade under the default profile.
///
/// # Errors
/// As the questions that it asks.
pub async fn warm_first(services: &Services, target_lists: &[String]) -> Result<(), ServiceError> {
    let profiles = services.profiles.all().await?;
    let weights = selection(&profiles, None)?.weights;
    for list in target_lists {
        make(services, Answer::Predictions(list.clone(), weights)).await?;
    }
    Ok(())
}

/// Makes the predictions of the current decade under every active profile, then the validations of all decades. What is
/// fresh already costs a look.
///
/// # Errors
/// [`ServiceError::Store`] when the profiles cannot be read; what fails later is counted.
pub async fn warm(services: &Services, target_lists: &[String]) -> Result<Warmed, ServiceError> {
    let profiles = services.profiles.all().await?;
    let weights: Vec<_> = profiles.iter().filter(|profile| profile.active).map(|profile| profile.weights).collect();
    let each = |answer: fn(String, Weights) -> Answer| {
        let weights = &weights;
        target_lists.iter().flat_map(move |list| weights.iter().map(move |weights| answer(list.clone(), *weights)))
    };
    let answers: Vec<_> = each(Answer::Predictions).chain(each(Answer::Validation)).collect();
    let mut made = futures_util::stream::iter(answers).map(|answer| make(services, answer)).buffered(AT_ONCE);
    let mut warmed = Warmed::default();
    while let Some(done) = made.next().await {
        match done {
            // Nothing to validate yet is no fault.
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

async fn make(services: &Services, answer: Answer) -> Result<(), ServiceError> {
    DependencyScope::new(ReadMode::Warm)
        .of(async {
            match answer {
                Answer::Predictions(list, weights) => {
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
                Answer::Validation(list, weights) => {
                    let weights = TestedWeights { weights, custom: false };
                    Box::pin(services.validation.of_all(&list, weights, Basis::Blind)).await.map(drop)
                }
            }
        })
        .await
}
