//! Updates: what changes among the best candidates of a decade, told as it changes.
//!
//! Follows the data, never the age of what is kept: a value that lacks a change of the last seconds is made anew, once for
//! all who follow the same decade.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::predictions::{ScoredMovie, Top};
use super::profiles::{WeightSelection, selection};
use super::{ServiceError, Services};
use crate::cache::{DependencyScope, ReadMode};
use crate::scoring::{Decade, MovieId};
use crate::telemetry::{CacheName, revalidation_span};
use crate::versions::VersionSet;

/// The least time between two looks at the data: a decade that changes all the time must not be loaded all the time.
const PACE: Duration = Duration::from_millis(250);

/// How long to wait when the data cannot be looked at.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What became of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateKind {
    /// It is among the best now.
    Entered,
    /// It no longer is.
    Left,
    /// It has another rank.
    Moved,
    /// It has the same rank and other criteria.
    Rescored,
}

/// One film among the best that is not as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// What became of it.
    pub kind: UpdateKind,
    /// The film as it is now. Without a rank where it has left the candidates.
    pub film: ScoredMovie,
    /// Its rank before; none where it was not among the best.
    pub previous_rank: Option<usize>,
}

/// What to follow.
#[derive(Debug, Clone)]
pub struct UpdateParams {
    /// Name of a profile; none: the default one.
    pub profile: Option<String>,
    /// The target list.
    pub list: String,
    /// The decade.
    pub decade: Decade,
    /// How many films from the best on.
    pub top: usize,
}

/// What one change of the data made of the best.
#[derive(Debug, Clone)]
pub struct Change {
    /// Films that left first, then by rank.
    pub updates: Vec<Update>,
    /// Under which weights.
    pub selection: WeightSelection,
    /// The version of the decade's data since this change.
    pub data_version: i64,
}

/// Somebody who follows the best of a decade.
#[derive(Debug)]
pub struct UpdateStream {
    services: Arc<Services>,
    params: UpdateParams,
    known: State,
    /// When the data may be looked at again.
    not_before: tokio::time::Instant,
}

/// The best as they were last seen, and what that was made of.
#[derive(Debug)]
struct State {
    top: Top,
    selection: WeightSelection,
    version_set: VersionSet,
}

impl UpdateStream {
    /// Starts from the best as they are now.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown or inactive profile, [`ServiceError::Store`] when nothing can be loaded.
    pub async fn start(services: Arc<Services>, params: UpdateParams) -> Result<Self, ServiceError> {
        let known = load_state(&services, &params, &[]).await?;
        Ok(Self { services, params, known, not_before: tokio::time::Instant::now() + PACE })
    }

    /// Waits for the next change. Dropped while it waits, it misses nothing.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] when the profile is gone. While the database does not answer, this waits.
    pub async fn next(&mut self) -> Result<Change, ServiceError> {
        loop {
            self.services.versions.wait_until_outdated(&self.known.version_set).await;
            tokio::time::sleep_until(self.not_before).await;
            let looked = load_state(&self.services, &self.params, &self.known.top.films)
                .instrument(revalidation_span(CacheName::Columns));
            let now = match looked.await {
                Ok(now) => now,
                Err(ServiceError::Store(error)) => {
                    tracing::warn!(%error, "a change cannot be looked at; trying again");
                    self.not_before = tokio::time::Instant::now() + RETRY_AFTER;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.not_before = tokio::time::Instant::now() + PACE;
            let before = std::mem::replace(&mut self.known, now);
            let updates = compare(&before.top.films, &self.known.top.films, &self.known.top.others);
            if !updates.is_empty() {
                let (selection, data_version) = (self.known.selection.clone(), self.known.top.data_version);
                return Ok(Change { updates, selection, data_version });
            }
        }
    }
}

/// The best as they are now, no change left out.
async fn load_state(services: &Services, params: &UpdateParams, before: &[ScoredMovie]) -> Result<State, ServiceError> {
    let reading = DependencyScope::new(ReadMode::Latest);
    let look = async {
        let selection = selection(&services.profiles.all().await?, params.profile.as_deref())?;
        let UpdateParams { list, decade, top, .. } = params;
        let top = services.predictions.top(list, *decade, selection.weights, *top, before).await?;
        Ok::<_, ServiceError>((top, selection))
    };
    let (top, selection) = Arc::clone(&reading).of(look).await?;
    Ok(State { top, selection, version_set: reading.snapshot().version_set })
}

/// What happened between two states of the best, both by rank. `others` says what is known now of films that left.
///
/// Applied to `before` (take out what left, put in what entered, replace the rest, order by rank), this gives `after`.
#[must_use]
pub fn compare(before: &[ScoredMovie], after: &[ScoredMovie], others: &[ScoredMovie]) -> Vec<Update> {
    let by_id = |films: &'_ [ScoredMovie]| films.iter().cloned().map(|film| (film.id, film)).collect();
    let (was, is, elsewhere): (HashMap<MovieId, _>, HashMap<MovieId, _>, HashMap<MovieId, _>) =
        (by_id(before), by_id(after), by_id(others));
    let left = before.iter().filter(|film| !is.contains_key(&film.id)).map(|film| Update {
        kind: UpdateKind::Left,
        film: elsewhere.get(&film.id).cloned().unwrap_or_else(|| ScoredMovie { rank: None, ..film.clone() }),
        previous_rank: film.rank,
    });
    let here = after.iter().filter_map(|film| {
        let kind = match was.get(&film.id) {
            None => UpdateKind::Entered,
            Some(was) if was.rank != film.rank => UpdateKind::Moved,
            Some(was) if was.score != film.score || was.vector != film.vector => UpdateKind::Rescored,
            Some(_) => return None,
        };
        let previous_rank = was.get(&film.id).and_then(|was| was.rank);
        Some(Update { kind, film: film.clone(), previous_rank })
    });
    left.chain(here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::ScoreVector;
    use crate::store::ColumnsSource;
    use chrono::DateTime;
    use proptest::prelude::*;

    /// A ranking: some films of twenty, each with a score of few.
    fn ranking() -> impl Strategy<Value = Vec<ScoredMovie>> {
        prop::collection::btree_map(0..20_i64, 0..5_u32, 0..12).prop_map(|films| {
            let mut films: Vec<_> = films.into_iter().map(|(id, score)| film(id, f64::from(score))).collect();
            films.sort_by(|one, other| one.standing().order(&other.standing()));
            for (i, film) in films.iter_mut().enumerate() {
                film.rank = Some(i + 1);
            }
            films
        })
    }

    fn film(id: i64, score: f64) -> ScoredMovie {
        ScoredMovie {
            id: MovieId(id),
            rank: None,
            score,
            vector: ScoreVector([score; 5]),
            listed: false,
            coverage: 4,
            computed_at: DateTime::UNIX_EPOCH,
            source: ColumnsSource::ScoreTable,
        }
    }

    /// What a client does with updates, in whatever order they come.
    fn apply(before: &[ScoredMovie], updates: &[Update]) -> Vec<ScoredMovie> {
        let mut films: HashMap<_, _> = before.iter().map(|film| (film.id, film.clone())).collect();
        for update in updates {
            match update.kind {
                UpdateKind::Left => films.remove(&update.film.id),
                _ => films.insert(update.film.id, update.film.clone()),
            };
        }
        let mut films: Vec<_> = films.into_values().collect();
        films.sort_by_key(|film| film.rank);
        films
    }

    proptest! {
        #[test]
        fn updates_applied_to_the_old_list_give_the_new_one(before in ranking(), after in ranking()) {
            prop_assert_eq!(apply(&before, &compare(&before, &after, &[])), after);
        }

        #[test]
        fn each_film_is_told_of_once_and_only_if_it_changed(before in ranking(), after in ranking()) {
            let find = |films: &[ScoredMovie], id| films.iter().find(|film| film.id == id).cloned();
            let updates = compare(&before, &after, &[]);
            let mut told: Vec<_> = updates.iter().map(|update| update.film.id).collect();
            told.sort_unstable();
            let changed: Vec<_> =
                (0..20).map(MovieId).filter(|id| find(&before, *id) != find(&after, *id)).collect();
            prop_assert_eq!(told, changed);
            for update in updates {
                let (was, is) = (find(&before, update.film.id), find(&after, update.film.id));
                prop_assert_eq!(update.previous_rank, was.as_ref().and_then(|was| was.rank));
                prop_assert_eq!(update.kind == UpdateKind::Entered, was.is_none());
                prop_assert_eq!(update.kind == UpdateKind::Left, is.is_none());
                let moved = was.zip(is).is_some_and(|(was, is)| was.rank != is.rank);
                prop_assert_eq!(update.kind == UpdateKind::Moved, moved);
            }
        }
    }

    #[test]
    fn what_left_is_told_as_it_is_now() {
        let (was, now) = (ScoredMovie { rank: Some(1), ..film(1, 3.0) }, ScoredMovie { rank: Some(7), ..film(1, 1.0) });
        let left = |others: &[ScoredMovie]| compare(std::slice::from_ref(&was), &[], others).remove(0);
        assert_eq!((left(std::slice::from_ref(&now)).film, left(&[]).previous_rank), (now, Some(1)));
        assert_eq!(left(&[]).film, ScoredMovie { rank: None, ..was.clone() });
    }
}
