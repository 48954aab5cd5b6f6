//! Data versions: a counter per [`Scope`] of the data, raised by every change.
//!
//! A cached value carries the [`VersionSet`] that it was derived from. [`Versions`] compares it with the versions that
//! this process last read, and so decides whether the value is current. Counters can be compared only within one
//! [`Epoch`], which stands for one history of the data: a value of another epoch is invalid.

mod identity;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::Moment;
use crate::scoring::Decade;

pub use identity::{Epoch, Identity};

/// How long after the start of a read the versions that it showed count as known, in a process whose version listener
/// reads them all the time. It starts a read every second, and a read may take another second.
///
/// A limit and not only a message from the listener: a process that was frozen, or has no CPU time for the listener,
/// serves requests before the listener notices that changes were missed.
const KNOWN_FOR: Duration = Duration::from_secs(2);

/// Earlier than every time since the start of the process.
const NEVER: i64 = i64::MIN;

/// The part of the data whose changes a version counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Scores of the movies of a decade.
    Scores(Decade),
    /// Which movies of a decade are on a list; the first field is the key of the list.
    List(String, Decade),
    /// The snapshot that validations read.
    Snapshot,
    /// Weight profiles.
    Profiles,
    /// Names of lists, genres and countries.
    Reference,
    /// The learned rankings of a list; the field is its key.
    Model(String),
    /// Results under one set of weights, identified by its fingerprint. No change of the data raises this version; only
    /// an administrator does, to invalidate the results.
    Weights(String),
}

impl Scope {
    /// Decodes the columns `scope`, `list_key` and `decade`; `None` for an unknown scope or an invalid decade.
    pub(crate) fn from_row(scope: &str, list_key: String, decade: i32) -> Option<Self> {
        let decade = Decade::starting(decade);
        match scope {
            "scores" => decade.ok().map(Self::Scores),
            "list" => decade.ok().map(|decade| Self::List(list_key, decade)),
            "snapshot" => Some(Self::Snapshot),
            "profiles" => Some(Self::Profiles),
            "reference" => Some(Self::Reference),
            "model" => Some(Self::Model(list_key)),
            // The database has an earlier name of this scope. The fingerprint is in the column of the list's key.
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

/// What this process knows about the database.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The epoch of `identity`, to which `versions` belong.
    epoch: Epoch,
    /// `None` before the first read.
    identity: Option<Arc<Identity>>,
    versions: VersionMap,
}

/// Start of a read of the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadStart {
    /// The number of reads that had been applied by then. If that number has changed when the read ends, the read
    /// overlapped another one.
    applied: u64,
    /// The read shows every change that was committed until then.
    at: Instant,
}

/// What became of a read of the database, see [`Versions::update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Update {
    /// The read was applied: it shows the history that was known already, or it is the first read.
    Applied,
    /// The read was applied: it shows another history of the data than earlier reads, which showed this identity.
    NewEpoch(Arc<Identity>),
    /// The read was not applied: it shows another history, but a read that overlapped it was applied first, and nothing
    /// says which of the two histories is the present one. The caller has to read again.
    Overlapped,
    /// The read was not applied: it shows lower versions than an earlier read, under the same identity, so the database
    /// was set back, for example to a snapshot of its machine.
    WentBack,
}

/// The versions that this process last read from the database. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Versions(Arc<SharedVersions>);

#[derive(Debug)]
struct SharedVersions {
    /// What the reads that were applied have shown.
    known: watch::Sender<Known>,
    /// The epoch of `known`, for lookups that need nothing else and then take no lock.
    epoch: AtomicU64,
    /// Number of updates that changed the epoch or a version.
    generation: AtomicU64,
    /// Number of reads that were applied. It changes only under the write lock of `known`.
    applied: AtomicU64,
    /// Whether the versions count as known only for [`KNOWN_FOR`].
    expires: AtomicBool,
    /// When the read started that shows the latest state, of those that were applied; see [`Self::nanos_at`].
    read_at: AtomicI64,
    /// When changes may last have been missed.
    missed_at: AtomicI64,
    created: Instant,
}

impl Default for SharedVersions {
    fn default() -> Self {
        Self {
            known: watch::Sender::default(),
            epoch: AtomicU64::default(),
            generation: AtomicU64::default(),
            applied: AtomicU64::default(),
            expires: AtomicBool::default(),
            read_at: AtomicI64::new(NEVER),
            missed_at: AtomicI64::new(NEVER),
            created: Instant::now(),
        }
    }
}

impl SharedVersions {
    /// The time from the creation of these versions to `at`, in nanoseconds: an atomic cannot hold an `Instant`.
    fn nanos_at(&self, at: Instant) -> i64 {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        nanos(at.saturating_duration_since(self.created)) - nanos(self.created.saturating_duration_since(at))
    }

    /// The time since the last read started; very long if there was none.
    fn age(&self) -> Duration {
        let age = self.nanos_at(Instant::now()).saturating_sub(self.read_at.load(Ordering::Acquire));
        Duration::from_nanos(age.try_into().unwrap_or_default())
    }
}

impl Versions {
    /// The current version of a scope; 0 if it never changed.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> i64 {
        current_version(&self.known().versions, scope)
    }

    /// The epoch that the versions belong to now.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.0.epoch.load(Ordering::Acquire))
    }

    /// The version set of a value derived from these scopes. Take it before reading the data: a change between the two
    /// steps then makes a new value look stale, which costs a refresh. The reverse order could make an old value look
    /// current.
    #[must_use]
    pub fn set_of(&self, scopes: impl IntoIterator<Item = Scope>) -> VersionSet {
        let known = self.known();
        VersionSet::of(known.epoch, scopes, &known.versions)
    }

    /// The version set of a value that may depend on every scope, to be taken before reading the data.
    #[must_use]
    pub fn set_of_all(&self) -> VersionSet {
        let Known { epoch, versions, .. } = self.known();
        VersionSet { epoch, all: Some(versions), ..VersionSet::default() }
    }

    /// How a value that carries `set` compares with the versions known now.
    #[must_use]
    pub fn staleness(&self, set: &VersionSet) -> Staleness {
        // Called first, because an update stores its time last: a caller that finds the versions known also sees those
        // that the update has stored.
        let unknown = self.are_unknown();
        // The generation is loaded before the versions. If an update comes between the two, the result is stored under
        // the old generation and the next call compares again. The reverse order could store an old result under the
        // new generation, and the update would never be noticed. `current_in` publishes no other data, so relaxed
        // accesses are enough for it. It counts generations from 1, because its 0 means none.
        let generation = self.0.generation.load(Ordering::Acquire) + 1;
        let mut staleness = Staleness::Current;
        if set.current_in.0.load(Ordering::Relaxed) != generation {
            staleness = set.staleness_in(&self.known());
            if staleness == Staleness::Current {
                set.current_in.0.store(generation, Ordering::Relaxed);
            }
        }
        if unknown { staleness.max(Staleness::Unknown) } else { staleness }
    }

    /// From now on, the versions count as known only for 2 seconds after the start of a read: a version listener reads
    /// them more often. Without this call, what was read counts as known until the process ends, which is right for a
    /// command.
    pub(crate) fn expire_without_reads(&self) {
        self.0.expires.store(true, Ordering::Release);
    }

    /// Records that changes may have been missed. Nothing counts as current until the versions are read again.
    pub fn mark_unknown(&self) {
        self.0.missed_at.store(self.0.nanos_at(Instant::now()), Ordering::Release);
        self.expire_without_reads();
    }

    /// The moment of the state of the data that the versions show, given the moment `now`: `now` itself while the
    /// versions are known, otherwise when the last read of them started.
    #[must_use]
    pub fn as_of(&self, now: Moment) -> Moment {
        if self.are_unknown() { now - self.0.age() } else { now }
    }

    /// Whether changes may have been missed since the last read.
    fn are_unknown(&self) -> bool {
        let was_missed = || self.0.read_at.load(Ordering::Acquire) <= self.0.missed_at.load(Ordering::Acquire);
        self.0.expires.load(Ordering::Acquire) && (was_missed() || self.0.age() > KNOWN_FOR)
    }

    /// Waits until a scope of `set`, or the epoch, has changed; returns at once if that has happened already.
    pub async fn wait_until_outdated(&self, set: &VersionSet) {
        let mut known = self.0.known.subscribe();
        // The wait fails only when the sender is dropped, and `self` holds the sender.
        let _ = known.wait_for(|known| set.staleness_in(known) != Staleness::Current).await;
    }

    /// The epoch, and the sum of all minimum valid versions. Every hard invalidation changes one of the two: within an
    /// epoch, minimum valid versions only grow.
    #[must_use]
    pub fn invalidations(&self) -> (Epoch, i64) {
        let known = self.known();
        (known.epoch, known.versions.values().map(|version| version.min_valid).sum())
    }

    /// Marks the start of a read of the database. The caller passes what this returns to [`update`](Self::update), with
    /// the result of the read.
    pub(crate) fn start_read(&self) -> ReadStart {
        ReadStart { applied: self.0.applied.load(Ordering::Acquire), at: Instant::now() }
    }

    /// A read that started some time ago.
    #[cfg(test)]
    pub(crate) fn start_read_before(&self, age: Duration) -> ReadStart {
        ReadStart { at: Instant::now().checked_sub(age).unwrap(), ..self.start_read() }
    }

    /// Applies what was read from the database. The result says if the read was not applied, which leaves everything as
    /// it was. The versions are then known as of the start of the read: the reply to an old read does not end the
    /// unknown state.
    ///
    /// Reads may overlap, and the one that started first may complete last. Within an epoch that does no harm: versions
    /// only grow, so the larger version of each scope is the later one. Between epochs no such order exists. Only a
    /// read that started after the last applied read had completed is known to show a later state, and only such a read
    /// may replace the epoch.
    pub(crate) fn update(&self, started: ReadStart, read: DataVersions) -> Update {
        let mut update = Update::Applied;
        self.0.known.send_if_modified(|known| {
            let identity = match known.identity.as_deref() {
                Some(before) => read.identity.completed_by(before),
                None => read.identity,
            };
            let read = DataVersions { identity, ..read };
            let overlapped = started.applied != self.0.applied.load(Ordering::Relaxed);
            update = known.outcome_of(&read, overlapped);
            if matches!(update, Update::Overlapped | Update::WentBack) {
                return false;
            }
            let changed = known.apply(read);
            if changed {
                self.0.epoch.store(known.epoch.0, Ordering::Release);
                // The write lock of the channel is held here. A thread that sees the new generation must wait for this
                // lock before it can read the versions, so it never reads the old ones.
                self.0.generation.fetch_add(1, Ordering::Release);
            }
            self.0.applied.fetch_add(1, Ordering::Release);
            // Stored last: until the new versions are visible, a value whose change was missed must not count as
            // current.
            self.0.read_at.fetch_max(self.0.nanos_at(started.at), Ordering::Release);
            changed
        });
        update
    }

    /// Whether a server that shows `shown` is a replica of the known database, and has every known change that a
    /// ranking or a validation of `decade` could depend on. `false` before the first read of the database.
    pub(crate) fn covers(&self, shown: &DataVersions, decade: Decade) -> bool {
        let is_relevant = |scope: &Scope| match scope {
            Scope::Scores(of) | Scope::List(_, of) => *of == decade,
            Scope::Snapshot | Scope::Profiles | Scope::Reference | Scope::Model(_) | Scope::Weights(_) => true,
        };
        // A hard invalidation raises the current version too, so the minimum valid version needs no comparison.
        let shows = |scope, version: &Version| current_version(&shown.versions, scope) >= version.current;
        let Known { identity, versions, .. } = self.known();
        identity.is_some_and(|identity| identity.is_replicated_by(&shown.identity))
            && versions.iter().all(|(scope, version)| !is_relevant(scope) || shows(scope, version))
    }

    fn known(&self) -> Known {
        self.0.known.borrow().clone()
    }
}

impl Known {
    /// Decides what becomes of `read`. `overlapped` says whether another read was applied since this one started.
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
                // A read that overlapped may show lower versions only because it is older than the one that was
                // applied.
                if !overlapped && self.versions.iter().any(is_lower) { Update::WentBack } else { Update::Applied }
            }
        }
    }

    /// Merges `read` into what is known, or replaces that if `read` is of another epoch. Returns whether the epoch or a
    /// version has changed.
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

/// The current version of a scope in `versions`; 0 if the scope never changed.
fn current_version(versions: &HashMap<Scope, Version>, scope: &Scope) -> i64 {
    versions.get(scope).map_or(0, |version| version.current)
}

/// Compares the version of a scope that a value was derived from with the known version of that scope.
fn staleness_of(derived_from: i64, version: Version) -> Staleness {
    // A version above `current` comes from an instance that has read a later state, or from a history that has ended.
    // This process cannot tell which before its next read, so the value must not be served.
    if derived_from < version.min_valid || derived_from > version.current {
        Staleness::Invalidated
    } else if derived_from < version.current {
        Staleness::Stale
    } else {
        Staleness::Current
    }
}

/// How a value compares with the data that it was derived from. Ordered from best to worst: for a value that depends on
/// several scopes, the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Staleness {
    /// The data has not changed since.
    Current,
    /// The data has changed. The value may be served while it is refreshed (soft invalidation).
    Stale,
    /// The versions have not been read for some seconds, so changes may have been missed. The value may be served as
    /// stale.
    Unknown,
    /// The version of the value is below the minimum valid one (hard invalidation), belongs to another epoch, or is
    /// higher than the version that this process has read. The value must not be served.
    Invalidated,
}

/// The versions of the data that a value was derived from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VersionSet {
    /// The epoch that the versions belong to. It has no meaning in an empty set.
    epoch: Epoch,
    scopes: Vec<(Scope, i64)>,
    /// All versions, for a value that may depend on every scope. Not serialized, so such a value must not be stored in
    /// L2: there, it would seem to depend on nothing.
    #[serde(skip)]
    all: Option<VersionMap>,
    #[serde(skip)]
    current_in: LastCurrentIn,
}

/// The generation, counted from 1, in which a version set was last found current; 0 if it was never found current.
/// Nearly every lookup checks a set that another lookup has found current in the same generation, and then needs no
/// comparison. A clone starts at 0, and is compared again.
#[derive(Debug, Default)]
struct LastCurrentIn(AtomicU64);

impl Clone for LastCurrentIn {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl VersionSet {
    /// The set of `scopes`, each with its current version in `versions`.
    fn of(epoch: Epoch, scopes: impl IntoIterator<Item = Scope>, versions: &HashMap<Scope, Version>) -> Self {
        let with_version = |scope| {
            let version = current_version(versions, &scope);
            (scope, version)
        };
        Self { epoch, scopes: scopes.into_iter().map(with_version).collect(), ..Self::default() }
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

    /// How a value with this set compares with `known`, whether or not changes may have been missed since.
    fn staleness_in(&self, known: &Known) -> Staleness {
        if self.is_empty() {
            return Staleness::Current;
        }
        if self.epoch != known.epoch {
            return Staleness::Invalidated;
        }
        let known = &known.versions;
        let of_scopes = self.scopes.iter().map(|(scope, derived_from)| (*derived_from, known.get(scope).copied()));
        let of_scopes =
            of_scopes.map(|(derived_from, version)| staleness_of(derived_from, version.unwrap_or_default()));
        // While nothing has changed, `all` is the known map itself, and the comparison of all scopes is saved.
        let of_all = self.all.iter().filter(|all| !Arc::ptr_eq(all, known)).flat_map(|all| {
            // A scope that only one of the two maps has is at version 0 in the other.
            let derived_from = |scope| current_version(all, scope);
            let missing =
                all.keys().filter(|scope| !known.contains_key(scope)).map(|scope| (scope, Version::default()));
            let versions = known.iter().map(|(scope, version)| (scope, *version)).chain(missing);
            versions.map(move |(scope, version)| staleness_of(derived_from(scope), version))
        });
        of_scopes.chain(of_all).max().unwrap_or(Staleness::Current)
    }

    /// Whether this set has a lower version than `other` of at least one scope that both name, in the same epoch.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let is_older = |scope, version: i64| other.version(scope).is_some_and(|other| version < other);
        self.epoch == other.epoch && self.scopes.iter().any(|(scope, version)| is_older(scope, *version))
    }

    /// The version of `scope` in this set; `None` if the set does not name the scope. A set of all versions names none.
    #[must_use]
    pub fn version(&self, scope: &Scope) -> Option<i64> {
        self.scopes.iter().find(|(of, _)| of == scope).map(|(_, version)| *version)
    }

    /// The part of a set of all versions ([`Versions::set_of_all`]) that belongs to `scope`, with version 0 if the
    /// scope never changed; an empty set if `scope` is `None`, for a value that ends only with its TTL, such as a
    /// negative entry. For values whose scope is known only after reading the data.
    #[must_use]
    pub fn only(&self, scope: Option<Scope>) -> Self {
        Self::of(self.epoch, scope, &self.all.clone().unwrap_or_default())
    }

    /// Adds the dependencies of `other`. Of each scope, the lower version is kept: a value is as old as its oldest
    /// part. A value whose parts are from different epochs is never current.
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

/// The lower version of each scope that both maps have. A scope that only one of them has is left out: that counts as
/// version 0, which it has in the other map.
fn older(one: &VersionMap, other: &VersionMap) -> VersionMap {
    let in_both = one.iter().filter_map(|(scope, version)| {
        let other = other.get(scope)?;
        Some((scope.clone(), if other.current < version.current { *other } else { *version }))
    });
    Arc::new(in_both.collect())
}

#[cfg(test)]
mod tests;
