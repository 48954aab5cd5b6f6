//! [`Tiers`]: L1, L2 and the loads that fill them. A load, which reads L2 first, runs once for all concurrent lookups
//! of a key.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cached::claim::ClaimRegistry;
use futures_util::future::{BoxFuture, join_all};
use tracing::Instrument;

use super::codec::{Codec, Stored};
use super::context::{CacheContext, CacheSettings, Key, LoadError};
use super::dependencies::{Dependencies, DependencyScope, ReadMode};
use super::entry::{Entry, LoadStart, Loaded, Ttl, Validity};
use super::freshness::{EntryState, state_of};
use super::l1::Memory;
use super::l2::Redis;
use super::labels::{CacheName, DataSource, Eviction, Layer, Lookup, Revalidation, WriteReason};
use super::metrics::revalidation_span;
use super::single_flight::{Joined, SingleFlight};
use crate::telemetry::{OperationUsage, Status, in_current_operation};
use crate::versions::{Epoch, Staleness};

/// Time limit of a background refresh, after which it counts as failed and releases its claim: while a key is claimed,
/// no other lookup refreshes it. The load itself continues. A minute is a choice, several times the time limits of the
/// statements that a load runs.
const REFRESH_LIMIT: Duration = Duration::from_mins(1);

/// Loads the values of a set of keys. The result may leave out keys that have no value.
pub(super) type Loader<K, V, E> =
    Arc<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<HashMap<K, Loaded<V>>, E>> + Send + Sync>;

/// Result of a load in flight, by key.
pub(super) type Loading<K, V, E> = Result<Arc<HashMap<K, LoadOutcome<V>>>, FailedLoad<E>>;

/// A load that failed.
#[derive(Debug, Clone)]
pub(super) struct FailedLoad<E> {
    pub(super) error: E,
    /// The source of an outdated entry that is served in place of the value: the database if its operation has run a
    /// statement, although that failed.
    pub(super) source: DataSource,
}

/// What a load found for one key: a fresh entry of L2, a new value, or an outdated entry because the load failed in an
/// outage or its value is of older data.
pub(super) struct LoadOutcome<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) lookup: Lookup,
    /// The slowest source that was used.
    pub(super) source: DataSource,
    /// As what the load counts if an outdated entry is served in place of its value.
    pub(super) refresh: Revalidation,
}

impl<V> LoadOutcome<V> {
    fn new(entry: Arc<Entry<V>>, lookup: Lookup, source: DataSource) -> Self {
        Self { entry, lookup, source, refresh: Revalidation::Ok }
    }

    /// The outdated entry after a load that failed; `source` is that of the failed load.
    pub(super) fn outdated(entry: Arc<Entry<V>>, source: DataSource) -> Self {
        Self { entry, lookup: Lookup::Stale, source, refresh: Revalidation::Error }
    }

    /// The outdated entry after a load from `source` whose value is of even older data.
    fn newer(entry: Arc<Entry<V>>, source: DataSource) -> Self {
        let source = source.max(DataSource::CacheStale);
        Self { entry, lookup: Lookup::Stale, source, refresh: Revalidation::Skipped }
    }
}

impl<V> Clone for LoadOutcome<V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), ..*self }
    }
}

/// The tiers of a cache, and its loads in flight.
pub(super) struct Tiers<K, V, E> {
    pub(super) name: CacheName,
    memory: Memory<K, V>,
    /// `None` if the values are not shared.
    codec: Option<Codec<V>>,
    in_flight: SingleFlight<K, Loading<K, V, E>>,
    /// Keys whose background refresh is running.
    refreshing: ClaimRegistry<K>,
    /// The epoch that the entries in L1 belong to, as its number.
    epoch: AtomicU64,
    pub(super) cache_context: CacheContext,
}

impl<K, V, E> Tiers<K, V, E>
where
    K: Key,
    V: Send + Sync + 'static,
    E: LoadError,
{
    pub(super) fn new(settings: CacheSettings, cache_context: &CacheContext, codec: Option<Codec<V>>) -> Self {
        let CacheSettings { name, capacity } = settings;
        Self {
            name,
            memory: Memory::new(name, capacity, cache_context.metrics.clone()),
            codec,
            in_flight: SingleFlight::default(),
            refreshing: ClaimRegistry::new(),
            epoch: AtomicU64::default(),
            cache_context: cache_context.clone(),
        }
    }

    /// L1. The first call after the epoch has changed removes all entries: those of another epoch are never served
    /// again.
    pub(super) fn memory(&self) -> &Memory<K, V> {
        let epoch = self.cache_context.versions.epoch().to_bits();
        // The swap lets only one of concurrent calls clear L1. The others may still find the old entries, but their
        // state is invalidated.
        if self.epoch.load(Ordering::Relaxed) != epoch && self.epoch.swap(epoch, Ordering::Relaxed) != epoch {
            self.memory.clear(Eviction::Invalidated);
        }
        &self.memory
    }

    /// The state of the entry now.
    pub(super) fn state(&self, entry: &Entry<V>) -> EntryState {
        state_of(&entry.validity, &entry.version_set, &self.cache_context.versions, self.cache_context.clock.moment())
    }

    /// Whether the entry must not be served, not even in an outage.
    pub(super) fn is_invalidated(&self, entry: &Entry<V>) -> bool {
        self.state(entry) == EntryState::Invalidated
    }

    /// Whether the entry contains every change that this process knows of. A fresh entry may lack some: soft
    /// invalidations make it stale only when it is some seconds old.
    pub(super) fn is_current(&self, entry: &Entry<V>) -> bool {
        self.cache_context.versions.staleness(&entry.version_set) == Staleness::Current
    }

    /// Joins the loads of `keys` in flight, and starts one load for all other keys. `counted` says whether the lookup
    /// serves a request: the new load then counts its lookups in L2, and may use stale entries of other caches.
    pub(super) fn join_or_start(
        self: &Arc<Self>,
        keys: Vec<K>,
        loader: &Loader<K, V, E>,
        reason: WriteReason,
        counted: bool,
    ) -> Vec<Joined<K, Loading<K, V, E>>> {
        self.in_flight.join_or_start(keys, |keys| {
            let (tiers, loader) = (Arc::clone(self), Arc::clone(loader));
            // A scope of its own, which records what this load reads and nothing else.
            let mode = if counted { ReadMode::Request } else { ReadMode::Revalidate };
            let scope = DependencyScope::new(mode);
            let loading = async move { tiers.load(keys, &loader, reason, counted).await.map(Arc::new) };
            (Arc::clone(&scope), in_current_operation(scope.of(loading)))
        })
    }

    /// Refreshes stale entries in the background and in a separate trace. Skips keys whose refresh is running, on this
    /// instance or, for shared entries, on another one.
    pub(super) fn refresh(self: &Arc<Self>, stale: Vec<K>, loader: &Loader<K, V, E>) {
        let requested = stale.len();
        let claims: Vec<_> = stale.into_iter().filter_map(|key| self.refreshing.claim(key)).collect();
        self.count_refreshed(Revalidation::Skipped, requested - claims.len());
        if claims.is_empty() {
            return;
        }
        let (tiers, loader) = (Arc::clone(self), Arc::clone(loader));
        let refresh = async move {
            let keys: Vec<K> = claims.iter().map(|claim| claim.key().clone()).collect();
            let (keys, locked) = tiers.lock_in_l2(keys).await;
            tiers.count_refreshed(Revalidation::Skipped, claims.len() - keys.len());
            let joined = tiers.join_or_start(keys, &loader, WriteReason::Revalidate, false);
            let loads = join_all(joined.iter().map(|joined| joined.load.clone().wait()));
            let results = tokio::time::timeout(REFRESH_LIMIT, loads).await;
            // If the load that this refresh has joined serves a request, it may have returned an outdated entry,
            // because it failed in an outage.
            let is_loaded = |(at, joined): (usize, &Joined<K, _>)| {
                let result = results.as_ref().ok().and_then(|results| results.get(at)?.as_ref().ok());
                result.and_then(|loaded| loaded.get(&joined.key)).is_some_and(|loaded| loaded.lookup != Lookup::Stale)
            };
            let refreshed = joined.iter().enumerate().filter(|joined| is_loaded(*joined)).count();
            tiers.count_refreshed(Revalidation::Ok, refreshed);
            tiers.count_refreshed(Revalidation::Error, joined.len() - refreshed);
            if let Some(redis) = &tiers.cache_context.redis {
                join_all(locked.iter().map(|name| redis.unlock(name))).await;
            }
            // Dropped only now that the locks in Redis are released: otherwise, the next lookup of this instance that
            // claims a key could find the lock of this one, and skip the refresh.
            drop(claims);
        };
        tokio::spawn(refresh.instrument(revalidation_span(self.name)));
    }

    /// Reads the entries of `keys` from L2, calls `loader` with the keys without a fresh entry, and stores the values.
    async fn load(
        &self,
        keys: Vec<K>,
        loader: &Loader<K, V, E>,
        reason: WriteReason,
        counted: bool,
    ) -> Result<HashMap<K, LoadOutcome<V>>, FailedLoad<E>> {
        let (mut outcomes, mut outdated) = (HashMap::with_capacity(keys.len()), HashMap::new());
        for (key, entry) in self.read_l2(&keys, counted).await {
            match self.state(&entry) {
                EntryState::Fresh => {
                    self.insert(key.clone(), Arc::clone(&entry));
                    outcomes.insert(key, LoadOutcome::new(entry, Lookup::HitL2, DataSource::CacheFresh));
                }
                // Unlike a stale entry of L1, it is not served before the load, but only if the load fails.
                EntryState::Stale | EntryState::Expired if counted => _ = outdated.insert(key, entry),
                _ => {}
            }
        }
        let missing: Vec<K> = keys.into_iter().filter(|key| !outcomes.contains_key(key)).collect();
        if missing.is_empty() {
            return Ok(outcomes);
        }
        // Taken before the load, because the data may change while the load runs: the age of the entry counts from its
        // first read of data.
        let started = Instant::now();
        let start = LoadStart::now(&self.cache_context.clock, &self.cache_context.versions);
        let statements = OperationUsage::current_statements();
        let loaded = loader(missing.clone()).await;
        let done = if loaded.is_ok() { Status::Ok } else { Status::Error };
        self.cache_context.metrics.loaded(self.name, started.elapsed(), done);
        let ran_statement = OperationUsage::current_statements() > statements;
        let source = if ran_statement { DataSource::Database } else { DataSource::CacheStale };
        let may_serve = |entry: Option<&Arc<Entry<V>>>| entry.is_some_and(|entry| !self.is_invalidated(entry));
        match loaded {
            Ok(loaded) => {
                let dependencies = DependencyScope::current().map(|scope| scope.snapshot()).unwrap_or_default();
                let store =
                    |(key, loaded): (K, _)| (key.clone(), self.store(key, loaded, start, &dependencies, reason));
                outcomes.extend(loaded.into_iter().map(store));
            }
            // Only if every key has an entry that may be served. The result must not leave out the others, because it
            // would then say that they have no value.
            Err(error) if error.is_outage() && missing.iter().all(|key| may_serve(outdated.get(key))) => {
                // Stored in L1, so that further lookups need not read L2 while the outage lasts.
                for (key, entry) in outdated {
                    self.memory().set(key.clone(), Arc::clone(&entry));
                    outcomes.insert(key, LoadOutcome::outdated(entry, source));
                }
            }
            Err(error) => return Err(FailedLoad { error, source }),
        }
        Ok(outcomes)
    }

    /// Makes an entry of a loaded value, adding the dependencies that the load has recorded, and stores it in L1 and L2
    /// if it may be cached.
    fn store(
        &self,
        key: K,
        loaded: Loaded<V>,
        start: LoadStart,
        dependencies: &Dependencies,
        reason: WriteReason,
    ) -> LoadOutcome<V> {
        let Loaded { value, mut version_set, ttl, bytes, source } = loaded;
        version_set.add(&dependencies.version_set);
        let validity = start.validity(ttl.jittered(rand::random()));
        let validity = dependencies.validity.map_or(validity, |parts| validity.min(&parts));
        let custom = key.is_custom() || dependencies.custom;
        let entry = Arc::new(Entry { value: Arc::new(value), version_set, validity, bytes, custom });
        let source = source.max(dependencies.source.unwrap_or(DataSource::CacheFresh));
        // A value derived from a stale entry is outdated already. A refresh of that entry is running, and the next
        // lookup can use its result.
        let is_outdated = dependencies.stale > 0;
        if is_outdated && let Some(newer) = self.newer_in_memory(&key, &entry) {
            return LoadOutcome::newer(newer, source);
        }
        // A value that was invalidated while it was loaded is not stored: no lookup may be served it. If the epoch has
        // changed meanwhile, its rows may even come from either database.
        if ttl != Ttl::NONE && !self.is_invalidated(&entry) {
            if is_outdated {
                // Expired from the start, so that only an outage makes a lookup use it. Without it, such a lookup could
                // use an older entry of the key, after clients were served this value.
                let created_at = entry.validity.created_at;
                let validity = Validity { fresh_until: created_at, stale_until: created_at, ..entry.validity };
                let (value, version_set) = (Arc::clone(&entry.value), entry.version_set.clone());
                self.insert(key, Arc::new(Entry { value, version_set, validity, bytes, custom }));
            } else {
                self.write_l2(&key, &entry, reason);
                self.insert(key, Arc::clone(&entry));
                self.cache_context.metrics.written(self.name, Layer::L1, reason);
            }
        }
        LoadOutcome::new(entry, Lookup::Miss, source)
    }

    /// Replaces the L1 entry of `key`, and counts an expired one as evicted.
    fn insert(&self, key: K, entry: Arc<Entry<V>>) {
        if self.memory().get(&key).is_some_and(|old| self.state(&old) == EntryState::Expired) {
            self.memory().remove(&key, Eviction::Expired);
        }
        self.memory().set(key, entry);
    }

    /// The L1 entry of `key`, if it is of newer data than `entry` and may be served in an outage. Clients that were
    /// served the newer data must not see older data again. `entry` may be older because another instance, which had
    /// not read the latest versions yet, stored it or a value that it is derived from.
    fn newer_in_memory(&self, key: &K, entry: &Entry<V>) -> Option<Arc<Entry<V>>> {
        let is_newer = |known: &Arc<Entry<V>>| entry.version_set.is_older_than(&known.version_set);
        self.memory().get(key).filter(|known| is_newer(known) && !self.is_invalidated(known))
    }

    /// Redis, and the name of `key` in it for data of `epoch`; `None` if the entry is not shared. Nothing is shared
    /// before the epoch is known: without it, names would be equal to those of other databases whose instances use the
    /// same Redis.
    fn shared(&self, key: &K, epoch: Epoch) -> Option<(&Redis, String)> {
        self.codec.as_ref()?;
        let redis = self.cache_context.redis.as_ref().filter(|_| epoch.is_known())?;
        Some((redis, format!("{}:{epoch}", key.shared()?)))
    }

    /// The entries of `keys` in L2, in any state, without those that are derived from older data than the entry in L1.
    async fn read_l2(&self, keys: &[K], counted: bool) -> Vec<(K, Arc<Entry<V>>)> {
        let epoch = self.cache_context.versions.epoch();
        let shared = keys.iter().filter_map(|key| self.shared(key, epoch).map(|shared| (key, shared)));
        let reads = shared.map(|(key, (redis, name))| async move {
            let now = self.cache_context.clock.moment();
            let decode = |stored: &Stored| self.codec.as_ref()?.decode(&name, stored, now);
            let entry = redis.get(self.name, &name, counted, decode).await?;
            self.newer_in_memory(key, &entry).is_none().then(|| (key.clone(), Arc::new(entry)))
        });
        join_all(reads).await.into_iter().flatten().collect()
    }

    /// Writes an entry to L2 in the background: a slow Redis must not delay a response.
    fn write_l2(&self, key: &K, entry: &Entry<V>, reason: WriteReason) {
        // The epoch of the data that the value was derived from. The current epoch may be another one by now.
        let Some((redis, name)) = self.shared(key, entry.version_set.epoch()) else { return };
        let Some(bytes) = self.codec.as_ref().and_then(|codec| codec.encode(&name, entry)) else { return };
        // Redis removes the entry at the end of its stale window. The codec needs this: it computes the times of the
        // entry from the time that remains.
        let ttl = entry.validity.stale_until.since(self.cache_context.clock.moment());
        let (redis, metrics, cache) = (redis.clone(), self.cache_context.metrics.clone(), self.name);
        tokio::spawn(in_current_operation(async move {
            if redis.set(&name, &bytes, ttl).await {
                metrics.written(cache, Layer::L2, reason);
            }
        }));
    }

    /// Returns the keys that this instance must refresh, and the names of the locks in Redis that it has acquired for
    /// them. A key whose lock another instance holds is left to that instance. If it has stored a fresh entry already,
    /// the entry is copied to L1. Otherwise L1 keeps the stale entry, and the next lookup of the key tries a refresh
    /// again.
    async fn lock_in_l2(&self, keys: Vec<K>) -> (Vec<K>, Vec<String>) {
        let (mut locked, mut names) = (Vec::new(), Vec::new());
        let epoch = self.cache_context.versions.epoch();
        for key in keys {
            match self.shared(&key, epoch) {
                None => locked.push(key),
                Some((redis, name)) if redis.try_lock(&name).await => {
                    locked.push(key);
                    names.push(name);
                }
                Some(_) => {
                    let stored = self.read_l2(std::slice::from_ref(&key), false).await;
                    for (key, entry) in stored {
                        if self.state(&entry) == EntryState::Fresh {
                            self.insert(key.clone(), entry);
                        }
                    }
                }
            }
        }
        (locked, names)
    }

    fn count_refreshed(&self, outcome: Revalidation, keys: usize) {
        for _ in 0..keys {
            self.cache_context.metrics.revalidation(self.name, outcome);
        }
    }
}
