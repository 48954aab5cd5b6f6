//! Data versions: how new an answer must be, and how new it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::scoring::Decade;

/// What a version counts the changes of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Scores of the films of a decade.
    Scores(Decade),
    /// A list in a decade.
    List(String, Decade),
    /// The snapshot that validations read.
    Snapshot,
    /// Weight profiles.
    Profiles,
    /// Names of lists, genres and countries.
    Reference,
    /// Answers under one set of weights, known by its fingerprint. Raised by hand only.
    Weights(String),
}

impl Scope {
    /// As the columns scope, list_key and decade have it.
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

/// How often a scope has changed, and since when old answers may not be served at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Version {
    /// Raised by every change.
    pub current: i64,
    /// What is older may not even be served while its successor is computed.
    pub min_valid: i64,
}

type VersionMap = Arc<HashMap<Scope, Version>>;

/// The versions as this process last read them.
#[derive(Debug, Clone, Default)]
pub struct Versions(Arc<SharedVersions>);

#[derive(Debug, Default)]
struct SharedVersions {
    read: watch::Sender<VersionMap>,
    /// How often something was new in what was read.
    generation: AtomicU64,
    unknown: AtomicBool,
}

impl Versions {
    /// The version of a scope; 0 where nothing was ever counted.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> i64 {
        self.read().get(scope).map_or(0, |version| version.current)
    }

    /// What is made of these scopes from now on. Take it before reading the data: what changes meanwhile then makes the
    /// result old, never a newer one look current.
    #[must_use]
    pub fn set_of(&self, scopes: impl IntoIterator<Item = Scope>) -> VersionSet {
        let read = self.read();
        let current = |scope: Scope| (read.get(&scope).map_or(0, |version| version.current), scope);
        VersionSet::of(scopes.into_iter().map(current).map(|(version, scope)| (scope, version)).collect())
    }

    /// What is made of anything that is counted, from now on.
    #[must_use]
    pub fn set_of_all(&self) -> VersionSet {
        VersionSet { all: Some(self.read()), ..VersionSet::default() }
    }

    /// Whether what bears `stamp` may be served.
    #[must_use]
    pub fn staleness(&self, set: &VersionSet) -> Staleness {
        // Known before the versions are: what is read meanwhile is looked at the next time.
        let reading = self.0.generation.load(Ordering::Acquire) + 1;
        let mut staleness = Staleness::Current;
        if set.current_in.0.load(Ordering::Relaxed) != reading {
            staleness = set.staleness_in(&self.read());
            if staleness == Staleness::Current {
                set.current_in.0.store(reading, Ordering::Relaxed);
            }
        }
        if self.0.unknown.load(Ordering::Acquire) { staleness.max(Staleness::Unknown) } else { staleness }
    }

    /// Notes that changes may have been missed: until the versions are read again, nothing counts as current.
    pub fn mark_unknown(&self) {
        self.0.unknown.store(true, Ordering::Release);
    }

    /// Waits until something that `stamp` is about has changed since; returns at once where it has already.
    pub async fn wait_until_outdated(&self, set: &VersionSet) {
        let mut read = self.0.read.subscribe();
        // Fails only when the sender is gone, and this holds it.
        let _ = read.wait_for(|read| set.staleness_in(read) != Staleness::Current).await;
    }

    /// Another number than before says that something was invalidated hard.
    #[must_use]
    pub fn min_valid_sum(&self) -> i64 {
        self.read().values().map(|version| version.min_valid).sum()
    }

    /// Every scope that anything was counted of.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        self.read().keys().cloned().collect()
    }

    /// Takes over what was read. Versions only grow, so a reading that was overtaken by a later one changes nothing.
    pub(crate) fn update(&self, mut read: HashMap<Scope, Version>) {
        self.0.unknown.store(false, Ordering::Release);
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
                // While nobody can read the old ones: who knows of this reading sees what it brought.
                self.0.generation.fetch_add(1, Ordering::Release);
            }
            changed
        });
    }

    /// Whether another server that shows `shown` has every change that is known here and that a ranking of `decade`
    /// could depend on.
    pub(crate) fn covers(&self, shown: &HashMap<Scope, Version>, decade: Decade) -> bool {
        let concerned = |scope: &Scope| match scope {
            Scope::Scores(of) | Scope::List(_, of) => *of == decade,
            Scope::Snapshot | Scope::Profiles | Scope::Reference | Scope::Weights(_) => true,
        };
        let shows = |scope, version: &Version| shown.get(scope).map_or(0, |shown| shown.current) >= version.current;
        self.read().iter().all(|(scope, version)| !concerned(scope) || shows(scope, version))
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

/// Whether what was made of data may still be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Staleness {
    /// Nothing has changed since.
    Current,
    /// Something has: it may be served while its successor is computed.
    Stale,
    /// Nobody knows, since the database does not answer: what there is may be served as old.
    Unknown,
    /// What has changed must be seen at once.
    Invalidated,
}

/// The versions of the data that something was made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VersionSet {
    scopes: Vec<(Scope, i64)>,
    /// Depends on everything; never leaves the process.
    #[serde(skip)]
    all: Option<VersionMap>,
    #[serde(skip)]
    current_in: LastCurrentIn,
}

/// In which reading of the versions, counted from 1, a stamp was last found current: nearly every look-up judges one that
/// was judged a moment ago. A copy knows nothing of it.
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

    /// Whether it names nothing, so that nothing could make it old.
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

    /// The version of a scope that it was made of, if it was.
    #[must_use]
    pub fn version(&self, scope: &Scope) -> Option<i64> {
        self.scopes.iter().find(|(of, _)| of == scope).map(|(_, version)| *version)
    }

    /// The part of a stamp of everything that is about one scope.
    #[must_use]
    pub fn only(&self, scope: Option<Scope>) -> Self {
        let version = |scope: &Scope| self.all.as_ref()?.get(scope).map(|version| version.current);
        let scopes = scope.into_iter().map(|scope| (version(&scope).unwrap_or_default(), scope));
        Self::of(scopes.map(|(version, scope)| (scope, version)).collect())
    }

    /// Makes this the stamp of something that is made of `other` too: of each scope, the older version counts.
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
    fn a_soft_change_leaves_it_behind_and_a_hard_one_forbids_it() {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
        let set = versions.set_of([Scope::Snapshot]);
        assert_eq!(versions.staleness(&set), Staleness::Current);
        publish(&versions, &[(Scope::Snapshot, 4, 1), (Scope::Profiles, 2, 2)]);
        assert_eq!(versions.staleness(&set), Staleness::Stale);
        publish(&versions, &[(Scope::Snapshot, 5, 5)]);
        assert_eq!(versions.staleness(&set), Staleness::Invalidated);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_what_it_waits_for_and_by_nothing_else() {
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
    fn in_doubt_nothing_is_current_until_the_versions_are_read_again() {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
        let set = versions.set_of([Scope::Snapshot]);
        let forbidden = VersionSet::of(vec![(Scope::Profiles, 1)]);
        versions.mark_unknown();
        assert_eq!(versions.staleness(&set), Staleness::Unknown);
        assert_eq!(versions.staleness(&forbidden), Staleness::Invalidated);
        publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
        assert_eq!(versions.staleness(&set), Staleness::Current);
    }

    #[test]
    fn what_was_current_a_moment_ago_is_judged_by_what_is_new() {
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
    fn what_depends_on_everything_sees_a_scope_that_is_new() {
        let versions = versions(&[(Scope::Snapshot, 3, 1)]);
        let set = versions.set_of_all();
        assert_eq!(versions.staleness(&set), Staleness::Current);
        publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Reference, 1, 0)]);
        assert_eq!(versions.staleness(&set), Staleness::Stale);
    }

    #[test]
    fn what_is_made_of_two_things_is_as_old_as_the_older() {
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
