//! Live updates: changes among the best candidates of a decade, as they happen. "The best" are the first candidates of
//! the ranking, as many as the client asked for.
//!
//! Streams follow the data versions, not TTLs: columns in the cache that lack a recent change are reloaded, once for
//! all streams of the same decade.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::learned::RankingKind;
use super::predictions::{ScoredMovie, Top};
use super::profiles::WeightSelection;
use super::{ServiceError, Services};
use crate::cache::{CacheName, DependencyScope, ReadMode, revalidation_span};
use crate::scoring::{Decade, MovieId};
use crate::versions::VersionSet;

/// Minimum interval between two loads, so that a decade under constant change is not loaded constantly. A choice:
/// clients should still see a change within a second.
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// Pause after a failed load. A choice: long enough not to burden a database that is recovering.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How a movie's position changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateKind {
    /// It joined the best.
    Entered,
    /// It left the best.
    Left,
    /// Its rank changed.
    Moved,
    /// Its criteria or its score changed, but not its rank.
    Rescored,
}

/// A change of one movie among the best.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// How its position changed.
    pub kind: UpdateKind,
    /// The movie's current state, without a rank if it is no longer a candidate. If it is no longer in the decade, its
    /// last known state, without a rank.
    pub movie: ScoredMovie,
    /// Previous rank; `None` if it was not among the best.
    pub previous_rank: Option<usize>,
}

/// Parameters of a stream.
#[derive(Debug, Clone)]
pub struct UpdateParams {
    /// Name of a profile; `None` for the default profile.
    pub profile: Option<String>,
    /// The target list.
    pub list: String,
    /// The decade.
    pub decade: Decade,
    /// How many of the best movies to follow.
    pub top: usize,
    /// Whether the first change is the current state, as if all its movies had just joined the best.
    pub initial: bool,
    /// What the movies are ranked by.
    pub ranking: RankingKind,
}

/// Changes among the best caused by one change of the data.
#[derive(Debug, Clone)]
pub struct Change {
    /// First the movies that left the best, in the order of their former ranks, then the others in the order of their
    /// ranks.
    pub updates: Vec<Update>,
    /// The weights.
    pub selection: WeightSelection,
    /// Data version of the decade after this change.
    pub data_version: i64,
}

/// Stream of changes among the best of a decade.
#[derive(Debug)]
pub struct UpdateStream {
    services: Arc<Services>,
    params: UpdateParams,
    /// The state that the changes sent so far lead to.
    known: State,
    /// Whether `known` is still to be sent, as the first change.
    unsent: bool,
    /// Earliest time of the next load.
    not_before: tokio::time::Instant,
}

/// A state of the best, and the versions that it depends on.
#[derive(Debug)]
struct State {
    top: Top,
    selection: WeightSelection,
    version_set: VersionSet,
}

impl State {
    /// How the best have changed since they were `before`; `None` if they have not.
    fn change_since(&self, before: &[ScoredMovie]) -> Option<Change> {
        let updates = compare(before, &self.top.movies, &self.top.others);
        let (selection, data_version) = (self.selection.clone(), self.top.data_version);
        (!updates.is_empty()).then_some(Change { updates, selection, data_version })
    }
}

impl UpdateStream {
    /// Starts a stream of the changes since now.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown or inactive profile, [`ServiceError::NotReady`] if no active profile
    /// is the default, [`ServiceError::Store`] if the current state of the best cannot be loaded.
    pub async fn start(services: Arc<Services>, params: UpdateParams) -> Result<Self, ServiceError> {
        let known = load_state(&services, &params, &[]).await?;
        let unsent = params.initial;
        Ok(Self { services, params, known, unsent, not_before: tokio::time::Instant::now() + MIN_INTERVAL })
    }

    /// Waits for the next change. Cancel-safe: dropping the future loses no change.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] if the profile is deleted or deactivated, [`ServiceError::NotReady`] if no active
    /// profile is the default any more. While the database is unavailable, it waits and retries.
    pub async fn next(&mut self) -> Result<Change, ServiceError> {
        // The next change is computed against the same state, so no change is missing or sent twice.
        if std::mem::take(&mut self.unsent)
            && let Some(change) = self.known.change_since(&[])
        {
            return Ok(change);
        }
        loop {
            self.services.versions.wait_until_outdated(&self.known.version_set).await;
            tokio::time::sleep_until(self.not_before).await;
            // Each load has a trace of its own, because a stream may stay open for hours.
            let loaded = load_state(&self.services, &self.params, &self.known.top.movies)
                .instrument(revalidation_span(CacheName::Columns));
            let now = match loaded.await {
                Ok(now) => now,
                Err(ServiceError::Store(error)) => {
                    tracing::warn!(%error, "cannot load a live update; retrying");
                    self.not_before = tokio::time::Instant::now() + RETRY_DELAY;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.not_before = tokio::time::Instant::now() + MIN_INTERVAL;
            let before = std::mem::replace(&mut self.known, now);
            if let Some(change) = self.known.change_since(&before.top.movies) {
                return Ok(change);
            }
        }
    }
}

/// Loads the current state of the best, with every change that this process knows of, and the current state of the
/// movies in `before` that are no longer among them.
async fn load_state(services: &Services, params: &UpdateParams, before: &[ScoredMovie]) -> Result<State, ServiceError> {
    let dependencies = DependencyScope::new(ReadMode::Latest);
    let load = async {
        let selection = services.select_profile(params.profile.as_deref()).await?;
        let model = services.learned.served_as(&params.list, params.ranking).await?;
        let selection = WeightSelection { model, ..selection };
        let UpdateParams { list, decade, top, .. } = params;
        let top = services.predictions.top(list, *decade, &selection.ranked_by(), *top, before).await?;
        Ok::<_, ServiceError>((top, selection))
    };
    let (top, selection) = Arc::clone(&dependencies).of(load).await?;
    Ok(State { top, selection, version_set: dependencies.snapshot().version_set })
}

/// Compares two states of the best movies (the top of the ranking), both sorted by rank. `others` has the current state
/// of movies that are in `before` but not in `after`. A movie of `before` that is in neither `after` nor `others` has left not only the top but the decade.
///
/// A client that applies the updates to `before` gets `after`: it removes the movies that left, inserts those that
/// entered, replaces those that moved or were rescored, and sorts by rank.
#[must_use]
pub fn compare(before: &[ScoredMovie], after: &[ScoredMovie], others: &[ScoredMovie]) -> Vec<Update> {
    let by_id = |movies: &'_ [ScoredMovie]| movies.iter().cloned().map(|movie| (movie.id, movie)).collect();
    let (was, is, current): (HashMap<MovieId, _>, HashMap<MovieId, _>, HashMap<MovieId, _>) =
        (by_id(before), by_id(after), by_id(others));
    let left = before.iter().filter(|movie| !is.contains_key(&movie.id)).map(|movie| Update {
        kind: UpdateKind::Left,
        movie: current.get(&movie.id).cloned().unwrap_or_else(|| ScoredMovie { rank: None, ..movie.clone() }),
        previous_rank: movie.rank,
    });
    let present = after.iter().filter_map(|movie| {
        let kind = match was.get(&movie.id) {
            None => UpdateKind::Entered,
            Some(was) if was.rank != movie.rank => UpdateKind::Moved,
            Some(was) if was.standing() != movie.standing() || was.vector != movie.vector => UpdateKind::Rescored,
            Some(_) => return None,
        };
        let previous_rank = was.get(&movie.id).and_then(|was| was.rank);
        Some(Update { kind, movie: movie.clone(), previous_rank })
    });
    left.chain(present).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::ScoreVector;
    use crate::store::ColumnsSource;
    use chrono::DateTime;
    use proptest::prelude::*;

    /// A ranking of some of twenty movies, with few distinct scores.
    fn ranking() -> impl Strategy<Value = Vec<ScoredMovie>> {
        prop::collection::btree_map(0..20_i64, 0..5_u32, 0..12).prop_map(|movies| {
            let mut movies: Vec<_> = movies.into_iter().map(|(id, score)| movie(id, f64::from(score))).collect();
            movies.sort_by(|one, other| one.standing().order(&other.standing()));
            for (i, movie) in movies.iter_mut().enumerate() {
                movie.rank = Some(i + 1);
            }
            movies
        })
    }

    fn movie(id: i64, score: f64) -> ScoredMovie {
        ScoredMovie {
            learned: None,
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

    /// Applies updates as a client does, in any order.
    fn apply(before: &[ScoredMovie], updates: &[Update]) -> Vec<ScoredMovie> {
        let mut movies: HashMap<_, _> = before.iter().map(|movie| (movie.id, movie.clone())).collect();
        for update in updates {
            match update.kind {
                UpdateKind::Left => movies.remove(&update.movie.id),
                _ => movies.insert(update.movie.id, update.movie.clone()),
            };
        }
        let mut movies: Vec<_> = movies.into_values().collect();
        movies.sort_by_key(|movie| movie.rank);
        movies
    }

    proptest! {
        #[test]
        fn applied_updates_turn_the_old_list_into_the_new_one(before in ranking(), after in ranking()) {
            prop_assert_eq!(apply(&before, &compare(&before, &after, &[])), after);
        }

        #[test]
        fn each_changed_movie_is_reported_exactly_once(before in ranking(), after in ranking()) {
            let find = |movies: &[ScoredMovie], id| movies.iter().find(|movie| movie.id == id).cloned();
            let updates = compare(&before, &after, &[]);
            let mut reported: Vec<_> = updates.iter().map(|update| update.movie.id).collect();
            reported.sort_unstable();
            let changed: Vec<_> =
                (0..20).map(MovieId).filter(|id| find(&before, *id) != find(&after, *id)).collect();
            prop_assert_eq!(reported, changed);
            for update in updates {
                let (was, is) = (find(&before, update.movie.id), find(&after, update.movie.id));
                prop_assert_eq!(update.previous_rank, was.as_ref().and_then(|was| was.rank));
                prop_assert_eq!(update.kind == UpdateKind::Entered, was.is_none());
                prop_assert_eq!(update.kind == UpdateKind::Left, is.is_none());
                let moved = was.zip(is).is_some_and(|(was, is)| was.rank != is.rank);
                prop_assert_eq!(update.kind == UpdateKind::Moved, moved);
            }
        }
    }

    #[test]
    fn movies_that_left_are_reported_in_their_current_state() {
        let (was, now) =
            (ScoredMovie { rank: Some(1), ..movie(1, 3.0) }, ScoredMovie { rank: Some(7), ..movie(1, 1.0) });
        let left = |others: &[ScoredMovie]| compare(std::slice::from_ref(&was), &[], others).remove(0);
        assert_eq!((left(std::slice::from_ref(&now)).movie, left(&[]).previous_rank), (now, Some(1)));
        assert_eq!(left(&[]).movie, ScoredMovie { rank: None, ..was.clone() });
    }
}
