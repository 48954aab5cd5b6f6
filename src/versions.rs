//! Data versions: a counter per [`Scope`] of the data, raised by every change.
//!
//! A cached value carries the [`VersionSet`] that it was derived from. [`Versions`] compares it with the versions that
//! this process last read, and so decides whether the value is current.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::scoring::Decade;

/// The part of the data whose changes a version counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Scores of the movies of a decade.
    Scores(Decade),
    /// A list in a decade.
    List(String, Decade),
    /// The snapshot that validations read.
    Snapshot,
    /// Weight profiles.
    Profiles,
    /// Names of lists, genres and countries.
    Reference,
    /// Results under one set of weights, identified by its fingerprint. Only an administrator raises it.
    Weights(String),
}

impl Scope {
    /// Decodes the columns scope, list_key and decade; `None` for an unknown scope or an invalid decade.
    pub(crate) fn from_row(scope: &str, list_key: String, decade: i32) -> Option<Self> {
        let decade = Decade::starting(decade);
        match scope {
            "scores" => decade.ok().map(Self::Scores),
            "list" => decade.ok().map(|decade| Self::List(list_key, decade)),
            "snapshot" => Some(Self::Snapshot),
            "profiles" => Some(Self::Profiles),
            "reference" => Some(Self::Reference),
            "taste" => Some(Self::Weights(list_key)),
            _ => None,
        }
    }
}

/// Version of a scope, and the oldest version that may still be served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Version {
    /// Raised by every change.
    pub current: i64,
    /// The minimum valid version. Values derived from an older one are invalidated: they must not be served.
    pub min_valid: i64,
}

type VersionMap = Arc<HashMap<Scope, Version>>;

/// The versions that this process last read from the database. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Versions(Arc<SharedVersions>);

#[derive(Debug, Default)]
struct SharedVersions {
    read: watch::Sender<VersionMap>,
    /// Number of updates that changed a version.
    generation: AtomicU64,
    unknown: AtomicBool,
}

impl Versions {
    /// The current version of a scope; 0 if it never changed.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> i64 {
        self.read().get(scope).map_or(0, |version| version.current)
    }

    /// The version set of a value derived from these scopes. Take it before reading the data: a change between the two
    /// steps then makes a new value look stale, which costs a refresh. The reverse order could make an old value look
    /// current.
    #[must_use]
    pub fn set_of(&self, scopes: impl IntoIterator<Item = Scope>) -> VersionSet {
        let read = self.read();
        let current = |scope: Scope| (read.get(&scope).map_or(0, |version| version.current), scope);
        VersionSet::of(scopes.into_iter().map(current).map(|(version, scope)| (scope, version)).collect())
    }

    /// The version set of a value that may depend on every scope, to be taken before reading the data.
    #[must_use]
    pub fn set_of_all(&self) -> VersionSet {
        VersionSet { all: Some(self.read()), ..VersionSet::default() }
    }

    /// How a value that carries `set` compares with the versions known now.
    #[must_use]
    pub fn staleness(&self, set: &VersionSet) -> Staleness {
        // Read first: a caller that no longer sees the unknown state also sees the update that ended it.
        let unknown = self.0.unknown.load(Ordering::Acquire);
        // The generation is loaded before the versions. If an update comes between the two, the result is stored under
        // the old generation and the next call compares again. The reverse order could store an old result under the
        // new generation, and the update would never be noticed. `current_in` publishes no other data, so relaxed
        // accesses are enough for it.
        let generation = self.0.generation.load(Ordering::Acquire) + 1;
        let mut staleness = Staleness::Current;
        if set.current_in.0.load(Ordering::Relaxed) != generation {
            staleness = set.staleness_in(&self.read());
            if staleness == Staleness::Current {
                set.current_in.0.store(generation, Ordering::Relaxed);
            }
        }
        if unknown { staleness.max(Staleness::Unknown) } else { staleness }
    }

    /// Records that changes may have been missed. Nothing counts as current until the versions are read again.
    pub fn mark_unknown(&self) {
        self.0.unknown.store(true, Ordering::Release);
    }

    /// Waits until a scope of `set` has changed; returns at once if one has changed already.
    pub async fn wait_until_outdated(&self, set: &VersionSet) {
        let mut read = self.0.read.subscribe();
        // The wait fails only when the sender is dropped, and `self` holds the sender.
        let _ = read.wait_for(|read| set.staleness_in(read) != Staleness::Current).await;
    }

    /// Sum of the minimum valid versions. They only grow, so every hard invalidation changes the sum.
    #[must_use]
    pub fn min_valid_sum(&self) -> i64 {
        self.read().values().map(|version| version.min_valid).sum()
    }

    /// Merges versions read from the database, and ends the unknown state. Versions only grow, so the larger one of
    /// each scope is right: a read that completes after a later read changes nothing.
    pub(crate) fn update(&self, mut read: HashMap<Scope, Version>) {
        self.0.read.send_if_modified(|held| {
            for (scope, version) in held.iter() {
                let read = read.entry(scope.clone()).or_default();
                *read = Version {
                    current: read.current.max(version.current),
                    min_valid: read.min_valid.max(version.min_valid),
                };
            }
            let changed = **held != read;
            if changed {
                *held = Arc::new(read);
                // The write lock of the channel is held here. A thread that sees the new generation must wait for this
                // lock before it can read the versions, so it never reads the old ones.
                self.0.generation.fetch_add(1, Ordering::Release);
            }
            // Last: until the new versions are visible, data that changed unnoticed must not count as current.
            self.0.unknown.store(false, Ordering::Release);
            changed
        });
    }

    /// Whether a replica that shows the versions `shown` has every change that this process knows of and that a ranking
    /// of `decade` could depend on.
    pub(crate) fn covers(&self, shown: &HashMap<Scope, Version>, decade: Decade) -> bool {
        let is_relevant = |scope: &Scope| match scope {
            Scope::Scores(of) | Scope::List(_, of) => *of == decade,
            Scope::Snapshot | Scope::Profiles | Scope::Reference | Scope::Weights(_) => true,
        };
        let shows = |scope, version: &Version| shown.get(scope).map_or(0, |shown| shown.current) >= version.current;
        self.read().iter().all(|(scope, version)| !is_relevant(scope) || shows(scope, version))
    }

    fn read(&self) -> VersionMap {
        Arc::clone(&self.0.read.borrow())
    }
}

fn staleness_of(derived_from: i64, version: Version) -> Staleness {
    if derived_from < version.min_valid {
        Staleness::Invalidated
    } else if derived_from < version.current {
        Staleness::Stale
    } else {
        Staleness::Current
    }
}

/// How a value compares with the data that it was derived from, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Staleness {
    /// The data has not changed since.
    Current,
    /// The data has changed. The value may be served while it is refreshed (soft invalidation).
    Stale,
    /// The version listener is disconnected, so changes may have been missed. The value may be served as stale.
    Unknown,
    /// The version is below the minimum valid one. The value must not be served (hard invalidation).
    Invalidated,
}

/// The versions of the data that a value was derived from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VersionSet {
    scopes: Vec<(Scope, i64)>,
    /// All versions, for a value that may depend on every scope. Never stored in the shared cache.
    #[serde(skip)]
    all: Option<VersionMap>,
    #[serde(skip)]
    current_in: LastCurrentIn,
}

/// Generation, counted from 1, in which a version set was last found current; 0 if none. Nearly every lookup checks a
/// set that another lookup has just checked, and then needs no comparison. A clone starts at 0 and is compared again.
#[derive(Debug, Default)]
struct LastCurrentIn(AtomicU64);

impl Clone for LastCurrentIn {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl VersionSet {
    fn of(scopes: Vec<(Scope, i64)>) -> Self {
        Self { scopes, ..Self::default() }
    }

    /// Whether the set has no dependency, so that no change can make it stale.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.all.is_none()
    }

    fn staleness_in(&self, read: &VersionMap) -> Staleness {
        let of_scopes = self.scopes.iter().map(|(scope, derived_from)| (*derived_from, read.get(scope).copied()));
        let of_scopes =
            of_scopes.map(|(derived_from, version)| staleness_of(derived_from, version.unwrap_or_default()));
        let of_all = self.all.iter().filter(|all| !Arc::ptr_eq(all, read)).flat_map(|all| {
            let derived_from = |scope| all.get(scope).map_or(0, |version| version.current);
            read.iter().map(move |(scope, version)| staleness_of(derived_from(scope), *version))
        });
        of_scopes.chain(of_all).max().unwrap_or(Staleness::Current)
    }

    /// Whether this set has an older version of a scope than `other`.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.scopes.iter().any(|(scope, version)| other.version(scope).is_some_and(|other| *version < other))
    }

    /// The version of `scope` in this set; `None` if it does not depend on the scope by name.
    #[must_use]
    pub fn version(&self, scope: &Scope) -> Option<i64> {
        self.scopes.iter().find(|(of, _)| of == scope).map(|(_, version)| *version)
    }

    /// Narrows a set of all versions ([`Versions::set_of_all`]) to `scope`, with version 0 if it had none. Empty
    /// without a scope.
    #[must_use]
    pub fn only(&self, scope: Option<Scope>) -> Self {
        let version = |scope: &Scope| self.all.as_ref()?.get(scope).map(|version| version.current);
        let scopes = scope.into_iter().map(|scope| (version(&scope).unwrap_or_default(), scope));
        Self::of(scopes.map(|(version, scope)| (scope, version)).collect())
    }

    /// Adds the dependencies of `other`. The older version of each scope counts: a value is as old as its oldest part.
    pub fn add(&mut self, other: &Self) {
        self.current_in = LastCurrentIn::default();
        for (scope, version) in &other.scopes {
            match self.scopes.iter_mut().find(|(of, _)| of == scope) {
                Some((_, derived_from)) => *derived_from = (*derived_from).min(*version),
                None => self.scopes.push((scope.clone(), *version)),
            }
        }
        self.all = match (self.all.take(), other.all.clone()) {
            (Some(mine), Some(others)) if !Arc::ptr_eq(&mine, &others) => Some(older(&mine, &others)),
            (mine, others) => mine.or(others),
        };
    }
}

/// The older version of each scope that both maps have. A scope that only one of them has is left out, which counts as
/// version 0.
fn older(one: &VersionMap, other: &VersionMap) -> VersionMap {
    let both = one.iter().filter_map(|(scope, version)| {
        let other = other.get(scope)?;
        Some((scope.clone(), if other.current < version.current { *other } else { *version }))
    });
    Arc::new(both.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(rows: &[(Scope, i64, i64)]) -> Versions {
        let versions = Versions::default();
        publish(&versions, rows);
        versions
    }

    fn publish(versions: &Versions, rows: &[(Scope, i64, i64)]) {
        let row = |(scope, current, min_valid): &(Scope, i64, i64)| {
            (scope.clone(), Version { current: *current, min_valid: *min_valid })
        };
        versions.update(rows.iter().map(row).collect());
    }

    #[test]
    fn soft_invalidation_makes_a_set_stale_and_hard_invalidation_makes_it_invalid() {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
        let set = versions.set_of([Scope::Snapshot]);
        assert_eq!(versions.staleness(&set), Staleness::Current);
        publish(&versions, &[(Scope::Snapshot, 4, 1), (Scope::Profiles, 2, 2)]);
        assert_eq!(versions.staleness(&set), Staleness::Stale);
        publish(&versions, &[(Scope::Snapshot, 5, 5)]);
        assert_eq!(versions.staleness(&set), Staleness::Invalidated);
    }

    #[tokio::test]
    async fn only_a_change_of_its_scopes_wakes_wait_until_outdated() {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
        let set = versions.set_of([Scope::Snapshot]);
        let mut outdated = std::pin::pin!(versions.wait_until_outdated(&set));
        assert!(futures_util::poll!(&mut outdated).is_pending());
        publish(&versions, &[(Scope::Profiles, 2, 2)]);
        assert!(futures_util::poll!(&mut outdated).is_pending());
        publish(&versions, &[(Scope::Snapshot, 4, 1)]);
        outdated.await;
        versions.wait_until_outdated(&set).await;
    }

    #[test]
    fn nothing_is_current_in_the_unknown_state_until_versions_are_read() {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
        let set = versions.set_of([Scope::Snapshot]);
        let invalidated = VersionSet::of(vec![(Scope::Profiles, 1)]);
        versions.mark_unknown();
        assert_eq!(versions.staleness(&set), Staleness::Unknown);
        assert_eq!(versions.staleness(&invalidated), Staleness::Invalidated);
        publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
        assert_eq!(versions.staleness(&set), Staleness::Current);
    }

    #[test]
    fn a_set_found_current_is_compared_again_after_an_update() {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
        let set = versions.set_of([Scope::Snapshot]);
        assert_eq!([versions.staleness(&set), versions.staleness(&set)], [Staleness::Current; 2]);
        publish(&versions, &[(Scope::Profiles, 2, 2)]);
        assert_eq!([versions.staleness(&set), versions.staleness(&set)], [Staleness::Current; 2]);
        let mut older = set.clone();
        older.add(&VersionSet::of(vec![(Scope::Snapshot, 2)]));
        assert_eq!(versions.staleness(&older), Staleness::Stale);
        publish(&versions, &[(Scope::Snapshot, 4, 4)]);
        assert_eq!(versions.staleness(&set), Staleness::Invalidated);
    }

    #[test]
    fn a_set_of_all_versions_is_stale_after_a_new_scope_appears() {
        let versions = versions(&[(Scope::Snapshot, 3, 1)]);
        let set = versions.set_of_all();
        assert_eq!(versions.staleness(&set), Staleness::Current);
        publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Reference, 1, 0)]);
        assert_eq!(versions.staleness(&set), Staleness::Stale);
    }

    #[test]
    fn a_combined_set_has_the_older_version_of_each_scope() {
        let versions = versions(&[(Scope::Snapshot, 3, 1)]);
        let (mut old, mut all) = (versions.set_of([Scope::Snapshot]), versions.set_of_all());
        publish(&versions, &[(Scope::Snapshot, 4, 1)]);
        let (mut new, new_all) = (versions.set_of([Scope::Snapshot, Scope::Profiles]), versions.set_of_all());
        new.add(&old);
        assert_eq!(new.version(&Scope::Snapshot), Some(3));
        old.add(&new);
        assert_eq!(old.version(&Scope::Profiles), Some(0));
        all.add(&new_all);
        assert_eq!(versions.staleness(&all), Staleness::Stale);
    }
}
