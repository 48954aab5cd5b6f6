//! [`BatchCache`]: lookups of many keys. Missing keys are loaded together, each by one load at a time (single flight).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use cached::claim::{Claim, ClaimRegistry};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use tracing::Instrument;

use super::dependencies::{DependencyScope, ReadMode};
use super::entry::{Entry, EntryState, Loaded, Validity, state_of};
use super::l1::Memory;
use super::labels::{
    CacheName, CacheOperation, DataSource, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, WriteReason,
};
use super::tiered::{CacheContext, CacheSettings, Key, LoadError, WaitTimer};
use crate::telemetry::{Status, in_current_operation};

/// An L1 cache that is read and loaded by sets of keys. A `None` from a load is cached as a negative entry.
pub struct BatchCache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    name: CacheName,
    memory: Memory<K, Option<V>>,
    in_flight: Mutex<HashMap<K, InFlight<K, V, E>>>,
    refreshing: ClaimRegistry<K>,
    cache_context: CacheContext,
}

type Entries<K, V> = HashMap<K, Arc<Entry<Option<V>>>>;
type InFlight<K, V, E> = Shared<BoxFuture<'static, Result<Arc<Entries<K, V>>, E>>>;

impl<K, V, E> Clone for BatchCache<K, V, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V, E> BatchCache<K, V, E>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    E: LoadError,
{
    /// An empty cache.
    #[must_use]
    pub fn new(settings: CacheSettings, cache_context: &CacheContext) -> Self {
        let CacheSettings { name, capacity } = settings;
        Self(Arc::new(Inner {
            name,
            memory: Memory::new(name, capacity, cache_context.metrics.clone()),
            in_flight: Mutex::default(),
            refreshing: ClaimRegistry::new(),
            cache_context: cache_context.clone(),
        }))
    }

    /// Returns the values of `keys` by key, without the keys that have no value (negative entries).
    ///
    /// Requests are served stale entries, which a background refresh reloads. `load` is called with the missing keys
    /// that no other load is fetching, and returns an entry for every one. If it fails because of an outage and every
    /// missing key still has an expired entry in L1, a request is served these entries.
    ///
    /// # Errors
    /// Those of `load`. A failed load stores nothing.
    ///
    /// # Panics
    /// If `load` panics.
    pub async fn get<L, F>(&self, keys: &[K], load: L) -> Result<HashMap<K, V>, E>
    where
        L: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>> + Send + 'static,
    {
        let inner = &self.0;
        let scope = DependencyScope::current();
        let counted = scope.as_ref().is_none_or(|scope| scope.mode() == ReadMode::Request);
        let (mut found, mut stale, mut missing) = (HashMap::with_capacity(keys.len()), Vec::new(), Vec::new());
        let mut serve = |key: K, entry: &Entry<Option<V>>, how: Lookup, source: DataSource| {
            if let Some(scope) = &scope {
                scope.record(&entry.version_set, entry.times, source);
                scope.count(|dependencies| match how {
                    Lookup::Stale => dependencies.stale += 1,
                    Lookup::Miss => dependencies.misses += 1,
                    _ => dependencies.hits += 1,
                });
            }
            if counted {
                inner.cache_context.metrics.cache_lookup(inner.name, how);
                inner.cache_context.metrics.cache_served(inner.name, entry.times.age(inner.cache_context.clock.now()));
            }
            if let Some(value) = entry.value.as_ref() {
                found.insert(key, value.clone());
            }
        };

        let started = Instant::now();
        let mut outdated = Vec::new();
        for key in keys {
            let cached = inner.memory.get(key);
            let state = cached.as_deref().map(|entry| inner.state(entry));
            let layer = |result| {
                if counted {
                    inner.cache_context.metrics.cache_layer(inner.name, Layer::L1, result);
                }
            };
            match (cached, state) {
                (Some(entry), Some(EntryState::Fresh)) => {
                    layer(LayerResult::Hit);
                    serve(key.clone(), &entry, Lookup::HitL1, DataSource::CacheFresh);
                }
                (Some(entry), Some(EntryState::Stale)) if counted => {
                    layer(LayerResult::Hit);
                    stale.push(key.clone());
                    serve(key.clone(), &entry, Lookup::Stale, DataSource::CacheStale);
                }
                (cached, state) => {
                    layer(LayerResult::Miss);
                    match cached {
                        Some(_) if state == Some(EntryState::Invalidated) => {
                            inner.memory.remove(key, Eviction::Invalidated);
                        }
                        // The load below may fail in an outage, and then an outdated value is better than an error. The
                        // entry therefore stays in L1 until a load replaces it, however old it is.
                        Some(entry) if counted => outdated.push((key.clone(), entry)),
                        _ => {}
                    }
                    missing.push(key.clone());
                }
            }
        }
        inner.cache_context.metrics.cache_operation(Layer::L1, CacheOperation::Get, started);

        self.revalidate(stale, &load);
        let wanted = missing.len();
        let reason = match scope.as_deref().map(DependencyScope::mode) {
            Some(ReadMode::Revalidate | ReadMode::Latest) => WriteReason::Revalidate,
            Some(ReadMode::Warm) => WriteReason::Warm,
            Some(ReadMode::Request) | None => WriteReason::Miss,
        };
        let joined = if missing.is_empty() { Vec::new() } else { self.join_or_start(missing, &load, reason) };
        let roles = joined.iter().filter(|_| counted).map(|(_, role, _)| *role).collect();
        let waiting = WaitTimer { metrics: &inner.cache_context.metrics, cache: inner.name, roles };
        let fetched = match Box::pin(self.finish_load(joined, &load, reason)).await {
            Err(error) if error.is_outage() && outdated.len() == wanted => {
                waiting.over();
                for (key, entry) in outdated {
                    // The failed load was the refresh of this entry.
                    inner.cache_context.metrics.cache_revalidation(inner.name, Revalidation::Error);
                    serve(key, &entry, Lookup::Stale, DataSource::CacheStale);
                }
                return Ok(found);
            }
            fetched => fetched?,
        };
        waiting.over();
        for (key, role, entry) in fetched {
            if counted {
                inner.cache_context.metrics.cache_single_flight(inner.name, role);
            }
            serve(key, &entry, Lookup::Miss, DataSource::Database);
        }
        Ok(found)
    }

    /// Waits for the joined loads, and returns their entries in no particular order.
    async fn finish_load<L, F>(
        &self,
        mut waited: Vec<(K, FlightRole, InFlight<K, V, E>)>,
        load: &L,
        reason: WriteReason,
    ) -> Result<Vec<(K, FlightRole, Arc<Entry<Option<V>>>)>, E>
    where
        L: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>> + Send + 'static,
    {
        let mut entries = Vec::new();
        // A load may have read its data before a hard invalidation that this caller has already seen. A follower of
        // such a load must not be served its value, so it joins or starts a second load. A leader needs no second load,
        // since its own load started after its lookup. The second result is returned in any case: otherwise repeated
        // invalidations could block a request without end.
        for last_attempt in [false, true] {
            let loads = join_all(waited.iter().map(|(_, _, in_flight)| in_flight.clone())).await;
            let mut invalidated = Vec::new();
            for ((key, role, _), loaded) in waited.into_iter().zip(loads) {
                if let Some(entry) = loaded?.get(&key) {
                    if !last_attempt && role == FlightRole::Follower && self.0.state(entry) == EntryState::Invalidated {
                        invalidated.push(key);
                    } else {
                        entries.push((key, role, Arc::clone(entry)));
                    }
                }
            }
            if invalidated.is_empty() {
                return Ok(entries);
            }
            waited = self.join_or_start(invalidated, load, reason);
        }
        Ok(entries)
    }

    /// Returns an in-flight load for each key: the one that is running (follower), or one new load for all other keys
    /// (leader).
    ///
    /// The lock is held from the lookup of the running loads until the new one is registered. Two callers therefore
    /// never load a key at the same time, and the new load cannot deregister its keys before they are registered.
    fn join_or_start<L, F>(
        &self,
        keys: Vec<K>,
        load: &L,
        reason: WriteReason,
    ) -> Vec<(K, FlightRole, InFlight<K, V, E>)>
    where
        L: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>> + Send + 'static,
    {
        let mut in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let (running, new): (Vec<K>, Vec<K>) = keys.into_iter().partition(|key| in_flight.contains_key(key));
        let follow = |key: K| in_flight.get(&key).cloned().map(|load| (key, FlightRole::Follower, load));
        let mut joined: Vec<_> = running.into_iter().filter_map(follow).collect();
        if !new.is_empty() {
            let (cache, load, guard) =
                (self.clone(), load.clone(), InFlightGuard { cache: self.clone(), keys: new.clone() });
            let loading = async move {
                let guard = guard;
                cache.run_load(&guard.keys, load, reason).await.map(Arc::new)
            };
            let task = tokio::spawn(in_current_operation(loading));
            let shared = async move {
                match task.await {
                    Ok(loaded) => loaded,
                    Err(failed) => std::panic::panic_any(format!("cache load did not complete: {failed}")),
                }
            };
            let shared = shared.boxed().shared();
            for key in new {
                in_flight.insert(key.clone(), shared.clone());
                joined.push((key, FlightRole::Leader, shared.clone()));
            }
        }
        joined
    }

    async fn run_load<L, F>(&self, keys: &[K], load: L, reason: WriteReason) -> Result<Entries<K, V>, E>
    where
        L: Fn(Vec<K>) -> F,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>>,
    {
        let inner = &self.0;
        let (started, created_at) = (Instant::now(), inner.cache_context.clock.now());
        let loaded = load(keys.to_vec()).await;
        let done = if loaded.is_ok() { Status::Ok } else { Status::Error };
        inner.cache_context.metrics.cache_loaded(inner.name, started.elapsed(), done);
        let entry = |(key, loaded): (K, Loaded<Option<V>>)| {
            let Loaded { value, version_set, ttl, bytes, .. } = loaded;
            let times = Validity::new(created_at, ttl.jittered(rand::random()));
            let entry = Arc::new(Entry { value: Arc::new(value), version_set, times, bytes });
            if inner.memory.get(&key).is_some_and(|old| inner.state(&old) == EntryState::Expired) {
                inner.memory.remove(&key, Eviction::Expired);
            }
            inner.memory.set(key.clone(), Arc::clone(&entry), false);
            inner.cache_context.metrics.cache_written(inner.name, Layer::L1, reason);
            (key, entry)
        };
        Ok(loaded?.into_iter().map(entry).collect())
    }

    /// Refreshes stale entries in the background, after a request was served them. Skips keys whose refresh is running.
    fn revalidate<L, F>(&self, stale: Vec<K>, load: &L)
    where
        L: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>> + Send + 'static,
    {
        let count = |outcome, values: usize| {
            for _ in 0..values {
                self.0.cache_context.metrics.cache_revalidation(self.0.name, outcome);
            }
        };
        let requested = stale.len();
        let claims: Vec<Claim<K>> = stale.into_iter().filter_map(|key| self.0.refreshing.claim(key)).collect();
        count(Revalidation::Skipped, requested - claims.len());
        if claims.is_empty() {
            return;
        }
        let (cache, load) = (self.clone(), load.clone());
        let span = super::metrics::revalidation_span(self.0.name);
        let refresh = async move {
            let keys = claims.iter().map(|claim| claim.key().clone()).collect();
            let joined = cache.join_or_start(keys, &load, WriteReason::Revalidate);
            let loads = join_all(joined.into_iter().map(|(_, _, in_flight)| in_flight)).await;
            for loaded in loads {
                let outcome = if loaded.is_ok() { Revalidation::Ok } else { Revalidation::Error };
                cache.0.cache_context.metrics.cache_revalidation(cache.0.name, outcome);
            }
            drop(claims);
        };
        tokio::spawn(refresh.instrument(span));
    }
}

impl<K, V, E> Inner<K, V, E> {
    fn state(&self, entry: &Entry<Option<V>>) -> EntryState {
        state_of(&entry.times, &entry.version_set, &self.cache_context.versions, self.cache_context.clock.now())
    }
}

/// Deregisters the keys of a load when it ends, even by a panic. Later lookups then start a new load instead of waiting
/// for one that has ended.
struct InFlightGuard<K: Key, V, E> {
    cache: BatchCache<K, V, E>,
    keys: Vec<K>,
}

impl<K: Key, V, E> Drop for InFlightGuard<K, V, E> {
    fn drop(&mut self) {
        let mut in_flight = self.cache.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            in_flight.remove(key);
        }
    }
}

impl<K, V, E> fmt::Debug for BatchCache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchCache").field("name", &self.0.name).finish_non_exhaustive()
    }
}
