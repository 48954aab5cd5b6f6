//! The tiers put together: L1, L2, one load for all who ask, refreshes beside the requests.

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
use crate::clock::Clock;
use crate::telemetry::{
    CacheName, CacheOperation, Done, Eviction, FlightRole, Label, Layer, LayerResult, Lookup, Metrics, Revalidation,
    Source, WriteReason, in_current_operation,
};
use crate::versions::{Staleness, VersionSet, Versions};

/// A refresh that takes longer has failed: its key must not stay claimed.
const REFRESH_LIMIT: Duration = Duration::from_mins(1);

/// A value that was forbidden while it was waited for is asked for again this many times.
const ATTEMPTS: usize = 3;

/// What a value is known by.
pub trait Key: Eq + Hash + Clone + Send + Sync + 'static {
    /// Whether it belongs to weights that no profile has: such values have a small partition of their own, and are not
    /// shared.
    fn is_custom(&self) -> bool {
        false
    }

    /// Whether a look-up is worth a span of its own.
    fn traced(&self) -> bool {
        true
    }

    /// Its name in the shared cache; none where its values are not shared.
    fn shared(&self) -> Option<String> {
        None
    }
}

/// There is one value, which nearly every request reads: what is worth a span is to load it.
impl Key for () {
    fn traced(&self) -> bool {
        false
    }
}

/// Why a value could not be loaded. Cheap to clone, so that all who waited can be told.
pub trait LoadError: Clone + Send + Sync + 'static {
    /// Whether nothing is wrong with the question, so that an older answer is better than none.
    fn is_outage(&self) -> bool;
}

/// What a cache is.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// Its name.
    pub name: CacheName,
    /// What L1 may hold.
    pub capacity: Capacity,
}

/// What all caches of a service share.
#[derive(Debug, Clone)]
pub struct CacheContext {
    /// How new values must be.
    pub versions: Versions,
    /// What time it is.
    pub clock: Clock,
    /// Where look-ups are counted.
    pub metrics: Metrics,
    /// The shared cache, where there is one.
    pub redis: Option<Redis>,
}

/// Values by key, each loaded once however many ask, and kept as long as versions and times allow.
pub struct Cache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    name: CacheName,
    memory: Memory<K, V>,
    codec: Option<Codec<V>>,
    flights: Mutex<HashMap<K, InFlight<V, E>>>,
    refreshing: ClaimRegistry<K>,
    cache_context: CacheContext,
}

/// How values travel to the shared cache and back.
struct Codec<V> {
    encode: fn(&Entry<V>) -> Option<Vec<u8>>,
    decode: fn(&[u8]) -> Option<Entry<V>>,
}

type InFlight<V, E> = Shared<BoxFuture<'static, Result<LoadOutcome<V>, E>>>;

/// What a flight came back with.
struct LoadOutcome<V> {
    entry: Arc<Entry<V>>,
    how: Lookup,
    source: Source,
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
    /// A cache in this process alone.
    #[must_use]
    pub fn new(settings: CacheSettings, cache_context: &CacheContext) -> Self {
        Self::with(settings, cache_context, None)
    }

    /// A cache that is shared where there is a Redis.
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
            flights: Mutex::default(),
            refreshing: ClaimRegistry::new(),
            cache_context: cache_context.clone(),
        }))
    }

    /// The value of `key`: kept and fresh, or kept and stale while `load` makes its successor beside the request, or what
    /// `load` gives now, once for all who ask at the same time. During an outage, what is kept or shared, however old.
    ///
    /// # Errors
    /// Those of `load`; nothing new is kept then, and the next to ask tries again.
    ///
    /// # Panics
    /// When `load` does.
    pub fn get<L>(&self, key: K, load: L) -> impl Future<Output = Result<Arc<V>, E>> + Send
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let span = if key.traced() { self.span() } else { Span::current() };
        self.get_traced(span, key, load)
    }

    /// The same, as a part of `span`: an answer that is made from scratch is the operation itself, and no look-up in it.
    ///
    /// # Errors
    /// # Panics
    /// As [`get`](Self::get).
    pub async fn get_traced<L>(&self, span: Span, key: K, load: L) -> Result<Arc<V>, E>
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let reading = DependencyScope::current();
        // Loads nest, and so do the futures of resolvers: on the heap, so that they need little stack together.
        let looked_up = self.get_or_load(key, load.boxed(), reading.as_deref(), &span).boxed();
        looked_up.instrument(span.clone()).await
    }

    async fn get_or_load<L>(&self, key: K, load: L, reading: Option<&DependencyScope>, span: &Span) -> Result<Arc<V>, E>
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let inner = &self.0;
        let counted = reading.is_none_or(|reading| reading.purpose() == ReadMode::Request);
        let stale_will_do = counted;
        let served = |entry: &Entry<V>, how: Lookup, source: Source| {
            inner.record_hit(entry, how, span, counted);
            if let Some(reading) = reading {
                reading.record(&entry.version_set, entry.times, source);
                reading.count(|read| match how {
                    Lookup::HitL1 | Lookup::HitL2 => read.hits += 1,
                    Lookup::Stale => read.stale += 1,
                    Lookup::Miss | Lookup::Bypass => read.misses += 1,
                });
            }
            Arc::clone(&entry.value)
        };

        let started = Instant::now();
        let kept = inner.memory.get(&key);
        inner.cache_context.metrics.cache_operation(Layer::L1, CacheOperation::Get, started);
        let following = reading.is_some_and(|reading| reading.purpose() == ReadMode::Latest);
        let verdict = kept.as_deref().map(|entry| match inner.state(entry) {
            EntryState::Fresh if following && !inner.is_current(entry) => EntryState::Stale,
            verdict => verdict,
        });
        let usable = matches!(verdict, Some(EntryState::Fresh)) || verdict == Some(EntryState::Stale) && stale_will_do;
        if counted {
            let result = if usable { LayerResult::Hit } else { LayerResult::Miss };
            inner.cache_context.metrics.cache_layer(inner.name, Layer::L1, result);
        }
        let mut old = None;
        match (kept, verdict) {
            (Some(entry), Some(EntryState::Fresh)) => {
                return Ok(served(&entry, Lookup::HitL1, Source::CacheFresh));
            }
            (Some(entry), Some(EntryState::Stale)) if stale_will_do => {
                self.revalidate(key, load);
                return Ok(served(&entry, Lookup::Stale, Source::CacheStale));
            }
            (Some(_), Some(EntryState::Invalidated)) => inner.memory.remove(&key, Eviction::Invalidated),
            // Kept, however old, in case there is nothing newer to be had.
            (entry, _) => old = entry.filter(|_| counted),
        }

        let reason = match reading.map(DependencyScope::purpose) {
            Some(ReadMode::Revalidate | ReadMode::Latest) => WriteReason::Revalidate,
            Some(ReadMode::Warm) => WriteReason::Warm,
            Some(ReadMode::Request) | None => WriteReason::Miss,
        };
        let mut load = Some(load);
        let mut joined = 0;
        loop {
            let (flight, role) = self.join_or_start(&key, &mut load, reason, counted);
            let roles = if counted { vec![role] } else { Vec::new() };
            let waiting = WaitTimer { metrics: &inner.cache_context.metrics, cache: inner.name, roles };
            let landed = flight.await;
            waiting.over();
            joined += 1;
            // Whoever joined a flight that set off before a change must not be told what was true before it.
            let too_old = |landed: &LoadOutcome<V>| inner.state(&landed.entry) == EntryState::Invalidated;
            if role == FlightRole::Follower && load.is_some() && joined < ATTEMPTS && landed.as_ref().is_ok_and(too_old)
            {
                continue;
            }
            let landed = match (landed, old.take()) {
                (Err(error), Some(entry)) if error.is_outage() => {
                    Ok(LoadOutcome { entry, how: Lookup::Stale, source: Source::CacheStale })
                }
                (landed, _) => landed,
            };
            if counted {
                match landed.as_ref().map_or(Lookup::Miss, |landed| landed.how) {
                    Lookup::Miss => {
                        inner.cache_context.metrics.cache_flight(inner.name, role);
                        span.record("cinegraph.cache.single_flight.role", role.as_str());
                    }
                    // The load that failed was its refresh.
                    Lookup::Stale => inner.cache_context.metrics.cache_revalidation(inner.name, Revalidation::Error),
                    Lookup::HitL1 | Lookup::HitL2 | Lookup::Bypass => {}
                }
            }
            return match landed {
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

    /// What is kept for `key`, if it is fresh, to be [served](Self::serve). Where this is none, [`get`](Self::get) is to
    /// follow; nothing is counted until then.
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

    /// Serves what was found fresh, as a look-up that hit; says how old it is.
    #[must_use]
    pub fn serve(&self, found: &Entry<V>) -> Duration {
        self.0.record_hit(found, Lookup::HitL1, &self.span(), true)
    }

    /// Whether something is kept for `key`, fresh or not.
    #[must_use]
    pub fn has(&self, key: &K) -> bool {
        self.0.memory.get(key).is_some()
    }

    /// The span of a look-up.
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

    /// How many kept values `wanted` says yes to, judging by what they were made of.
    pub fn count(&self, wanted: impl Fn(&VersionSet) -> bool) -> usize {
        self.0.memory.count(|entry| wanted(&entry.version_set))
    }

    /// Refreshes a stale value beside the request that was served it, in a trace of its own.
    fn revalidate<L>(&self, key: K, load: L)
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let metrics = &self.0.cache_context.metrics;
        let Some(claim) = self.0.refreshing.claim(key.clone()) else {
            metrics.cache_revalidation(self.0.name, Revalidation::Skipped);
            return;
        };
        let span = crate::telemetry::revalidation_span(self.0.name);
        let cache = self.clone();
        let refresh = async move {
            let _claim = claim;
            let metrics = &cache.0.cache_context.metrics;
            let shared = key.shared().zip(cache.0.cache_context.redis.as_ref()).filter(|_| cache.0.codec.is_some());
            if let Some((name, redis)) = &shared
                && !redis.claim(name).await
            {
                // Another instance is at it; what it stores is found when this key is asked for again.
                cache.load_from_l2(&key, name, redis).await;
                metrics.cache_revalidation(cache.0.name, Revalidation::Skipped);
                return;
            }
            let (flight, _) = cache.join_or_start(&key, &mut Some(load), WriteReason::Revalidate, false);
            let outcome = match tokio::time::timeout(REFRESH_LIMIT, flight).await {
                Ok(Ok(landed)) if landed.how != Lookup::Stale => Revalidation::Ok,
                Ok(_) | Err(_) => Revalidation::Error,
            };
            if let Some((name, redis)) = &shared {
                redis.release(name).await;
            }
            metrics.cache_revalidation(cache.0.name, outcome);
        };
        tokio::spawn(DependencyScope::new(ReadMode::Revalidate).of(refresh).instrument(span));
    }

    /// Takes over what another instance has stored, if it is fresh.
    async fn load_from_l2(&self, key: &K, name: &str, redis: &Redis) {
        let stored = redis.get(self.0.name, name, false).await.and_then(|bytes| self.0.decode(&bytes));
        if let Some(entry) = stored.filter(|entry| self.0.state(entry) == EntryState::Fresh) {
            self.0.insert(key.clone(), Arc::new(entry), key.is_custom());
        }
    }

    /// The flight for `key`: one that is under way, or a new one. It goes on when those who wait for it leave.
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
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return (flight.clone(), FlightRole::Follower);
        }
        let Some(load) = load.take() else {
            // Only who has not set off asks again.
            unreachable!("a flight is asked for with a load");
        };
        let guard = InFlightGuard { cache: self.clone(), key: key.clone() };
        let (cache, key) = (self.clone(), key.clone());
        let purpose = if counted { ReadMode::Request } else { ReadMode::Revalidate };
        let flown = async move {
            // Dropped when the flight ends, also by a panic: then the next to ask sets off anew.
            let guard = guard;
            cache.run_load(&guard.key, load, reason, counted).await
        };
        let flown = tokio::spawn(in_current_operation(DependencyScope::new(purpose).of(flown)));
        let flight = async move {
            match flown.await {
                Ok(landed) => landed,
                Err(failed) => std::panic::panic_any(format!("a load failed: {failed}")),
            }
        };
        let flight = flight.boxed().shared();
        flights.insert(key, flight.clone());
        (flight, FlightRole::Leader)
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
        let mut old = None;
        if let Some((redis, name)) = &shared {
            let stored = redis.get(inner.name, name, counted).await.and_then(|bytes| inner.decode(&bytes));
            let stored = stored.map(|entry| (inner.state(&entry), Arc::new(entry)));
            if let Some((EntryState::Fresh, entry)) = stored {
                inner.insert(key.clone(), Arc::clone(&entry), key.is_custom());
                return Ok(LoadOutcome { entry, how: Lookup::HitL2, source: Source::CacheFresh });
            }
            old = stored.filter(|(verdict, _)| counted && *verdict != EntryState::Invalidated).map(|(_, entry)| entry);
        }
        let (started, made_at) = (Instant::now(), inner.cache_context.clock.now());
        let made = load.await;
        let done = if made.is_ok() { Done::Ok } else { Done::Error };
        inner.cache_context.metrics.cache_loaded(inner.name, started.elapsed(), done);
        let Loaded { value, mut version_set, lifetime, bytes, source } = match (made, old) {
            (Ok(made), _) => made,
            (Err(error), Some(entry)) if error.is_outage() => {
                inner.memory.set(key.clone(), Arc::clone(&entry), key.is_custom());
                return Ok(LoadOutcome { entry, how: Lookup::Stale, source: Source::CacheStale });
            }
            (Err(error), _) => return Err(error),
        };

        let read = DependencyScope::current().map(|reading| reading.snapshot()).unwrap_or_default();
        version_set.add(&read.version_set);
        let times = Validity::new(made_at, lifetime.jittered(rand::random()));
        let times = read.times.map_or(times, |parts| times.min(&parts));
        let entry = Arc::new(Entry { value: Arc::new(value), version_set, times, bytes });
        // What was made of something stale is old already, and its parts are being refreshed.
        if read.stale == 0 {
            inner.insert(key.clone(), Arc::clone(&entry), key.is_custom() || read.custom);
            inner.cache_context.metrics.cache_written(inner.name, Layer::L1, reason);
            if let Some((redis, name)) = shared
                && let Some(bytes) = inner.encode(&entry)
            {
                let keep = (times.stale_until - made_at).to_std().unwrap_or_default();
                let (redis, metrics, cache) = (redis.clone(), inner.cache_context.metrics.clone(), inner.name);
                let store = async move {
                    if redis.set(&name, &bytes, keep).await {
                        metrics.cache_written(cache, Layer::L2, reason);
                    }
                };
                // Nobody waits for it: a slow Redis must not slow an answer.
                tokio::spawn(in_current_operation(store));
            }
        }
        Ok(LoadOutcome { entry, how: Lookup::Miss, source: source.max(read.source.unwrap_or(Source::CacheFresh)) })
    }
}

impl<K: Key, V: Send + Sync + 'static, E> Inner<K, V, E> {
    /// Puts a new value in the place of the old one.
    fn insert(&self, key: K, entry: Arc<Entry<V>>, custom: bool) {
        if self.memory.get(&key).is_some_and(|old| self.state(&old) == EntryState::Expired) {
            self.memory.remove(&key, Eviction::Expired);
        }
        self.memory.set(key, entry, custom);
    }

    fn state(&self, entry: &Entry<V>) -> EntryState {
        state_of(&entry.times, &entry.version_set, &self.cache_context.versions, self.cache_context.clock.now())
    }

    /// Traces, and perhaps counts, a look-up that is served `entry`; says how old that is.
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

    /// Whether it lacks no change, not even one of the last seconds.
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

/// Look-ups that wait for values. Dropped, they are counted as misses: nothing came, or nobody waits any more.
pub(super) struct WaitTimer<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) cache: CacheName,
    pub(super) roles: Vec<FlightRole>,
}

impl WaitTimer<'_> {
    /// Something came; whoever is served it counts it.
    pub(super) fn over(mut self) {
        self.roles.clear();
    }
}

impl Drop for WaitTimer<'_> {
    fn drop(&mut self) {
        for role in &self.roles {
            self.metrics.cache_lookup(self.cache, Lookup::Miss);
            self.metrics.cache_flight(self.cache, *role);
        }
    }
}

/// Takes a flight off the list when it ends, however it does.
struct InFlightGuard<K: Key, V, E> {
    cache: Cache<K, V, E>,
    key: K,
}

impl<K: Key, V, E> Drop for InFlightGuard<K, V, E> {
    fn drop(&mut self) {
        self.cache.0.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, V, E> fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.0.name).finish_non_exhaustive()
    }
}
