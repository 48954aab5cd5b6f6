//! Data versions: a counter per [`Scope`] of the data, raised by every change.
//!
//! A cached value carries the [`VersionSet`] that it was derived from. [`Versions`] compares it with the versions that
//! this process last read, and so decides whether the value is current. Counters are comparable within one [`Epoch`] only:
//! a value of another one is invalid.

mod epoch;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::scoring::Decade;

pub use epoch::{Epoch, Identity};

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

/// What one statement read from the database: its identity and its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataVersions {
    pub(crate) identity: Identity,
    pub(crate) versions: HashMap<Scope, Version>,
}

/// The versions of one epoch.
#[derive(Debug, Clone, Default)]
struct Known {
    epoch: Epoch,
    /// `None` before the first read.
    identity: Option<Arc<Identity>>,
    versions: VersionMap,
}

/// Start of a read of the database: the number of reads that had been applied by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadStart(u64);

/// What a read of the database has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Update {
    /// The history that was known, or the first one.
    Applied,
    /// Another history, in place of the one with this identity.
    NewEpoch(Arc<Identity>),
    /// Another history, but another read was applied meanwhile, so nothing says which of the two is the later one. Not
    /// applied; read again.
    Overlapped,
    /// Versions below those that were read before, under the same identity: the database was set back. Not applied.
    WentBack,
}

/// The versions that this process last read from the database. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Versions(Arc<SharedVersions>);

#[derive(Debug, Default)]
struct SharedVersions {
    read: watch::Sender<Known>,
    /// The epoch of `read`, for lookups that need nothing else.
    epoch: AtomicU64,
    /// Number of updates that changed a version.
    generation: AtomicU64,
    /// Number of reads that were applied. Changes under the write lock of `read`.
    applied: AtomicU64,
    unknown: AtomicBool,
}

impl Versions {
    /// The current version of a scope; 0 if it never changed.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> i64 {
        self.read().versions.get(scope).map_or(0, |version| version.current)
    }

    /// The epoch of the versions.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.0.epoch.load(Ordering::Acquire))
    }

    /// The version set of a value derived from these scopes. Take it before reading the data: a change between the two
    /// steps then makes a new value look stale, which costs a refresh. The reverse order could make an old value look
    /// current.
    #[must_use]
    pub fn set_of(&self, scopes: impl IntoIterator<Item = Scope>) -> VersionSet {
        let read = self.read();
        let current = |scope: Scope| (read.versions.get(&scope).map_or(0, |version| version.current), scope);
        let scopes = scopes.into_iter().map(current).map(|(version, scope)| (scope, version)).collect();
        VersionSet::of(read.epoch, scopes)
    }

    /// The version set of a value that may depend on every scope, to be taken before reading the data.
    #[must_use]
    pub fn set_of_all(&self) -> VersionSet {
        let Known { epoch, versions, .. } = self.read();
        VersionSet { epoch, all: Some(versions), ..VersionSet::default() }
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

    /// The epoch, and the sum of its minimum valid versions. They only grow, so every hard invalidation changes the sum.
    #[must_use]
    pub fn invalidations(&self) -> (Epoch, i64) {
        let read = self.read();
        (read.epoch, read.versions.values().map(|version| version.min_valid).sum())
    }

    /// To be called before each read of the database, whose result [`update`](Self::update) takes.
    pub(crate) fn start_read(&self) -> ReadStart {
        ReadStart(self.0.applied.load(Ordering::Acquire))
    }

    /// Applies versions read from the database, and ends the unknown state.
    ///
    /// Reads may overlap, and the earlier one may complete last. Within an epoch that does no harm: versions only grow, so
    /// the larger one of each scope is right. Only a read that started after the last applied one had completed is known
    /// to show a later state, and may replace the epoch.
    pub(crate) fn update(&self, started: ReadStart, read: DataVersions) -> Update {
        let mut update = Update::Applied;
        self.0.read.send_if_modified(|held| {
            let identity = match held.identity.as_deref() {
                Some(before) => read.identity.completed_by(before),
                None => read.identity,
            };
            let read = DataVersions { identity, ..read };
            let overlapped = started.0 != self.0.applied.load(Ordering::Relaxed);
            update = held.outcome_of(&read, overlapped);
            if matches!(update, Update::Overlapped | Update::WentBack) {
                return false;
            }
            let changed = held.apply(read);
            if changed {
                self.0.epoch.store(held.epoch.0, Ordering::Release);
                // The write lock of the channel is held here. A thread that sees the new generation must wait for this
                // lock before it can read the versions, so it never reads the old ones.
                self.0.generation.fetch_add(1, Ordering::Release);
            }
            self.0.applied.fetch_add(1, Ordering::Release);
            // Last: until the new versions are visible, data that changed unnoticed must not count as current.
            self.0.unknown.store(false, Ordering::Release);
            changed
        });
        update
    }

    /// Whether a server that shows `shown` is a replica of the database that this process knows, with every change that
    /// this process knows of and that a ranking of `decade` could depend on.
    pub(crate) fn covers(&self, shown: &DataVersions, decade: Decade) -> bool {
        let is_relevant = |scope: &Scope| match scope {
            Scope::Scores(of) | Scope::List(_, of) => *of == decade,
            Scope::Snapshot | Scope::Profiles | Scope::Reference | Scope::Weights(_) => true,
        };
        let shows =
            |scope, version: &Version| shown.versions.get(scope).map_or(0, |shown| shown.current) >= version.current;
        let Known { identity, versions, .. } = self.read();
        identity.is_some_and(|identity| identity.is_replicated_by(&shown.identity))
            && versions.iter().all(|(scope, version)| !is_relevant(scope) || shows(scope, version))
    }

    fn read(&self) -> Known {
        self.0.read.borrow().clone()
    }
}

impl Known {
    /// What `read` is compared with these versions; `overlapped` if another read was applied since it began.
    fn outcome_of(&self, read: &DataVersions, overlapped: bool) -> Update {
        match &self.identity {
            None => Update::Applied,
            Some(_) if self.epoch != read.identity.epoch() && overlapped => Update::Overlapped,
            Some(identity) if self.epoch != read.identity.epoch() => Update::NewEpoch(Arc::clone(identity)),
            Some(_) => {
                let is_lower = |(scope, held): (&Scope, &Version)| {
                    let read = read.versions.get(scope).copied().unwrap_or_default();
                    read.current < held.current || read.min_valid < held.min_valid
                };
                if !overlapped && self.versions.iter().any(is_lower) { Update::WentBack } else { Update::Applied }
            }
        }
    }

    /// Merges `read` into these versions, or replaces them if it is of another epoch. Returns whether that changed
    /// anything.
    fn apply(&mut self, read: DataVersions) -> bool {
        let DataVersions { identity, mut versions } = read;
        let epoch = identity.epoch();
        let before = std::mem::replace(&mut self.epoch, epoch);
        self.identity = Some(identity.into());
        if before != epoch {
            self.versions = Arc::new(versions);
            return true;
        }
        for (scope, held) in self.versions.iter() {
            let read = versions.entry(scope.clone()).or_default();
            *read = Version { current: read.current.max(held.current), min_valid: read.min_valid.max(held.min_valid) };
        }
        let changed = *self.versions != versions;
        if changed {
            self.versions = Arc::new(versions);
        }
        changed
    }
}

fn staleness_of(derived_from: i64, version: Version) -> Staleness {
    // A version that this process has not read yet. It may be that of a history that ended, so only a read could tell
    // whether the value is current.
    if derived_from < version.min_valid || derived_from > version.current {
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
    /// The version is below the minimum valid one (hard invalidation), of another epoch, or ahead of the database. The
    /// value must not be served.
    Invalidated,
}

/// The versions of the data that a value was derived from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VersionSet {
    /// The epoch that the versions belong to. Without meaning in an empty set.
    epoch: Epoch,
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
    fn of(epoch: Epoch, scopes: Vec<(Scope, i64)>) -> Self {
        Self { epoch, scopes, ..Self::default() }
    }

    /// The epoch of the data that the value was derived from.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether the set has no dependency, so that no change can make it stale.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.all.is_none()
    }

    fn staleness_in(&self, read: &Known) -> Staleness {
        if self.is_empty() {
            return Staleness::Current;
        }
        if self.epoch != read.epoch {
            return Staleness::Invalidated;
        }
        let read = &read.versions;
        let of_scopes = self.scopes.iter().map(|(scope, derived_from)| (*derived_from, read.get(scope).copied()));
        let of_scopes =
            of_scopes.map(|(derived_from, version)| staleness_of(derived_from, version.unwrap_or_default()));
        let of_all = self.all.iter().filter(|all| !Arc::ptr_eq(all, read)).flat_map(|all| {
            let derived_from = |scope| all.get(scope).map_or(0, |version| version.current);
            let missing = all.keys().filter(|scope| !read.contains_key(scope)).map(|scope| (scope, Version::default()));
            let versions = read.iter().map(|(scope, version)| (scope, *version)).chain(missing);
            versions.map(move |(scope, version)| staleness_of(derived_from(scope), version))
        });
        of_scopes.chain(of_all).max().unwrap_or(Staleness::Current)
    }

    /// Whether this set has an older version of a scope than `other`, in the same epoch.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let is_older = |scope, version: i64| other.version(scope).is_some_and(|other| version < other);
        self.epoch == other.epoch && self.scopes.iter().any(|(scope, version)| is_older(scope, *version))
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
        Self::of(self.epoch, scopes.map(|(version, scope)| (scope, version)).collect())
    }

    /// Adds the dependencies of `other`. The older version of each scope counts: a value is as old as its oldest part. A
    /// value with parts of different epochs is never current.
    pub fn add(&mut self, other: &Self) {
        self.current_in = LastCurrentIn::default();
        self.epoch = match (self.is_empty(), other.is_empty()) {
            (true, _) => other.epoch,
            (false, false) if self.epoch != other.epoch => Epoch::MIXED,
            _ => self.epoch,
        };
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
mod tests;
