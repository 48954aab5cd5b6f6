//! Races of lookups, loads and invalidations, with a manual clock and loads that complete when the test releases them.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;
use crate::breaker::BreakerMetrics;
use crate::clock::{Clock, ClockHand};
use crate::telemetry::{OperationUsage, Recorder};
use crate::versions::{DataVersions, Identity, ReadStart, Scope, Version, VersionSet, Versions};

const TTL: Ttl = Ttl::of(Duration::from_mins(1));

/// Moves an entry from fresh to stale, whatever its jitter.
const TO_STALE: TimeDelta = TimeDelta::seconds(70);

/// Moves an entry from fresh to expired, whatever its jitter.
const TO_EXPIRED: TimeDelta = TimeDelta::seconds(140);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Outage,
    Bug,
}

impl LoadError for Failure {
    fn is_outage(&self) -> bool {
        *self == Self::Outage
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(&'static str);

impl Key for Name {
    fn shared(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

impl SharedValue for Option<u32> {
    const LAYOUT: [u8; 4] = [0; 4];
}

/// What a load does once it is released.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Value,
    Fail(Failure),
    Panic,
}

/// A cache whose loads are counted. The value of a load is its number, from 1.
#[derive(Clone)]
struct Fixture {
    cache: Cache<Name, Option<u32>, Failure>,
    versions: Versions,
    clock: ClockHand,
    recorder: Recorder,
    started: Arc<AtomicU32>,
    /// One permit releases one load.
    released: Arc<Semaphore>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(1_000, |_| None)
    }

    fn with(entries: usize, redis: impl FnOnce(&Recorder) -> Option<Redis>) -> Self {
        let fixture = Self::without_versions(entries, redis);
        fixture.publish(1, 0);
        fixture
    }

    /// A fixture that has read no versions yet.
    fn without_versions(entries: usize, redis: impl FnOnce(&Recorder) -> Option<Redis>) -> Self {
        let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
        let recorder = Recorder::new().unwrap();
        let metrics = CacheMetrics::new(&recorder);
        let versions = Versions::default();
        let redis = redis(&recorder);
        let context = CacheContext { versions: versions.clone(), clock, metrics, redis };
        let capacity = Capacity { entries, bytes: 1_000_000 };
        let cache = Cache::shared(CacheSettings { name: CacheName::Films, capacity }, &context);
        Self { cache, versions, clock: hand, recorder, started: Arc::default(), released: Semaphore::new(0).into() }
    }

    /// Publishes the version of the data that every value depends on.
    fn publish(&self, current: i64, min_valid: i64) {
        self.publish_of("a", current, min_valid);
    }

    /// Publishes the version as if it were read from a database whose schema has this identity.
    fn publish_of(&self, schema: &str, current: i64, min_valid: i64) {
        self.publish_read(self.versions.start_read(), schema, current, min_valid);
    }

    fn publish_read(&self, started: ReadStart, schema: &str, current: i64, min_valid: i64) {
        let identity = Identity {
            schema: schema.to_owned(),
            objects: "5/16400".to_owned(),
            system: None,
            timeline: None,
            is_standby: false,
        };
        let versions = HashMap::from([(Scope::Snapshot, Version { current, min_valid })]);
        self.versions.update(started, DataVersions { identity, versions });
    }

    fn load(&self, ending: Ending) -> impl Future<Output = Result<Loaded<Option<u32>>, Failure>> + Send + 'static {
        let fixture = self.clone();
        async move {
            let version_set = fixture.versions.set_of([Scope::Snapshot]);
            let number = fixture.started.fetch_add(1, Ordering::SeqCst) + 1;
            fixture.released.acquire().await.unwrap().forget();
            match ending {
                Ending::Value => {
                    Ok(Loaded { value: Some(number), version_set, ttl: TTL, bytes: 1, source: DataSource::Database })
                }
                Ending::Fail(failure) => Err(failure),
                Ending::Panic => panic!("this load panics"),
            }
        }
    }

    /// Starts a lookup.
    fn lookup(&self, name: &'static str, ending: Ending) -> JoinHandle<Result<Option<u32>, Failure>> {
        let (cache, load) = (self.cache.clone(), self.load(ending));
        tokio::spawn(async move { Ok(*cache.get(Name(name), load).await?) })
    }

    /// Starts a lookup of "whole", whose load returns the value of "part".
    fn lookup_whole(&self, part: Ending) -> JoinHandle<Result<Option<u32>, Failure>> {
        let (cache, parts, part) = (self.cache.clone(), self.cache.clone(), self.load(part));
        let load = async move {
            let (value, version_set) = (*parts.get(Name("part"), part).await?, VersionSet::default());
            Ok(Loaded { value, version_set, ttl: TTL, bytes: 1, source: DataSource::CacheFresh })
        };
        tokio::spawn(async move { Ok(*cache.get(Name("whole"), load).await?) })
    }

    /// Lets all other tasks run until `condition` holds.
    async fn settle(&self, condition: impl Fn(&Self) -> bool) {
        while !condition(self) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until `count` loads have started.
    async fn started(&self, count: u32) {
        self.settle(|fixture| fixture.started.load(Ordering::SeqCst) >= count).await;
    }

    /// Waits until a refresh of the cache has ended with `outcome` for the `count`th time.
    async fn refreshed(&self, outcome: &str, count: u64) {
        self.settle(|fixture| fixture.counter("revalidations", "outcome", outcome) >= count).await;
    }

    /// Lets every task that can run do so.
    async fn pause(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    fn counter(&self, metric: &str, label: &str, value: &str) -> u64 {
        let (name, label) =
            (format!("cinegraph_cache_{metric}_total{{cache=\"films\","), format!("{label}=\"{value}\""));
        let text = self.recorder.render();
        let of_it = text.lines().filter(|line| line.starts_with(&name) && line.contains(&label));
        of_it.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }
}

#[tokio::test]
async fn a_follower_of_a_load_that_is_invalidated_waits_for_another_one() {
    let fixture = Fixture::new();
    let leader = fixture.lookup("a", Ending::Value);
    fixture.started(1).await;
    let joined_before = fixture.lookup("a", Ending::Value);
    fixture.pause().await;
    fixture.publish(2, 2);
    let joined_after = fixture.lookup("a", Ending::Value);
    fixture.pause().await;
    assert_eq!(fixture.started.load(Ordering::SeqCst), 1, "both joined the load in flight");
    fixture.released.add_permits(2);
    assert_eq!(leader.await.unwrap(), Ok(Some(1)), "the leader's load began after its lookup");
    assert_eq!(joined_before.await.unwrap(), Ok(Some(2)));
    assert_eq!(joined_after.await.unwrap(), Ok(Some(2)));
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(2)), "the newer value is cached");
}

#[tokio::test]
async fn a_load_completes_though_its_caller_is_dropped() {
    let fixture = Fixture::new();
    let caller = fixture.lookup("a", Ending::Value);
    fixture.started(1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(fixture.counter("lookups", "result", "miss"), 1, "the cancelled lookup is counted");
    fixture.released.add_permits(1);
    fixture.settle(|fixture| fixture.cache.can_serve(&Name("a"))).await;
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
}

#[tokio::test]
async fn a_cancelled_lookup_is_counted_under_the_weights_that_its_load_has_found() {
    let fixture = Fixture::new();
    for (name, custom) in [("profile", false), ("custom", true)] {
        let (cache, load) = (fixture.cache.clone(), fixture.load(Ending::Value));
        let load = async move {
            if custom {
                DependencyScope::current().unwrap().record_custom();
            }
            load.await
        };
        let leader = tokio::spawn(async move { cache.get(Name(name), load).await });
        fixture.started(1 + u32::from(custom)).await;
        let follower = fixture.lookup(name, Ending::Value);
        fixture.pause().await;
        leader.abort();
        follower.abort();
        assert!(leader.await.unwrap_err().is_cancelled() && follower.await.unwrap_err().is_cancelled());
    }
    let misses = |selection: &str| {
        let labels = format!("{{cache=\"films\",selection=\"{selection}\",result=\"miss\"}} 2");
        fixture.recorder.render().contains(&format!("cinegraph_cache_lookups_total{labels}"))
    };
    assert!(misses("profile") && misses("custom"));
}

#[tokio::test]
async fn an_outdated_entry_comes_from_the_database_if_a_statement_has_failed() {
    let fixture = Fixture::new();
    fixture.released.add_permits(1);
    fixture.lookup("a", Ending::Value).await.unwrap().unwrap();
    fixture.clock.advance(TO_EXPIRED);
    for (statement, source) in [(false, DataSource::CacheStale), (true, DataSource::Database)] {
        let lookup = || {
            let (scope, load) = (DependencyScope::new(ReadMode::Request), fixture.load(Ending::Fail(Failure::Outage)));
            let load = async move {
                if statement {
                    OperationUsage::record_statement(Duration::ZERO);
                }
                load.await
            };
            let (cache, usage) = (fixture.cache.clone(), Arc::new(OperationUsage::default()));
            tokio::spawn(usage.scope(Arc::clone(&scope).of(async move {
                cache.get(Name("a"), load).await.unwrap();
                DependencyScope::current().unwrap().snapshot().source
            })))
        };
        let (leader, follower) = (lookup(), lookup());
        fixture.started(2 + u32::from(statement)).await;
        fixture.pause().await;
        fixture.released.add_permits(1);
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (Some(source), Some(source)));
    }
}

#[tokio::test]
async fn a_load_that_panics_reaches_its_callers_and_the_next_lookup_loads_again() {
    let fixture = Fixture::new();
    let (leader, follower) = (fixture.lookup("a", Ending::Panic), fixture.lookup("a", Ending::Value));
    fixture.started(1).await;
    fixture.pause().await;
    fixture.released.add_permits(1);
    assert!(leader.await.unwrap_err().is_panic());
    assert!(follower.await.unwrap_err().is_panic());
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(2)));
}

#[tokio::test]
async fn an_expired_entry_outlives_an_outage_but_hides_no_bug() {
    let fixture = Fixture::new();
    fixture.released.add_permits(10);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.clock.advance(TO_EXPIRED);
    for _ in 0..3 {
        let served = fixture.lookup("a", Ending::Fail(Failure::Outage)).await.unwrap();
        assert_eq!(served, Ok(Some(1)));
    }
    assert_eq!(fixture.lookup("a", Ending::Fail(Failure::Bug)).await.unwrap(), Err(Failure::Bug));
    assert_eq!(fixture.lookup("b", Ending::Fail(Failure::Outage)).await.unwrap(), Err(Failure::Outage));
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(7)));
}

#[tokio::test]
async fn an_outage_brings_no_older_value_back_after_one_derived_from_a_stale_part() {
    let fixture = Fixture::new();
    fixture.released.add_permits(10);
    assert_eq!(fixture.lookup("whole", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.publish(2, 0);
    assert_eq!(fixture.lookup("part", Ending::Value).await.unwrap(), Ok(Some(2)));
    fixture.clock.advance(TO_EXPIRED);
    let outage = Ending::Fail(Failure::Outage);
    assert_eq!(fixture.lookup_whole(outage).await.unwrap(), Ok(Some(2)), "derived from the outdated part");
    assert_eq!(fixture.lookup("whole", outage).await.unwrap(), Ok(Some(2)));
    assert_eq!(fixture.lookup_whole(Ending::Value).await.unwrap(), Ok(Some(5)), "it is not served without an outage");
}

#[tokio::test]
async fn a_value_derived_from_a_stale_part_hides_no_entry_of_newer_data() {
    let fixture = Fixture::new();
    fixture.released.add_permits(10);
    assert_eq!(fixture.lookup("part", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.publish(2, 0);
    assert_eq!(fixture.lookup("whole", Ending::Value).await.unwrap(), Ok(Some(2)));
    fixture.clock.advance(TO_EXPIRED);
    let outage = Ending::Fail(Failure::Outage);
    assert_eq!(fixture.lookup_whole(outage).await.unwrap(), Ok(Some(2)), "its part is of older data");
    fixture.publish(3, 3);
    assert_eq!(fixture.lookup_whole(outage).await.unwrap(), Err(Failure::Outage));
    assert_eq!(fixture.lookup_whole(Ending::Value).await.unwrap(), Ok(Some(5)));
}

#[tokio::test]
async fn a_stale_entry_is_served_while_one_refresh_runs() {
    let fixture = Fixture::new();
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.clock.advance(TO_STALE);
    for _ in 0..3 {
        assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    }
    fixture.started(2).await;
    assert_eq!(fixture.counter("revalidations", "outcome", "skipped"), 2);
    fixture.released.add_permits(1);
    fixture.refreshed("ok", 1).await;
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(2)));
    assert_eq!(fixture.started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_stale_entry_and_is_tried_again() {
    let fixture = Fixture::new();
    fixture.released.add_permits(3);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.clock.advance(TO_STALE);
    for (attempt, ending) in [(1, Ending::Fail(Failure::Outage)), (2, Ending::Fail(Failure::Bug))] {
        assert_eq!(fixture.lookup("a", ending).await.unwrap(), Ok(Some(1)));
        fixture.refreshed("error", attempt).await;
        fixture.pause().await;
    }
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.refreshed("ok", 1).await;
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(4)));
}

#[tokio::test]
async fn a_refresh_that_panics_is_tried_again() {
    let fixture = Fixture::new();
    fixture.released.add_permits(2);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.clock.advance(TO_STALE);
    assert_eq!(fixture.lookup("a", Ending::Panic).await.unwrap(), Ok(Some(1)));
    fixture.started(2).await;
    fixture.pause().await;
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.refreshed("ok", 1).await;
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(3)));
}

#[tokio::test]
async fn a_value_loaded_while_the_versions_are_unknown_is_as_old_as_they_are() {
    for (age, refreshes) in [(1, 0), (10, 1)] {
        let fixture = Fixture::without_versions(1_000, |_| None);
        fixture.released.add_permits(2);
        fixture.versions.expire_without_reads();
        fixture.publish_read(fixture.versions.start_read_before(Duration::from_secs(age)), "a", 2, 0);
        assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
        // The change may have been made before the load, so the five seconds in which it need not show may be over.
        fixture.publish(3, 0);
        assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
        fixture.started(1 + refreshes).await;
        assert_eq!(fixture.counter("lookups", "result", "stale"), u64::from(refreshes), "versions read {age} s ago");
    }
}

#[tokio::test]
async fn a_hard_invalidation_during_an_outage_is_an_error_and_no_old_value() {
    let fixture = Fixture::new();
    fixture.released.add_permits(10);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.versions.mark_unknown();
    assert_eq!(fixture.lookup("a", Ending::Fail(Failure::Outage)).await.unwrap(), Ok(Some(1)), "changes may be missed");
    fixture.refreshed("error", 1).await;
    fixture.publish(2, 2);
    for _ in 0..2 {
        let served = fixture.lookup("a", Ending::Fail(Failure::Outage)).await.unwrap();
        assert_eq!(served, Err(Failure::Outage));
    }
    assert_eq!(fixture.counter("evictions", "reason", "invalidated"), 1);
}

#[tokio::test]
async fn an_entry_invalidated_while_its_reload_fails_is_not_served() {
    let fixture = Fixture::new();
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.clock.advance(TO_EXPIRED);
    let waiting = fixture.lookup("a", Ending::Fail(Failure::Outage));
    fixture.started(2).await;
    fixture.publish(2, 2);
    fixture.released.add_permits(1);
    assert_eq!(waiting.await.unwrap(), Err(Failure::Outage));
}

#[tokio::test]
async fn eviction_while_loading_loses_neither_the_old_nor_the_new_value() {
    let fixture = Fixture::with(2, |_| None);
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    fixture.clock.advance(TO_EXPIRED);
    let reloading = fixture.lookup("a", Ending::Fail(Failure::Outage));
    fixture.started(2).await;
    for name in ["b", "c", "d"] {
        let other = Loaded {
            value: Some(0),
            version_set: fixture.versions.set_of([Scope::Snapshot]),
            ttl: TTL,
            bytes: 1,
            source: DataSource::Database,
        };
        assert_eq!(*fixture.cache.get(Name(name), async { Ok(other) }).await.unwrap(), Some(0));
    }
    assert!(!fixture.cache.can_serve(&Name("a")), "the old entry was evicted");
    fixture.released.add_permits(1);
    assert_eq!(reloading.await.unwrap(), Ok(Some(1)));
}

#[tokio::test]
async fn many_keys_are_loaded_together_and_a_missing_one_becomes_a_negative_entry() {
    let fixture = Fixture::new();
    let get = async |names: &[&'static str]| {
        let (versions, started) = (fixture.versions.clone(), Arc::clone(&fixture.started));
        let load = move |keys: Vec<Name>| {
            started.fetch_add(1, Ordering::SeqCst);
            let version_set = versions.set_of([Scope::Snapshot]);
            let loaded = keys.into_iter().map(|key| {
                let value = (key.0 != "none").then_some(0);
                let version_set = version_set.clone();
                (key, Loaded { value, version_set, ttl: TTL, bytes: 1, source: DataSource::Database })
            });
            std::future::ready(Ok(loaded.collect()))
        };
        let keys: Vec<Name> = names.iter().copied().map(Name).collect();
        let mut found: Vec<_> =
            fixture.cache.get_many(&keys, load).await.unwrap().into_keys().map(|key| key.0).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(get(&["a", "b", "none"]).await, ["a", "b"]);
    assert_eq!(get(&["none", "a"]).await, ["a"]);
    assert_eq!(fixture.started.load(Ordering::SeqCst), 1, "the negative entry is a hit");
    assert_eq!(get(&["a", "c"]).await, ["a", "c"]);
    assert_eq!(fixture.started.load(Ordering::SeqCst), 2);
    fixture.publish(2, 2);
    assert_eq!(get(&["a", "none"]).await, ["a"]);
    assert_eq!(fixture.started.load(Ordering::SeqCst), 3, "negative entries are invalidated too");
}

#[tokio::test]
async fn another_epoch_empties_the_memory_and_serves_nothing_in_an_outage() {
    let fixture = Fixture::new();
    fixture.released.add_permits(2);
    for name in ["a", "b"] {
        fixture.lookup(name, Ending::Value).await.unwrap().unwrap();
    }
    fixture.publish_of("b", 1, 0);
    let outage = fixture.lookup("a", Ending::Fail(Failure::Outage));
    fixture.released.add_permits(1);
    assert_eq!(outage.await.unwrap(), Err(Failure::Outage));
    assert_eq!(fixture.cache.count(|_| true), 0, "entries that nobody looks up are removed too");
}

#[tokio::test]
async fn a_load_that_began_in_another_epoch_is_not_stored() {
    let fixture = Fixture::new();
    let leader = fixture.lookup("a", Ending::Value);
    fixture.started(1).await;
    fixture.publish_of("b", 1, 0);
    let follower = fixture.lookup("a", Ending::Value);
    fixture.pause().await;
    fixture.released.add_permits(2);
    assert_eq!(leader.await.unwrap(), Ok(Some(1)), "its lookup began before the change");
    assert_eq!(follower.await.unwrap(), Ok(Some(2)));
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(2)), "the value of the new epoch is stored");
}

#[tokio::test]
async fn a_silent_redis_delays_a_load_by_its_limit_only() {
    // Accepts connections and never replies.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let settings = L2Settings { url, timeout: Duration::from_millis(5) };
    let fixture = Fixture::with(1_000, |recorder| {
        let metrics = (CacheMetrics::new(recorder), BreakerMetrics::new(recorder));
        Some(Redis::open(&settings, metrics.0, metrics.1).unwrap())
    });
    fixture.released.add_permits(1);
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)));
    let timeouts = "cinegraph_cache_layer_requests_total{cache=\"films\",layer=\"l2\",result=\"timeout\"} 1";
    assert!(fixture.recorder.render().lines().any(|line| line == timeouts));
    assert_eq!(fixture.lookup("a", Ending::Value).await.unwrap(), Ok(Some(1)), "it is in L1");
}
