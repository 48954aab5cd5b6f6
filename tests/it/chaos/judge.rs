//! The model of a client that trusts the documentation: what it may see after what it has seen and done.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::client::Reply;
use super::faults::Number;
use super::journal::{Invariant, Journal};

/// How far behind the database a response may be that is not marked stale: 5 s in which scores are not refreshed again,
/// a second until an instance knows that it misses changes, and two of a busy machine.
const BEHIND: Duration = Duration::from_secs(8);

/// When another instance shows a mutation: the promised second, and two of a busy machine.
const ELSEWHERE: Duration = Duration::from_secs(3);

/// `Age` is in whole seconds.
const AGE_UNIT: Duration = Duration::from_secs(1);

/// Who sees something: an instance, and how often it has been started.
pub(super) type Witness = (Number, u32);

/// The data versions of the decades as the database had them at some time between two instants.
struct Snapshot {
    began: Instant,
    ended: Instant,
    history: u32,
    versions: HashMap<i64, i64>,
}

/// The version of a decade in a response that was not marked stale.
struct Read {
    sent: Instant,
    received: Instant,
    history: u32,
    decade: i64,
    version: i64,
    by: Witness,
}

/// An acknowledged mutation of a profile.
#[derive(Debug, Clone, Copy)]
struct Floor {
    count: u64,
    sent: Instant,
    acknowledged: Instant,
    by: Witness,
}

#[derive(Default)]
struct State {
    /// Number of the history of the database: another one begins when acknowledged changes may be lost.
    history: u32,
    /// `None` while histories change.
    since: Option<Instant>,
    snapshots: Vec<Snapshot>,
    reads: Vec<Read>,
    /// By client, instance, query and, if the query names a profile, the count that its weights show: other weights are
    /// another ranking.
    latest: HashMap<(Number, Witness, &'static str, Option<u64>), i64>,
    profiles: HashMap<Number, Floor>,
    invalidation: Option<Floor>,
}

/// Collects what clients see.
#[derive(Default)]
pub(super) struct Judge(Mutex<State>);

impl Judge {
    /// From now on, until [`Judge::history_began`], the database may lose changes.
    pub(super) fn history_ends(&self) {
        let mut state = self.0.lock().unwrap();
        state.since = None;
        state.profiles.clear();
        state.invalidation = None;
    }

    /// The database keeps what it acknowledges from now on.
    pub(super) fn history_began(&self) {
        let mut state = self.0.lock().unwrap();
        state.history += 1;
        state.since = Some(Instant::now());
    }

    /// Whether a request of this time belongs to the present history alone, some seconds after its beginning.
    fn is_settled(state: &State, sent: Instant, within: Duration) -> bool {
        state.since.is_some_and(|since| sent > since + within)
    }

    /// The database had these versions after `began`.
    pub(super) fn database_has(&self, began: Instant, versions: HashMap<i64, i64>) {
        let mut state = self.0.lock().unwrap();
        if Self::is_settled(&state, began, Duration::ZERO) {
            let history = state.history;
            state.snapshots.push(Snapshot { began, ended: Instant::now(), history, versions });
        }
    }

    /// A client read a ranking of a decade; `count` is that of the profile, if the query names one.
    pub(super) fn decade_read(
        &self,
        journal: &Journal,
        (client, by): (Number, Witness),
        (query, count): (&'static str, Option<u64>),
        reply: &Reply,
    ) {
        let decade = query.split_once("decade: ").and_then(|(_, rest)| rest.get(..4)?.parse().ok());
        let version = reply.data.as_object().and_then(|fields| fields.values().next()?["dataVersion"].as_i64());
        let (Some(decade), Some(version)) = (decade, version) else { return };
        let mut state = self.0.lock().unwrap();
        if !Self::is_settled(&state, reply.sent, BEHIND) {
            // What was read in another history says nothing about this one.
            state.latest.clear();
            return;
        }
        let key = (client, by, query, count);
        if let Some(latest) = state.latest.get(&key).filter(|latest| version < **latest) {
            let how = format_args!(
                "client {client} of instance {by:?}: from version {latest} to {version}, stale: {}: {query}",
                reply.stale
            );
            journal.broken(Invariant::MonotonicReads, how);
        }
        // An instance without its database knows nothing of a new history: until a response is not stale, it may be of
        // the former one, whose versions may be higher.
        if !reply.stale || state.latest.contains_key(&key) {
            state.latest.insert(key, version);
        }
        if !reply.stale {
            let (sent, received, history) = (reply.sent, reply.received, state.history);
            state.reads.push(Read { sent, received, history, decade, version, by });
        }
    }

    /// Compares what clients have read with what the database had.
    pub(super) fn compare_reads(&self, journal: &Journal) {
        let mut state = self.0.lock().unwrap();
        let (reads, history) = (std::mem::take(&mut state.reads), state.history);
        let snapshots: Vec<_> = state.snapshots.iter().filter(|snapshot| snapshot.history == history).collect();
        for read in reads.iter().filter(|read| read.history == history) {
            let version = |snapshot: &&Snapshot| snapshot.versions.get(&read.decade).copied();
            let before = snapshots.iter().rfind(|snapshot| snapshot.ended + BEHIND <= read.sent);
            let after = snapshots.iter().find(|snapshot| snapshot.began >= read.received);
            let (oldest, newest) = (before.and_then(version), after.and_then(version));
            let Read { by, decade, version, .. } = read;
            if oldest.is_some_and(|oldest| *version < oldest) {
                let behind = snapshots.iter().rfind(|snapshot| snapshot.versions.get(decade) <= Some(version));
                let behind = behind.map(|snapshot| read.sent.saturating_duration_since(snapshot.ended));
                let how = format_args!(
                    "instance {by:?}: decade {decade} at version {version}, not marked stale, though the database had {} \
                     {BEHIND:?} earlier; it is {behind:.1?} behind",
                    oldest.unwrap_or_default()
                );
                journal.broken(Invariant::NothingStaleAsFresh, how);
            }
            if newest.is_some_and(|newest| *version > newest) {
                let newest = newest.unwrap_or_default();
                let how =
                    format_args!("instance {by:?}: decade {decade} at version {version}; the database is at {newest}");
                journal.broken(Invariant::NothingOfAnotherHistory, how);
            }
        }
        state.snapshots.retain(|snapshot| snapshot.history == history);
    }

    /// An instance acknowledged a mutation, sent at this time, that wrote `count` to a profile.
    pub(super) fn profile_written(&self, sent: Instant, by: Witness, profile: Number, count: u64) {
        let mut state = self.0.lock().unwrap();
        if Self::is_settled(&state, sent, Duration::ZERO) {
            state.profiles.insert(profile, Floor { count, sent, acknowledged: Instant::now(), by });
        }
    }

    /// A client read the count of a profile.
    pub(super) fn profile_read(&self, journal: &Journal, by: Witness, profile: Number, count: u64, reply: &Reply) {
        let state = self.0.lock().unwrap();
        let Some(floor) = state.profiles.get(&profile) else { return };
        if count < floor.count && Self::binds(floor, by, reply) {
            let late = reply.sent - floor.acknowledged;
            let how = format_args!(
                "profile {profile}: instance {:?} acknowledged {}, {late:.1?} later instance {by:?} sent {count}{}",
                floor.by,
                floor.count,
                if reply.stale { ", marked stale" } else { "" }
            );
            journal.broken(Invariant::OwnWrites, how);
        }
    }

    /// An instance acknowledged an invalidation, sent at this time, of everything cached.
    pub(super) fn invalidated(&self, sent: Instant, by: Witness) {
        let mut state = self.0.lock().unwrap();
        if Self::is_settled(&state, sent, Duration::ZERO) {
            state.invalidation = Some(Floor { count: 0, sent, acknowledged: Instant::now(), by });
        }
    }

    /// A client received a response of this age.
    pub(super) fn age_read(&self, journal: &Journal, by: Witness, reply: &Reply) {
        let state = self.0.lock().unwrap();
        let Some(floor) = &state.invalidation else { return };
        let since = reply.received - floor.sent;
        if reply.age > since + AGE_UNIT && Self::binds(floor, by, reply) {
            let (age, stale) = (reply.age, reply.stale);
            let how = format_args!(
                "instance {by:?}: a response of age {age:?}, stale: {stale}, {since:.1?} after an invalidation"
            );
            journal.broken(Invariant::HardFloor, how);
        }
    }

    /// Whether a response must respect a mutation: at once where it was acknowledged, whatever else has failed there;
    /// elsewhere after a second, unless the response says that it may be outdated.
    fn binds(floor: &Floor, by: Witness, reply: &Reply) -> bool {
        if by == floor.by {
            reply.sent > floor.acknowledged
        } else {
            !reply.stale && reply.sent > floor.acknowledged + ELSEWHERE
        }
    }
}
