//! Tests of versions and epochs: reads of them in any order, and what they make of cached values.

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::clock::Clock;

/// An identity of a primary on this timeline. Its other parts are always the same.
fn identity(timeline: i32) -> Identity {
    let system = Some("7000000000000000001".to_owned());
    Identity {
        schema: "a".to_owned(),
        objects: "5/16400".to_owned(),
        system,
        timeline: Some(timeline),
        is_standby: false,
    }
}

/// A read of these rows: scope, current version, minimum valid version.
fn read(identity: Identity, rows: &[(Scope, i64, i64)]) -> DataVersions {
    let row = |(scope, current, min_valid): &(Scope, i64, i64)| {
        (scope.clone(), Version { current: *current, min_valid: *min_valid })
    };
    DataVersions { identity, versions: rows.iter().map(row).collect() }
}

fn versions(rows: &[(Scope, i64, i64)]) -> Versions {
    let versions = Versions::default();
    publish(&versions, rows);
    versions
}

fn publish(versions: &Versions, rows: &[(Scope, i64, i64)]) {
    publish_as(versions, identity(1), rows);
}

fn publish_as(versions: &Versions, identity: Identity, rows: &[(Scope, i64, i64)]) -> Update {
    versions.update(versions.start_read(), read(identity, rows))
}

/// A set with these versions in the epoch that is known now.
fn set(versions: &Versions, scopes: Vec<(Scope, i64)>) -> VersionSet {
    VersionSet { epoch: versions.epoch(), scopes, ..VersionSet::default() }
}

#[test]
fn soft_invalidation_makes_a_set_stale_and_hard_invalidation_makes_it_invalid() {
    let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
    let set = versions.set_of([Scope::Snapshot]);
    assert_eq!(versions.staleness(&set), Staleness::Current);
    publish(&versions, &[(Scope::Snapshot, 4, 1), (Scope::Profiles, 2, 2)]);
    assert_eq!(versions.staleness(&set), Staleness::Stale);
    publish(&versions, &[(Scope::Snapshot, 5, 5), (Scope::Profiles, 2, 2)]);
    assert_eq!(versions.staleness(&set), Staleness::Invalidated);
}

#[tokio::test]
async fn only_a_change_of_its_scopes_wakes_wait_until_outdated() {
    let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
    let set = versions.set_of([Scope::Snapshot]);
    let mut outdated = std::pin::pin!(versions.wait_until_outdated(&set));
    assert!(futures_util::poll!(&mut outdated).is_pending());
    publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
    assert!(futures_util::poll!(&mut outdated).is_pending());
    publish(&versions, &[(Scope::Snapshot, 4, 1), (Scope::Profiles, 2, 2)]);
    outdated.await;
    versions.wait_until_outdated(&set).await;
}

#[test]
fn nothing_is_current_in_the_unknown_state_until_versions_are_read() {
    let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
    let set = versions.set_of([Scope::Snapshot]);
    let invalidated = self::set(&versions, vec![(Scope::Profiles, 1)]);
    versions.mark_unknown();
    assert_eq!(versions.staleness(&set), Staleness::Unknown);
    assert_eq!(versions.staleness(&invalidated), Staleness::Invalidated);
    publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
    assert_eq!(versions.staleness(&set), Staleness::Current);
}

/// Versions of a process that has read them this long ago, and has read nothing since: it was frozen, for example.
fn read_before(age: Duration) -> (Versions, VersionSet) {
    let versions = Versions::default();
    versions.expire_without_reads();
    publish_read_of(&versions, age, 3);
    let set = versions.set_of([Scope::Snapshot]);
    (versions, set)
}

/// Applies the reply to a read that started this long ago.
fn publish_read_of(versions: &Versions, age: Duration, snapshot: i64) {
    versions.update(versions.start_read_before(age), read(identity(1), &[(Scope::Snapshot, snapshot, 0)]));
}

#[test]
fn versions_are_unknown_two_seconds_after_the_start_of_the_last_read() {
    for (seconds, expected) in [(1, Staleness::Current), (3, Staleness::Unknown), (86_400, Staleness::Unknown)] {
        let (versions, set) = read_before(Duration::from_secs(seconds));
        assert_eq!(versions.staleness(&set), expected, "{seconds} s after the read");
    }
    let without_listener = versions(&[(Scope::Snapshot, 3, 1)]);
    publish_read_of(&without_listener, Duration::from_hours(1), 3);
    let set = without_listener.set_of([Scope::Snapshot]);
    assert_eq!(without_listener.staleness(&set), Staleness::Current);
}

#[test]
fn versions_show_the_state_of_their_last_read_while_they_are_unknown() {
    let now = Clock::manual(DateTime::UNIX_EPOCH).0.moment() + Duration::from_hours(1);
    let (versions, _) = read_before(Duration::from_mins(1));
    let age = now.since(versions.as_of(now));
    assert!((Duration::from_mins(1)..Duration::from_secs(90)).contains(&age), "{age:?}");
    publish_read_of(&versions, Duration::from_secs(1), 3);
    assert_eq!(versions.as_of(now), now);
    versions.mark_unknown();
    assert!(versions.as_of(now) < now);
}

#[test]
fn a_late_reply_to_an_old_read_does_not_end_the_unknown_state() {
    let (versions, set) = read_before(Duration::from_mins(1));
    publish_read_of(&versions, Duration::from_secs(30), 3);
    assert_eq!(versions.staleness(&set), Staleness::Unknown);
    publish_read_of(&versions, Duration::ZERO, 3);
    assert_eq!(versions.staleness(&set), Staleness::Current);
    // Nor does it make versions unknown that a later read has shown.
    publish_read_of(&versions, Duration::from_secs(30), 3);
    assert_eq!(versions.staleness(&set), Staleness::Current);
    publish_read_of(&versions, Duration::from_secs(30), 4);
    assert_eq!(versions.staleness(&set), Staleness::Stale, "a change counts however late it is heard of");
}

#[test]
fn a_set_found_current_is_compared_again_after_an_update() {
    let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
    let set = versions.set_of([Scope::Snapshot]);
    assert_eq!([versions.staleness(&set), versions.staleness(&set)], [Staleness::Current; 2]);
    publish(&versions, &[(Scope::Snapshot, 3, 1), (Scope::Profiles, 2, 2)]);
    assert_eq!([versions.staleness(&set), versions.staleness(&set)], [Staleness::Current; 2]);
    let mut older = set.clone();
    older.add(&self::set(&versions, vec![(Scope::Snapshot, 2)]));
    assert_eq!(versions.staleness(&older), Staleness::Stale);
    publish(&versions, &[(Scope::Snapshot, 4, 4), (Scope::Profiles, 2, 2)]);
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

#[test]
fn another_epoch_invalidates_every_set_whatever_its_counters_are() {
    for (snapshot, profiles) in [(3, 1), (9, 9), (1, 1), (0, 0)] {
        let versions = versions(&[(Scope::Snapshot, 3, 1), (Scope::Profiles, 1, 1)]);
        let sets = [versions.set_of([Scope::Snapshot]), versions.set_of_all(), versions.set_of([Scope::Reference])];
        assert!(sets.iter().all(|set| versions.staleness(set) == Staleness::Current));
        let rows = [(Scope::Snapshot, snapshot, 0), (Scope::Profiles, profiles, 0)];
        assert_eq!(publish_as(&versions, identity(2), &rows), Update::NewEpoch(Arc::new(identity(1))));
        assert_eq!(sets.each_ref().map(|set| versions.staleness(set)), [Staleness::Invalidated; 3]);
        versions.mark_unknown();
        assert_eq!(sets.each_ref().map(|set| versions.staleness(set)), [Staleness::Invalidated; 3]);
        assert_eq!(versions.of(&Scope::Snapshot), snapshot, "the versions are those of the new epoch");
    }
}

#[test]
fn every_part_of_the_identity_makes_another_epoch() {
    let one = identity(1);
    let others = [
        Identity { schema: "b".to_owned(), ..one.clone() },
        Identity { objects: "6/16400".to_owned(), ..one.clone() },
        Identity { system: Some("8".to_owned()), ..one.clone() },
        Identity { system: None, ..one.clone() },
        Identity { timeline: Some(2), ..one.clone() },
        Identity { timeline: None, ..one.clone() },
        Identity { is_standby: true, ..one.clone() },
    ];
    let mut epochs: Vec<_> = others.iter().chain([&one]).map(|identity| identity.epoch().0).collect();
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), others.len() + 1);
    assert!(others.iter().all(|identity| identity.epoch().is_known()));
    assert_eq!(Epoch::from_bits(one.epoch().to_bits()), one.epoch());
}

#[test]
fn a_standby_has_one_epoch_whatever_timeline_it_receives() {
    let standby = |timeline| Identity { is_standby: true, timeline, ..identity(1) };
    assert_eq!(standby(Some(1)).epoch(), standby(None).epoch());
    let versions = Versions::default();
    publish_as(&versions, standby(Some(1)), &[(Scope::Snapshot, 3, 1)]);
    assert_eq!(publish_as(&versions, standby(None), &[(Scope::Snapshot, 4, 1)]), Update::Applied);
}

#[test]
fn parts_of_the_identity_that_cannot_be_read_for_a_moment_change_no_epoch() {
    let versions = versions(&[(Scope::Snapshot, 3, 1)]);
    let unread = Identity { system: None, timeline: None, ..identity(1) };
    assert_eq!(publish_as(&versions, unread, &[(Scope::Snapshot, 3, 1)]), Update::Applied);
    assert_eq!(versions.epoch(), identity(1).epoch());
    assert!(matches!(publish_as(&versions, identity(2), &[(Scope::Snapshot, 3, 1)]), Update::NewEpoch(_)));
    let standby = Identity { is_standby: true, timeline: None, ..identity(2) };
    assert!(matches!(publish_as(&versions, standby, &[(Scope::Snapshot, 3, 1)]), Update::NewEpoch(_)));
}

#[test]
fn versions_that_are_not_read_yet_are_not_current() {
    let versions = versions(&[(Scope::Snapshot, 3, 1)]);
    let ahead =
        [set(&versions, vec![(Scope::Snapshot, 4)]), set(&versions, vec![(Scope::Snapshot, 3), (Scope::Profiles, 1)])];
    assert_eq!(ahead.each_ref().map(|set| versions.staleness(set)), [Staleness::Invalidated; 2]);
    publish(&versions, &[(Scope::Snapshot, 4, 1), (Scope::Profiles, 1, 0)]);
    assert_eq!(versions.staleness(&ahead[0]), Staleness::Current);
    assert_eq!(versions.staleness(&ahead[1]), Staleness::Stale);
}

#[test]
fn a_set_taken_before_the_first_read_is_invalid_after_it() {
    let versions = Versions::default();
    assert!(!versions.epoch().is_known());
    let set = versions.set_of([Scope::Snapshot]);
    publish(&versions, &[]);
    assert!(versions.epoch().is_known());
    assert_eq!(versions.staleness(&set), Staleness::Invalidated);
}

#[test]
fn a_set_with_parts_of_two_epochs_is_never_current() {
    let versions = versions(&[(Scope::Snapshot, 3, 1)]);
    let old = versions.set_of([Scope::Snapshot]);
    publish_as(&versions, identity(2), &[(Scope::Snapshot, 3, 1)]);
    let new = versions.set_of([Scope::Snapshot]);
    for (one, other) in [(&old, &new), (&new, &old)] {
        let mut mixed = one.clone();
        mixed.add(other);
        assert!(!mixed.epoch().is_known());
        assert_eq!(versions.staleness(&mixed), Staleness::Invalidated);
        publish_as(&versions, identity(1), &[(Scope::Snapshot, 3, 1)]);
        assert_eq!(versions.staleness(&mixed), Staleness::Invalidated);
        publish_as(&versions, identity(2), &[(Scope::Snapshot, 3, 1)]);
    }
    let mut of_new = VersionSet::default();
    of_new.add(&new);
    of_new.add(&VersionSet::default());
    assert_eq!(versions.staleness(&of_new), Staleness::Current);
}

#[test]
fn a_read_that_overlaps_a_later_one_does_not_bring_the_old_epoch_back() {
    let versions = versions(&[(Scope::Snapshot, 9, 1)]);
    let before_failover = versions.start_read();
    publish_as(&versions, identity(2), &[(Scope::Snapshot, 3, 1)]);
    let late = read(identity(1), &[(Scope::Snapshot, 9, 1)]);
    assert_eq!(versions.update(before_failover, late), Update::Overlapped);
    assert_eq!((versions.epoch(), versions.of(&Scope::Snapshot)), (identity(2).epoch(), 3));
}

#[test]
fn an_older_read_of_the_same_epoch_changes_nothing_when_it_completes_last() {
    let versions = versions(&[(Scope::Snapshot, 3, 1)]);
    let started = versions.start_read();
    publish(&versions, &[(Scope::Snapshot, 5, 5)]);
    assert_eq!(versions.update(started, read(identity(1), &[(Scope::Snapshot, 4, 1)])), Update::Applied);
    assert_eq!(versions.set_of([Scope::Snapshot]).version(&Scope::Snapshot), Some(5));
}

#[test]
fn lower_versions_in_a_later_read_are_those_of_a_database_that_was_set_back() {
    let rows = [(Scope::Snapshot, 3, 2), (Scope::Profiles, 1, 0)];
    for lower in [
        vec![(Scope::Snapshot, 2, 2), (Scope::Profiles, 1, 0)],
        vec![(Scope::Snapshot, 4, 1), (Scope::Profiles, 7, 7)],
        vec![(Scope::Snapshot, 3, 2)],
        vec![],
    ] {
        let versions = versions(&rows);
        let set = versions.set_of_all();
        assert_eq!(publish_as(&versions, identity(1), &lower), Update::WentBack, "{lower:?}");
        let renewed = Identity { schema: "b".to_owned(), ..identity(1) };
        assert!(matches!(publish_as(&versions, renewed, &lower), Update::NewEpoch(_)));
        assert_eq!(versions.staleness(&set), Staleness::Invalidated);
    }
}

#[tokio::test]
async fn another_epoch_wakes_those_who_wait_for_a_change() {
    let versions = versions(&[(Scope::Snapshot, 3, 1)]);
    let set = versions.set_of([Scope::Snapshot]);
    publish_as(&versions, identity(2), &[(Scope::Snapshot, 3, 1)]);
    versions.wait_until_outdated(&set).await;
}

#[test]
fn a_replica_covers_the_versions_of_its_own_database_only() {
    let decade = Decade::starting(1990).unwrap();
    let rows = [(Scope::Scores(decade), 3, 1)];
    let versions = versions(&rows);
    let standby = |timeline| Identity { is_standby: true, timeline, ..identity(1) };
    let covers = |identity, rows: &[(Scope, i64, i64)]| versions.covers(&read(identity, rows), decade);
    // The timeline that a standby receives may be unreadable.
    assert!(covers(standby(Some(1)), &rows) && covers(standby(None), &rows));
    assert!(covers(Identity { system: None, ..standby(None) }, &rows));
    assert!(!covers(standby(None), &[(Scope::Scores(decade), 2, 1)]), "it lacks a change");
    let strangers = [
        standby(Some(2)),
        Identity { schema: "b".to_owned(), ..standby(None) },
        Identity { objects: "6/16400".to_owned(), ..standby(None) },
        Identity { system: Some("8".to_owned()), ..standby(None) },
    ];
    assert!(!strangers.into_iter().any(|stranger| covers(stranger, &rows)));
    assert!(!Versions::default().covers(&read(standby(None), &rows), decade), "nothing was read yet");
}

proptest! {
    /// Reads of one history, each showing a later state, applied in any order: the newest version of each scope counts.
    #[test]
    fn overlapping_reads_of_one_history_commute(mut states in prop::collection::vec((0_i64..50, 0_i64..50), 1..6)) {
        let versions = Versions::default();
        let newest = (states.iter().map(|state| state.0).max(), states.iter().map(|state| state.1).max());
        let starts: Vec<_> = states.iter().map(|_| versions.start_read()).collect();
        for (started, (scores, profiles)) in starts.into_iter().zip(states.drain(..)) {
            let rows = [(Scope::Snapshot, scores, 0), (Scope::Profiles, profiles, 0)];
            prop_assert_eq!(versions.update(started, read(identity(1), &rows)), Update::Applied);
        }
        prop_assert_eq!((Some(versions.of(&Scope::Snapshot)), Some(versions.of(&Scope::Profiles))), newest);
    }

    /// A set is current only in the epoch it was taken in, and only while its counters are those of the database.
    #[test]
    fn only_equal_counters_of_the_same_epoch_are_current(taken: [u8; 2], now: [u8; 2]) {
        let [(epoch, counter), (epoch_now, counter_now)] = [taken, now].map(|[e, c]| (i32::from(e % 3), i64::from(c % 5)));
        let versions = Versions::default();
        publish_as(&versions, identity(epoch), &[(Scope::Snapshot, counter, 0)]);
        let set = versions.set_of([Scope::Snapshot]);
        let update = publish_as(&versions, identity(epoch_now), &[(Scope::Snapshot, counter_now, 0)]);
        prop_assume!(update != Update::WentBack);
        let is_current = versions.staleness(&set) == Staleness::Current;
        prop_assert_eq!(is_current, (epoch, counter) == (epoch_now, counter_now));
    }
}
