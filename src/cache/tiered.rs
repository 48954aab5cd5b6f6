//! [`Cache`]: lookup in L1 and L2, single flight and background refresh.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cached::claim::ClaimRegistry;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span};

use super::dependencies::{DependencyScope, ReadMode};
use super::entry::{Entry, EntryState, Loaded, Validity, state_of};
use super::l1::{Capacity, Memory};
use super::l2::Redis;
use super::labels::{
    CacheName, CacheOperation, DataSource, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, WriteReason,
};
use super::metrics::CacheMetrics;
use crate::clock::Clock;
use crate::telemetry::{Label, Status, in_current_operation};
use crate::versions::{Staleness, VersionSet, Versions};

/// Time limit of a background refresh. A longer one counts as failed and releases its claim, because a claimed key is
/// refreshed by no other lookup. The load itself goes on.
const REFRESH_LIMIT: Duration = Duration::from_mins(1);

/// Maximum number of loads that one lookup waits for. A follower waits for another one if its value was
/// hard-invalidated in the meantime. The bound keeps repeated invalidations from blocking a request without end.
const ATTEMPTS: usize = 3;

/// Key of a cache.
pub trait Key: Eq + Hash + Clone + Send + Sync + 'static {
    /// Whether the value belongs to custom weights. Such values have a small L1 partition of their own, and `shared`
    /// returns `None` for them.
    fn is_custom(&self) -> bool {
        false
    }

    /// Whether each lookup has a separate span.
    fn traced(&self) -> bool {
        true
    }

    /// The key in L2; `None` if the value is not shared.
    fn shared(&self) -> Option<String> {
        None
    }
}

/// Key of a cache with one value. Nearly every request reads it, so a span per lookup would not be worth its cost.
impl Key for () {
    fn traced(&self) -> bool {
        false
    }
}

/// Error of a load. Cheap to clone, because the leader and every follower receive a copy.
pub trait LoadError: Clone + Send + Sync + 'static {
    /// Whether a dependency is unavailable and the request is valid, so that an outdated value is better than an error.
    fn is_outage(&self) -> bool;
}

/// Name and limits of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// The name in metrics and spans.
    pub name: CacheName,
    /// Limits of L1.
    pub capacity: Capacity,
}

/// What all caches of a service share.
#[derive(Debug, Clone)]
pub struct CacheContext {
    /// The current data versions.
    pub versions: Versions,
    /// The source of the time for TTLs.
    pub clock: Clock,
    /// The metrics that lookups are counted in.
    pub metrics: CacheMetrics,
    /// The shared cache (L2), if configured.
    pub redis: Option<Redis>,
}

/// Cache of values by key with single flight. Versions and TTL decide how long an entry is served.
pub struct Cache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    name: CacheName,
    memory: Memory<K, V>,
    codec: Option<Codec<V>>,
    in_flight: Mutex<HashMap<K, InFlight<V, E>>>,
    refreshing: ClaimRegistry<K>,
    cache_context: CacheContext,
}

/// Encoding of entries for L2.
struct Codec<V> {
    encode: fn(&Entry<V>) -> Option<Vec<u8>>,
    decode: fn(&[u8]) -> Option<Entry<V>>,
}

type InFlight<V, E> = Shared<BoxFuture<'static, Result<LoadOutcome<V>, E>>>;

/// Result of an in-flight load: from L2, from the load, or outdated because the load failed in an outage.
struct LoadOutcome<V> {
    entry: Arc<Entry<V>>,
    how: Lookup,
    source: DataSource,
}

impl<V> Clone for LoadOutcome<V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), how: self.how, source: self.source }
    }
}

impl<K, V, E> Clone for Cache<K, V, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V, E> Cache<K, V, E>
where
    K: Key,
    V: Send + Sync + 'static,
    E: LoadError,
{
    /// A cache with L1 only.
    #[must_use]
    pub fn new(settings: CacheSettings, cache_context: &CacheContext) -> Self {
        Self::with(settings, cache_context, None)
    }

    /// A cache that also uses L2, if Redis is configured.
    #[must_use]
    pub fn shared(settings: CacheSettings, cache_context: &CacheContext) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        let codec = Codec {
            encode: |entry| postcard::to_stdvec(&(&entry.version_set, entry.times, entry.bytes, &*entry.value)).ok(),
            decode: |bytes| {
                let (version_set, times, bytes, value) = postcard::from_bytes::<(_, _, _, V)>(bytes).ok()?;
                Some(Entry { value: Arc::new(value), version_set, times, bytes })
            },
        };
        Self::with(settings, cache_context, Some(codec))
    }

    fn with(settings: CacheSettings, cache_context: &CacheContext, codec: Option<Codec<V>>) -> Self {
        let CacheSettings { name, capacity } = settings;
        Self(Arc::new(Inner {
            name,
            memory: Memory::new(name, capacity, cache_context.metrics.clone()),
            codec,
            in_flight: Mutex::default(),
            refreshing: ClaimRegistry::new(),
            cache_context: cache_context.clone(),
        }))
    }

    /// Returns the value of `key` from a fresh entry, or from a stale one while `load` refreshes it in the background.
    /// Otherwise waits for L2 and `load`, which run once for all concurrent lookups of the key. If `load` fails because
    /// of an outage, returns the L1 or L2 entry however old it is, unless it is invalidated.
    ///
    /// Only requests are served stale and outdated entries; see [`ReadMode`].
    ///
    /// # Errors
    /// Those of `load`. A failed load stores no new value, and the next lookup starts another one.
    ///
    /// # Panics
    /// If `load` panics.
    pub fn get<L>(&self, key: K, load: L) -> impl Future<Output = Result<Arc<V>, E>> + Send
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let span = if key.traced() { self.span() } else { Span::current() };
        self.get_traced(span, key, load)
    }

    /// Like [`get`](Self::get), but records the result on `span`. A response that must be executed is the operation
    /// itself and not a lookup within it, so it needs the caller's span.
    ///
    /// # Errors
    /// # Panics
    /// As [`get`](Self::get).
    pub async fn get_traced<L>(&self, span: Span, key: K, load: L) -> Result<Arc<V>, E>
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let scope = DependencyScope::current();
        // Loads are nested in loads and in resolvers. Boxed futures keep the stack use of the whole nest small.
        let looked_up = self.get_or_load(key, load.boxed(), scope.as_deref(), &span).boxed();
        looked_up.instrument(span.clone()).await
    }

    async fn get_or_load<L>(&self, key: K, load: L, scope: Option<&DependencyScope>, span: &Span) -> Result<Arc<V>, E>
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let inner = &self.0;
        let counted = scope.is_none_or(|scope| scope.mode() == ReadMode::Request);
        let accepts_stale = counted;
        let served = |entry: &Entry<V>, how: Lookup, source: DataSource| {
            inner.record_hit(entry, how, span, counted);
            if let Some(scope) = scope {
                scope.record(&entry.version_set, entry.times, source);
                scope.count(|dependencies| match how {
                    Lookup::HitL1 | Lookup::HitL2 => dependencies.hits += 1,
                    Lookup::Stale => dependencies.stale += 1,
                    Lookup::Miss | Lookup::Bypass => dependencies.misses += 1,
                });
            }
            Arc::clone(&entry.value)
        };

        let started = Instant::now();
        let cached = inner.memory.get(&key);
        inner.cache_context.metrics.cache_operation(Layer::L1, CacheOperation::Get, started);
        let latest_only = scope.is_some_and(|scope| scope.mode() == ReadMode::Latest);
        let state = cached.as_deref().map(|entry| match inner.state(entry) {
            EntryState::Fresh if latest_only && !inner.is_current(entry) => EntryState::Stale,
            state => state,
        });
        let usable = matches!(state, Some(EntryState::Fresh)) || state == Some(EntryState::Stale) && accepts_stale;
        if counted {
            let result = if usable { LayerResult::Hit } else { LayerResult::Miss };
            inner.cache_context.metrics.cache_layer(inner.name, Layer::L1, result);
        }
        let mut outdated = None;
        match (cached, state) {
            (Some(entry), Some(EntryState::Fresh)) => {
                return Ok(served(&entry, Lookup::HitL1, DataSource::CacheFresh));
            }
            (Some(entry), Some(EntryState::Stale)) if accepts_stale => {
                self.revalidate(key, load);
                return Ok(served(&entry, Lookup::Stale, DataSource::CacheStale));
            }
            (Some(_), Some(EntryState::Invalidated)) => inner.memory.remove(&key, Eviction::Invalidated),
            // The load below may fail in an outage, and then an outdated value is better than an error. The entry
            // therefore stays in L1 until a load replaces it, however old it is.
            (entry, _) => outdated = entry.filter(|_| counted),
        }

        let reason = match scope.map(DependencyScope::mode) {
            Some(ReadMode::Revalidate | ReadMode::Latest) => WriteReason::Revalidate,
            Some(ReadMode::Warm) => WriteReason::Warm,
            Some(ReadMode::Request) | None => WriteReason::Miss,
        };
        let mut load = Some(load);
        let mut joined = 0;
        loop {
            let (in_flight, role) = self.join_or_start(&key, &mut load, reason, counted);
            let roles = if counted { vec![role] } else { Vec::new() };
            let waiting = WaitTimer { metrics: &inner.cache_context.metrics, cache: inner.name, roles };
            let loaded = in_flight.await;
            waiting.over();
            joined += 1;
            // This load may have read its data before a hard invalidation that the caller has already seen. A follower
            // therefore waits for another load instead of returning the value. A leader may return it, since its own
            // load started after its lookup.
            let invalidated = |loaded: &LoadOutcome<V>| inner.state(&loaded.entry) == EntryState::Invalidated;
            if role == FlightRole::Follower
                && load.is_some()
                && joined < ATTEMPTS
                && loaded.as_ref().is_ok_and(invalidated)
            {
                continue;
            }
            let loaded = match (loaded, outdated.take()) {
                (Err(error), Some(entry)) if error.is_outage() => {
                    Ok(LoadOutcome { entry, how: Lookup::Stale, source: DataSource::CacheStale })
                }
                (loaded, _) => loaded,
            };
            if counted {
                match loaded.as_ref().map_or(Lookup::Miss, |loaded| loaded.how) {
                    Lookup::Miss => {
                        inner.cache_context.metrics.cache_single_flight(inner.name, role);
                        span.record("cinegraph.cache.single_flight.role", role.as_str());
                    }
                    // The failed load was the refresh of the outdated entry.
                    Lookup::Stale => inner.cache_context.metrics.cache_revalidation(inner.name, Revalidation::Error),
                    Lookup::HitL1 | Lookup::HitL2 | Lookup::Bypass => {}
                }
            }
            return match loaded {
                Ok(LoadOutcome { entry, how, source }) => Ok(served(&entry, how, source)),
                Err(error) => {
                    span.record("cinegraph.cache.result", Lookup::Miss.as_str());
                    if counted {
                        inner.cache_context.metrics.cache_lookup(inner.name, Lookup::Miss);
                    }
                    Err(error)
                }
            };
        }
    }

    /// Returns the L1 entry of `key` if it is fresh; [`serve`](Self::serve) then counts the hit. If this returns
    /// `None`, nothing has been counted, and the caller continues with [`get`](Self::get).
    #[must_use]
    pub fn find_fresh(&self, key: &K) -> Option<Arc<Entry<V>>> {
        let inner = &self.0;
        let started = Instant::now();
        let entry = inner.memory.get(key).filter(|entry| inner.state(entry) == EntryState::Fresh)?;
        let metrics = &inner.cache_context.metrics;
        metrics.cache_operation(Layer::L1, CacheOperation::Get, started);
        metrics.cache_layer(inner.name, Layer::L1, LayerResult::Hit);
        Some(entry)
    }

    /// Counts and traces a hit for an entry from [`find_fresh`](Self::find_fresh), and returns the entry's age.
    #[must_use]
    pub fn serve(&self, found: &Entry<V>) -> Duration {
        self.0.record_hit(found, Lookup::HitL1, &self.span(), true)
    }

    /// Whether L1 has an entry of `key`, in any state.
    #[must_use]
    pub fn has(&self, key: &K) -> bool {
        self.0.memory.get(key).is_some()
    }

    /// Creates the span of a lookup, with empty fields for its result.
    #[must_use]
    pub fn span(&self) -> Span {
        tracing::info_span!(
            "cache",
            otel.name = format!("cache get {}", self.0.name.as_str()),
            cinegraph.cache.name = self.0.name.as_str(),
            cinegraph.cache.result = tracing::field::Empty,
            cinegraph.cache.age_seconds = tracing::field::Empty,
            cinegraph.cache.single_flight.role = tracing::field::Empty,
        )
    }

    /// Number of L1 entries whose version set matches `wanted`.
    pub fn count(&self, wanted: impl Fn(&VersionSet) -> bool) -> usize {
        self.0.memory.count(|entry| wanted(&entry.version_set))
    }

    /// Refreshes a stale entry in the background and in a separate trace, unless a refresh of the key is running.
    fn revalidate<L>(&self, key: K, load: L)
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let metrics = &self.0.cache_context.metrics;
        let Some(claim) = self.0.refreshing.claim(key.clone()) else {
            metrics.cache_revalidation(self.0.name, Revalidation::Skipped);
            return;
        };
        let span = super::metrics::revalidation_span(self.0.name);
        let cache = self.clone();
        let refresh = async move {
            let _claim = claim;
            let metrics = &cache.0.cache_context.metrics;
            let shared = key.shared().zip(cache.0.cache_context.redis.as_ref()).filter(|_| cache.0.codec.is_some());
            if let Some((name, redis)) = &shared
                && !redis.claim(name).await
            {
                // Another instance holds the lock and refreshes the key. Its value is adopted if it is stored already;
                // otherwise the next lookup of the stale entry comes here again.
                cache.load_from_l2(&key, name, redis).await;
                metrics.cache_revalidation(cache.0.name, Revalidation::Skipped);
                return;
            }
            let (in_flight, _) = cache.join_or_start(&key, &mut Some(load), WriteReason::Revalidate, false);
            let outcome = match tokio::time::timeout(REFRESH_LIMIT, in_flight).await {
                Ok(Ok(loaded)) if loaded.how != Lookup::Stale => Revalidation::Ok,
                Ok(_) | Err(_) => Revalidation::Error,
            };
            if let Some((name, redis)) = &shared {
                redis.release(name).await;
            }
            metrics.cache_revalidation(cache.0.name, outcome);
        };
        tokio::spawn(DependencyScope::new(ReadMode::Revalidate).of(refresh).instrument(span));
    }

    /// Copies the entry that another instance has stored in L2 to L1, if it is fresh.
    async fn load_from_l2(&self, key: &K, name: &str, redis: &Redis) {
        let stored = redis.get(self.0.name, name, false).await.and_then(|bytes| self.0.decode(&bytes));
        if let Some(entry) = stored.filter(|entry| self.0.state(entry) == EntryState::Fresh) {
            self.0.insert(key.clone(), Arc::new(entry), key.is_custom());
        }
    }

    /// Returns the in-flight load of `key`: the one that is running (follower), or a new one (leader). It runs in a
    /// separate task, so it completes even if every lookup that waits for it is dropped.
    ///
    /// The lock is held from the lookup of a running load until the new one is registered. Two callers therefore never
    /// load a key at the same time, and the new load cannot deregister its key before it is registered.
    fn join_or_start<L>(
        &self,
        key: &K,
        load: &mut Option<L>,
        reason: WriteReason,
        counted: bool,
    ) -> (InFlight<V, E>, FlightRole)
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let mut in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = in_flight.get(key) {
            return (running.clone(), FlightRole::Follower);
        }
        let Some(load) = load.take() else {
            // Starting a load takes it. Only followers call this again, and a follower has not started its load.
            unreachable!("a lookup starts its load only once");
        };
        let guard = InFlightGuard { cache: self.clone(), key: key.clone() };
        let (cache, key) = (self.clone(), key.clone());
        let purpose = if counted { ReadMode::Request } else { ReadMode::Revalidate };
        let loading = async move {
            // The guard is dropped when the load ends, even by a panic. The next lookup then starts a new load instead
            // of waiting for one that has ended.
            let guard = guard;
            cache.run_load(&guard.key, load, reason, counted).await
        };
        let task = tokio::spawn(in_current_operation(DependencyScope::new(purpose).of(loading)));
        let shared = async move {
            match task.await {
                Ok(loaded) => loaded,
                Err(failed) => std::panic::panic_any(format!("cache load did not complete: {failed}")),
            }
        };
        let shared = shared.boxed().shared();
        in_flight.insert(key, shared.clone());
        (shared, FlightRole::Leader)
    }

    async fn run_load(
        &self,
        key: &K,
        load: impl Future<Output = Result<Loaded<V>, E>> + Send,
        reason: WriteReason,
        counted: bool,
    ) -> Result<LoadOutcome<V>, E> {
        let inner = &self.0;
        let shared = inner.cache_context.redis.as_ref().zip(key.shared()).filter(|_| inner.codec.is_some());
        let mut outdated = None;
        if let Some((redis, name)) = &shared {
            let stored = redis.get(inner.name, name, counted).await.and_then(|bytes| inner.decode(&bytes));
            let stored = stored.map(|entry| (inner.state(&entry), Arc::new(entry)));
            if let Some((EntryState::Fresh, entry)) = stored {
                inner.insert(key.clone(), Arc::clone(&entry), key.is_custom());
                return Ok(LoadOutcome { entry, how: Lookup::HitL2, source: DataSource::CacheFresh });
            }
            outdated = stored.filter(|(state, _)| counted && *state != EntryState::Invalidated).map(|(_, entry)| entry);
        }
        let (started, created_at) = (Instant::now(), inner.cache_context.clock.now());
        let loaded = load.await;
        let done = if loaded.is_ok() { Status::Ok } else { Status::Error };
        inner.cache_context.metrics.cache_loaded(inner.name, started.elapsed(), done);
        let Loaded { value, mut version_set, ttl, bytes, source } = match (loaded, outdated) {
            (Ok(loaded), _) => loaded,
            (Err(error), Some(entry)) if error.is_outage() => {
                inner.memory.set(key.clone(), Arc::clone(&entry), key.is_custom());
                return Ok(LoadOutcome { entry, how: Lookup::Stale, source: DataSource::CacheStale });
            }
            (Err(error), _) => return Err(error),
        };

        let dependencies = DependencyScope::current().map(|scope| scope.snapshot()).unwrap_or_default();
        version_set.add(&dependencies.version_set);
        let times = Validity::new(created_at, ttl.jittered(rand::random()));
        let times = dependencies.times.map_or(times, |parts| times.min(&parts));
        let entry = Arc::new(Entry { value: Arc::new(value), version_set, times, bytes });
        // A value derived from a stale entry is outdated already. It is not cached, because a refresh of that entry is
        // running and the next lookup can use its result.
        if dependencies.stale == 0 {
            inner.insert(key.clone(), Arc::clone(&entry), key.is_custom() || dependencies.custom);
            inner.cache_context.metrics.cache_written(inner.name, Layer::L1, reason);
            if let Some((redis, name)) = shared
                && let Some(bytes) = inner.encode(&entry)
            {
                let ttl = (times.stale_until - created_at).to_std().unwrap_or_default();
                let (redis, metrics, cache) = (redis.clone(), inner.cache_context.metrics.clone(), inner.name);
                let store = async move {
                    if redis.set(&name, &bytes, ttl).await {
                        metrics.cache_written(cache, Layer::L2, reason);
                    }
                };
                // The lookup does not wait for this write, because a slow Redis must not delay a response.
                tokio::spawn(in_current_operation(store));
            }
        }
        Ok(LoadOutcome {
            entry,
            how: Lookup::Miss,
            source: source.max(dependencies.source.unwrap_or(DataSource::CacheFresh)),
        })
    }
}

impl<K: Key, V: Send + Sync + 'static, E> Inner<K, V, E> {
    /// Replaces the L1 entry of `key`, and counts an expired one as evicted.
    fn insert(&self, key: K, entry: Arc<Entry<V>>, custom: bool) {
        if self.memory.get(&key).is_some_and(|old| self.state(&old) == EntryState::Expired) {
            self.memory.remove(&key, Eviction::Expired);
        }
        self.memory.set(key, entry, custom);
    }

    fn state(&self, entry: &Entry<V>) -> EntryState {
        state_of(&entry.times, &entry.version_set, &self.cache_context.versions, self.cache_context.clock.now())
    }

    /// Traces a lookup that is served `entry`, counts it if `counted`, and returns the entry's age.
    fn record_hit(&self, entry: &Entry<V>, how: Lookup, span: &Span, counted: bool) -> Duration {
        let age = entry.times.age(self.cache_context.clock.now());
        span.record("cinegraph.cache.result", how.as_str());
        span.record("cinegraph.cache.age_seconds", age.as_secs_f64());
        if counted {
            self.cache_context.metrics.cache_lookup(self.name, how);
            self.cache_context.metrics.cache_served(self.name, age);
        }
        age
    }

    /// Whether the entry contains every known change. A fresh entry may lack the soft changes of its first seconds.
    fn is_current(&self, entry: &Entry<V>) -> bool {
        self.cache_context.versions.staleness(&entry.version_set) == Staleness::Current
    }

    fn encode(&self, entry: &Entry<V>) -> Option<Vec<u8>> {
        self.codec.as_ref().and_then(|codec| (codec.encode)(entry))
    }

    fn decode(&self, bytes: &[u8]) -> Option<Entry<V>> {
        self.codec.as_ref().and_then(|codec| (codec.decode)(bytes))
    }
}

/// Lookups that wait for a load. Dropped before [`over`](Self::over), they count as misses: the load failed, or the
/// request was cancelled.
pub(super) struct WaitTimer<'a> {
    pub(super) metrics: &'a CacheMetrics,
    pub(super) cache: CacheName,
    pub(super) roles: Vec<FlightRole>,
}

impl WaitTimer<'_> {
    /// Ends the wait without counting: the code that serves the result counts it.
    pub(super) fn over(mut self) {
        self.roles.clear();
    }
}

impl Drop for WaitTimer<'_> {
    fn drop(&mut self) {
        for role in &self.roles {
            self.metrics.cache_lookup(self.cache, Lookup::Miss);
            self.metrics.cache_single_flight(self.cache, *role);
        }
    }
}

/// Deregisters a load when it ends, even by a panic.
struct InFlightGuard<K: Key, V, E> {
    cache: Cache<K, V, E>,
    key: K,
}

impl<K: Key, V, E> Drop for InFlightGuard<K, V, E> {
    fn drop(&mut self) {
        self.cache.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, V, E> fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.0.name).finish_non_exhaustive()
    }
}
