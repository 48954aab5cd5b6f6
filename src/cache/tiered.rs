//! [`Tiers`]: L1, L2 and the loads that fill them. All of this runs once for all concurrent lookups of a key.

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
use super::entry::{Entry, Loaded, Ttl, Validity};
use super::freshness::{EntryState, state_of};
use super::l1::Memory;
use super::l2::Redis;
use super::labels::{CacheName, DataSource, Eviction, Layer, Lookup, Revalidation, WriteReason};
use super::metrics::revalidation_span;
use super::single_flight::{Joined, SingleFlight};
use crate::clock::Moment;
use crate::telemetry::{Status, in_current_operation};
use crate::versions::{Epoch, Staleness};

/// Time limit of a background refresh. A longer one counts as failed and releases its claim, because a claimed key is
/// refreshed by no other lookup. The load itself goes on.
const REFRESH_LIMIT: Duration = Duration::from_mins(1);

/// Loads the values of a set of keys.
pub(super) type Loader<K, V, E> =
    Arc<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<HashMap<K, Loaded<V>>, E>> + Send + Sync>;

/// Result of a load in flight, by key.
pub(super) type Loading<K, V, E> = Result<Arc<HashMap<K, LoadOutcome<V>>>, E>;

/// What a load found for one key: an entry of L2, a new value, or an outdated entry because the load failed in an outage.
pub(super) struct LoadOutcome<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) lookup: Lookup,
    /// The slowest source used.
    pub(super) source: DataSource,
}

impl<V> LoadOutcome<V> {
    pub(super) fn outdated(entry: Arc<Entry<V>>) -> Self {
        Self { entry, lookup: Lookup::Stale, source: DataSource::CacheStale }
    }
}

impl<V> Clone for LoadOutcome<V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), lookup: self.lookup, source: self.source }
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
    /// The epoch that the entries in memory belong to.
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

    /// The entries in memory. Those of another epoch are removed by the first lookup after the epoch has changed: none of
    /// them will ever be served again.
    pub(super) fn memory(&self) -> &Memory<K, V> {
        let epoch = self.cache_context.versions.epoch().to_bits();
        if self.epoch.load(Ordering::Relaxed) != epoch && self.epoch.swap(epoch, Ordering::Relaxed) != epoch {
            self.memory.clear(Eviction::Invalidated);
        }
        &self.memory
    }

    /// Whether the entry may be served now.
    pub(super) fn state(&self, entry: &Entry<V>) -> EntryState {
        state_of(&entry.validity, &entry.version_set, &self.cache_context.versions, self.cache_context.clock.moment())
    }

    /// Whether the entry must not be served, not even in an outage.
    pub(super) fn is_invalidated(&self, entry: &Entry<V>) -> bool {
        self.state(entry) == EntryState::Invalidated
    }

    /// Whether the entry contains every known change. A fresh entry may lack the soft changes of its first seconds.
    pub(super) fn is_current(&self, entry: &Entry<V>) -> bool {
        self.cache_context.versions.staleness(&entry.version_set) == Staleness::Current
    }

    /// Joins the loads of `keys` in flight, and starts one for all other keys.
    pub(super) fn join_or_start(
        self: &Arc<Self>,
        keys: Vec<K>,
        loader: &Loader<K, V, E>,
        reason: WriteReason,
        counted: bool,
    ) -> Vec<Joined<K, Loading<K, V, E>>> {
        self.in_flight.join_or_start(keys, |keys| {
            let (tiers, loader) = (Arc::clone(self), Arc::clone(loader));
            let mode = if counted { ReadMode::Request } else { ReadMode::Revalidate };
            let loading = async move { tiers.load(keys, &loader, reason, counted).await.map(Arc::new) };
            in_current_operation(DependencyScope::new(mode).of(loading))
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
            let loads = join_all(joined.iter().map(|joined| joined.load.clone()));
            let results = tokio::time::timeout(REFRESH_LIMIT, loads).await;
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
            // The claims outlive the locks in Redis: otherwise a lookup that claims a key could find this instance's
            // own lock.
            drop(claims);
        };
        tokio::spawn(refresh.instrument(revalidation_span(self.name)));
    }

    /// Reads the entries of `keys` from L2 and loads those that it cannot serve.
    async fn load(
        &self,
        keys: Vec<K>,
        loader: &Loader<K, V, E>,
        reason: WriteReason,
        counted: bool,
    ) -> Result<HashMap<K, LoadOutcome<V>>, E> {
        let (mut outcomes, mut outdated) = (HashMap::with_capacity(keys.len()), HashMap::new());
        for (key, entry) in self.read_l2(&keys, counted).await {
            match self.state(&entry) {
                EntryState::Fresh => {
                    self.insert(key.clone(), Arc::clone(&entry), key.is_custom());
                    outcomes.insert(key, LoadOutcome { entry, lookup: Lookup::HitL2, source: DataSource::CacheFresh });
                }
                EntryState::Stale | EntryState::Expired if counted => _ = outdated.insert(key, entry),
                _ => {}
            }
        }
        let missing: Vec<K> = keys.into_iter().filter(|key| !outcomes.contains_key(key)).collect();
        if missing.is_empty() {
            return Ok(outcomes);
        }
        // Taken before the load, because the data may change while it runs: the age counts from the earliest read.
        let (started, created_at) = (Instant::now(), self.cache_context.clock.moment());
        let loaded = loader(missing.clone()).await;
        let done = if loaded.is_ok() { Status::Ok } else { Status::Error };
        self.cache_context.metrics.loaded(self.name, started.elapsed(), done);
        let may_serve = |entry: Option<&Arc<Entry<V>>>| entry.is_some_and(|entry| !self.is_invalidated(entry));
        match loaded {
            Ok(loaded) => {
                let dependencies = DependencyScope::current().map(|scope| scope.snapshot()).unwrap_or_default();
                let store =
                    |(key, loaded): (K, _)| (key.clone(), self.store(key, loaded, created_at, &dependencies, reason));
                outcomes.extend(loaded.into_iter().map(store));
            }
            // Only if every key has such an entry: a key that the result leaves out counts as one without a value.
            Err(error) if error.is_outage() && missing.iter().all(|key| may_serve(outdated.get(key))) => {
                for (key, entry) in outdated {
                    self.memory().set(key.clone(), Arc::clone(&entry), key.is_custom());
                    outcomes.insert(key, LoadOutcome::outdated(entry));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(outcomes)
    }

    /// Makes a cache entry of a loaded value and of what the load has read from other caches.
    fn store(
        &self,
        key: K,
        loaded: Loaded<V>,
        created_at: Moment,
        dependencies: &Dependencies,
        reason: WriteReason,
    ) -> LoadOutcome<V> {
        let Loaded { value, mut version_set, ttl, bytes, source } = loaded;
        version_set.add(&dependencies.version_set);
        let validity = Validity::new(created_at, ttl.jittered(rand::random()));
        let validity = dependencies.validity.map_or(validity, |parts| validity.min(&parts));
        let entry = Arc::new(Entry { value: Arc::new(value), version_set, validity, bytes });
        // A value derived from a stale entry is outdated already. It is not cached, because a refresh of that entry is
        // running and the next lookup can use its result. Nor is one that was invalidated while it was loaded: in another
        // epoch, its rows may be those of either database.
        if dependencies.stale == 0 && ttl != Ttl::NONE && !self.is_invalidated(&entry) {
            self.write_l2(&key, &entry, reason);
            self.insert(key.clone(), Arc::clone(&entry), key.is_custom() || dependencies.custom);
            self.cache_context.metrics.written(self.name, Layer::L1, reason);
        }
        let source = source.max(dependencies.source.unwrap_or(DataSource::CacheFresh));
        LoadOutcome { entry, lookup: Lookup::Miss, source }
    }

    /// Replaces the L1 entry of `key`, and counts an expired one as evicted.
    fn insert(&self, key: K, entry: Arc<Entry<V>>, custom: bool) {
        if self.memory().get(&key).is_some_and(|old| self.state(&old) == EntryState::Expired) {
            self.memory().remove(&key, Eviction::Expired);
        }
        self.memory().set(key, entry, custom);
    }

    /// Whether L1 has an entry of newer data than `entry`, which another instance stored: that instance had not read the
    /// latest versions yet. Clients that were served the newer data must not see older data again.
    fn is_outdone(&self, key: &K, entry: &Entry<V>) -> bool {
        self.memory().get(key).is_some_and(|known| entry.version_set.is_older_than(&known.version_set))
    }

    /// Redis and the name of `key` there in this epoch; `None` if its entry is not shared. Nothing is shared before the
    /// epoch is known: another deployment may use the same Redis.
    fn shared(&self, key: &K, epoch: Epoch) -> Option<(&Redis, String)> {
        self.codec.as_ref()?;
        let redis = self.cache_context.redis.as_ref().filter(|_| epoch.is_known())?;
        Some((redis, format!("{}:{epoch}", key.shared()?)))
    }

    /// The entries of `keys` that L2 has, in any state, without those that L1 has in newer data.
    async fn read_l2(&self, keys: &[K], counted: bool) -> Vec<(K, Arc<Entry<V>>)> {
        let epoch = self.cache_context.versions.epoch();
        let shared = keys.iter().filter_map(|key| self.shared(key, epoch).map(|shared| (key, shared)));
        let reads = shared.map(|(key, (redis, name))| async move {
            let now = self.cache_context.clock.moment();
            let decode = |stored: &Stored| self.codec.as_ref()?.decode(&name, stored, now);
            let entry = redis.get(self.name, &name, counted, decode).await?;
            (!self.is_outdone(key, &entry)).then(|| (key.clone(), Arc::new(entry)))
        });
        join_all(reads).await.into_iter().flatten().collect()
    }

    /// Writes an entry to L2 in the background: a slow Redis must not delay a response.
    fn write_l2(&self, key: &K, entry: &Entry<V>, reason: WriteReason) {
        // The epoch of the data, which may not be the present one any more.
        let Some((redis, name)) = self.shared(key, entry.version_set.epoch()) else { return };
        let Some(bytes) = self.codec.as_ref().and_then(|codec| codec.encode(&name, entry)) else { return };
        let ttl = entry.validity.stale_until.since(self.cache_context.clock.moment());
        let (redis, metrics, cache) = (redis.clone(), self.cache_context.metrics.clone(), self.name);
        tokio::spawn(in_current_operation(async move {
            if redis.set(&name, &bytes, ttl).await {
                metrics.written(cache, Layer::L2, reason);
            }
        }));
    }

    /// Returns the keys that this instance shall refresh, and the names of the locks that it holds in Redis for them.
    /// The refresh of a key is left to another instance that holds its lock. That instance's entry is adopted if it is
    /// stored already; otherwise the next lookup of the stale entry comes here again.
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
                            self.insert(key.clone(), entry, key.is_custom());
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
