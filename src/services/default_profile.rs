//! The first choice of the default profile. Which profile predicts best depends on the data: one that counts awards is
//! useless without any. So for imported movies, the default is chosen once, by blind accuracy, as soon as there is a list
//! to compare with. After that, only administrators change it.

use std::sync::Arc;

use super::ServiceError;
use crate::clock::Clock;
use crate::scoring::{Accuracy, Basis, Decade, DecadeReport, Totals, pooled_decade};
use crate::store::{ListSummary, Profile, Store, retry_conflicts};
use crate::versions::Versions;

/// Minimum number of listed movies. A choice: with fewer, which profile is the best is mostly chance.
const LISTED_MIN: usize = 20;

/// A chosen default profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Name of the profile.
    pub profile: String,
    /// Key of the target list that the profile predicts best.
    pub list: String,
    /// Its blind accuracy.
    pub accuracy: Accuracy,
}

/// Chooses the default profile, after a snapshot for `target_lists` was taken. `None` if it was chosen before, if the
/// movies are generated or those of a host application, or if no target list has enough movies.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable; the choice is then made after the next snapshot.
pub async fn choose_once(
    store: &Store,
    clock: &Clock,
    target_lists: &[String],
) -> Result<Option<Chosen>, ServiceError> {
    // While movies wait for their scores, the snapshot lacks some of them.
    if !store.default_is_open().await? || store.queue_length().await?.movies > 0 {
        return Ok(None);
    }
    let summaries = store.list_summaries(target_lists).await?;
    let targets = summaries.iter().filter(|summary| target_lists.contains(&summary.key));
    let Some(list) = targets.max_by_key(|summary| listed(summary)).filter(|list| listed(list) >= LISTED_MIN) else {
        return Ok(None);
    };
    // The snapshot may be older than the list.
    let is_meaningful = |accuracy: Accuracy| accuracy.listed >= LISTED_MIN && accuracy.hits > 0;
    let decades = list.decades.iter().filter_map(|decade| Decade::starting(decade.decade).ok());
    let decades: Vec<Decade> = decades.filter(|decade| pooled_decade(*decade)).collect();
    let best = most_accurate(store, &list.key, &decades).await?.filter(|(_, accuracy)| is_meaningful(*accuracy));
    let Some((profile, accuracy)) = best else { return Ok(None) };
    if !retry_conflicts(ServiceError::is_conflict, || make_default(store, clock, &profile)).await? {
        return Ok(None);
    }
    let chosen = Chosen { profile: profile.name.clone(), list: list.key.clone(), accuracy };
    let (hits, listed) = (accuracy.hits, accuracy.listed);
    tracing::info!(
        profile = chosen.profile,
        list = chosen.list,
        hits,
        listed,
        "default profile chosen by its accuracy"
    );
    Ok(Some(chosen))
}

/// Makes a profile the default unless an administrator or another instance was faster; returns whether it did.
async fn make_default(store: &Store, clock: &Clock, profile: &Profile) -> Result<bool, ServiceError> {
    let mut changes = store.change_profiles().await?;
    let is_unchanged = changes.profile(profile.id).await?.is_some_and(|now| now == *profile);
    if changes.default_was_chosen().await? || !is_unchanged {
        return Ok(false);
    }
    if !profile.is_default {
        changes.make_default(profile.id, clock.now()).await?;
    }
    changes.record_default_choice().await?;
    // All instances, this one too, read the new versions when they are notified.
    changes.commit(&Versions::default()).await?;
    Ok(true)
}

/// Number of listed movies of the decades that count in the overall accuracy.
fn listed(summary: &ListSummary) -> usize {
    let pooled = |year: i32| Decade::starting(year).is_ok_and(pooled_decade);
    summary.decades.iter().filter(|decade| pooled(decade.decade)).map(|decade| decade.listed).sum()
}

/// The active profile with the best blind accuracy for a list in these decades: of equal ones the default, or else the
/// first by name.
pub(super) async fn most_accurate(
    store: &Store,
    list: &str,
    decades: &[Decade],
) -> Result<Option<(Arc<Profile>, Accuracy)>, ServiceError> {
    let criteria = store.criteria_with_data().await?;
    let active = store.profiles().await?.into_iter().filter(|profile| profile.active);
    let mut tested: Vec<_> = active.map(|profile| (Arc::new(profile), Vec::new())).collect();
    for decade in decades {
        let columns = store.snapshot_columns(list, list, *decade).await?;
        for (profile, totals) in &mut tested {
            let weights = profile.weights.among(criteria);
            totals.push(DecadeReport::of(*decade, &columns, list, weights, Basis::Blind).totals());
            // A large decade takes some milliseconds, in which this thread would serve nothing else.
            tokio::task::yield_now().await;
        }
    }
    let results = tested.into_iter().map(|(profile, totals)| (profile, Totals::pooled(totals).accuracy));
    // Of equal ones, `max_by_key` returns the last.
    let mut results: Vec<_> = results.collect();
    results.reverse();
    Ok(results.into_iter().max_by_key(|(profile, accuracy)| (accuracy.hits, profile.is_default)))
}
