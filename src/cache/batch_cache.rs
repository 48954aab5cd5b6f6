//! Many values at once: those that are missing are loaded together, and none of them twice at a time.

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
use super::tiered::{CacheContext, CacheSettings, Key, LoadError, WaitTimer};
use crate::telemetry::{
    CacheName, CacheOperation, Done, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, Source,
    WriteReason, in_current_operation,
};

/// Values by key in this process, loaded many at a time. A value may be that there is none.
pub struct BatchCache<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    name: CacheName,
    memory: Memory<K, Option<V>>,
    flights: Mutex<HashMap<K, InFlight<K, V, E>>>,
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
    /// An empty one.
    #[must_use]
    pub fn new(settings: CacheSettings, cache_context: &CacheContext) -> Self {
        let CacheSettings { name, capacity } = settings;
        Self(Arc::new(Inner {
            name,
            memory: Memory::new(name, capacity, cache_context.metrics.clone()),
            flights: Mutex::default(),
            refreshing: ClaimRegistry::new(),
            cache_context: cache_context.clone(),
        }))
    }

    /// The values of `keys`, without those that there are none for. `load` is asked for those that are missing, and says
    /// something of every one. During an outage, what is kept, however old.
    ///
    /// # Errors
    /// Those of `load`; nothing of it is kept then.
    ///
    /// # Panics
    /// When `load` does.
    pub async fn get<L, F>(&self, keys: &[K], load: L) -> Result<HashMap<K, V>, E>
    where
        L: Fn(Vec<K>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>> + Send + 'static,
    {
        let inner = &self.0;
        let reading = DependencyScope::current();
        let counted = reading.as_ref().is_none_or(|reading| reading.purpose() == ReadMode::Request);
        let (mut found, mut stale, mut missing) = (HashMap::with_capacity(keys.len()), Vec::new(), Vec::new());
        let mut serve = |key: K, entry: &Entry<Option<V>>, how: Lookup, source: Source| {
            if let Some(reading) = &reading {
                reading.record(&entry.version_set, entry.times, source);
                reading.count(|read| match how {
                    Lookup::Stale => read.stale += 1,
                    Lookup::Miss => read.misses += 1,
                    _ => read.hits += 1,
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
        let mut old = Vec::new();
        for key in keys {
            let kept = inner.memory.get(key);
            let verdict = kept.as_deref().map(|entry| inner.state(entry));
            let layer = |result| {
                if counted {
                    inner.cache_context.metrics.cache_layer(inner.name, Layer::L1, result);
                }
            };
            match (kept, verdict) {
                (Some(entry), Some(EntryState::Fresh)) => {
                    layer(LayerResult::Hit);
                    serve(key.clone(), &entry, Lookup::HitL1, Source::CacheFresh);
                }
                (Some(entry), Some(EntryState::Stale)) if counted => {
                    layer(LayerResult::Hit);
                    stale.push(key.clone());
                    serve(key.clone(), &entry, Lookup::Stale, Source::CacheStale);
                }
                (kept, verdict) => {
                    layer(LayerResult::Miss);
                    match kept {
                        Some(_) if verdict == Some(EntryState::Invalidated) => {
                            inner.memory.remove(key, Eviction::Invalidated);
                        }
                        // Kept, however old, in case there is nothing newer to be had.
                        Some(entry) if counted => old.push((key.clone(), entry)),
                        _ => {}
                    }
                    missing.push(key.clone());
                }
            }
        }
        inner.cache_context.metrics.cache_operation(Layer::L1, CacheOperation::Get, started);

        self.revalidate(stale, &load);
        let wanted = missing.len();
        let reason = match reading.as_deref().map(DependencyScope::purpose) {
            Some(ReadMode::Revalidate | ReadMode::Latest) => WriteReason::Revalidate,
            Some(ReadMode::Warm) => WriteReason::Warm,
            Some(ReadMode::Request) | None => WriteReason::Miss,
        };
        let flights = if missing.is_empty() { Vec::new() } else { self.join_or_start(missing, &load, reason) };
        let roles = flights.iter().filter(|_| counted).map(|(_, role, _)| *role).collect();
        let waiting = WaitTimer { metrics: &inner.cache_context.metrics, cache: inner.name, roles };
        let fetched = match Box::pin(self.finish_load(flights, &load, reason)).await {
            Err(error) if error.is_outage() && old.len() == wanted => {
                waiting.over();
                for (key, entry) in old {
                    // The load that failed was its refresh.
                    inner.cache_context.metrics.cache_revalidation(inner.name, Revalidation::Error);
                    serve(key, &entry, Lookup::Stale, Source::CacheStale);
                }
                return Ok(found);
            }
            fetched => fetched?,
        };
        waiting.over();
        for (key, role, entry) in fetched {
            if counted {
                inner.cache_context.metrics.cache_flight(inner.name, role);
            }
            serve(key, &entry, Lookup::Miss, Source::Database);
        }
        Ok(found)
    }

    /// What flights bring.
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
        // A flight that set off before a change brings what was true before it: then once more.
        for last in [false, true] {
            let landed = join_all(waited.iter().map(|(_, _, flight)| flight.clone())).await;
            let mut again = Vec::new();
            for ((key, role, _), landed) in waited.into_iter().zip(landed) {
                if let Some(entry) = landed?.get(&key) {
                    if !last && role == FlightRole::Follower && self.0.state(entry) == EntryState::Invalidated {
                        again.push(key);
                    } else {
                        entries.push((key, role, Arc::clone(entry)));
                    }
                }
            }
            if again.is_empty() {
                return Ok(entries);
            }
            waited = self.join_or_start(again, load, reason);
        }
        Ok(entries)
    }

    /// A flight for each key, so that nothing is loaded twice at a time: one that is under way, or the one that sets off now for all the others.
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
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let (under_way, mine): (Vec<K>, Vec<K>) = keys.into_iter().partition(|key| flights.contains_key(key));
        let followed = |key: K| flights.get(&key).cloned().map(|flight| (key, FlightRole::Follower, flight));
        let mut joined: Vec<_> = under_way.into_iter().filter_map(followed).collect();
        if !mine.is_empty() {
            let (cache, load, guard) =
                (self.clone(), load.clone(), InFlightGuard { cache: self.clone(), keys: mine.clone() });
            let flown = async move {
                let guard = guard;
                cache.run_load(&guard.keys, load, reason).await.map(Arc::new)
            };
            let flown = tokio::spawn(in_current_operation(flown));
            let flight = async move {
                match flown.await {
                    Ok(landed) => landed,
                    Err(failed) => std::panic::panic_any(format!("a load failed: {failed}")),
                }
            };
            let flight = flight.boxed().shared();
            for key in mine {
                flights.insert(key.clone(), flight.clone());
                joined.push((key, FlightRole::Leader, flight.clone()));
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
        let (started, made_at) = (Instant::now(), inner.cache_context.clock.now());
        let made = load(keys.to_vec()).await;
        let done = if made.is_ok() { Done::Ok } else { Done::Error };
        inner.cache_context.metrics.cache_loaded(inner.name, started.elapsed(), done);
        let entry = |(key, made): (K, Loaded<Option<V>>)| {
            let Loaded { value, version_set, lifetime, bytes, .. } = made;
            let times = Validity::new(made_at, lifetime.jittered(rand::random()));
            let entry = Arc::new(Entry { value: Arc::new(value), version_set, times, bytes });
            if inner.memory.get(&key).is_some_and(|old| inner.state(&old) == EntryState::Expired) {
                inner.memory.remove(&key, Eviction::Expired);
            }
            inner.memory.set(key.clone(), Arc::clone(&entry), false);
            inner.cache_context.metrics.cache_written(inner.name, Layer::L1, reason);
            (key, entry)
        };
        Ok(made?.into_iter().map(entry).collect())
    }

    /// Refreshes stale values beside the request that was served them.
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
        let asked = stale.len();
        let claims: Vec<Claim<K>> = stale.into_iter().filter_map(|key| self.0.refreshing.claim(key)).collect();
        count(Revalidation::Skipped, asked - claims.len());
        if claims.is_empty() {
            return;
        }
        let (cache, load) = (self.clone(), load.clone());
        let span = crate::telemetry::revalidation_span(self.0.name);
        let refresh = async move {
            let keys = claims.iter().map(|claim| claim.key().clone()).collect();
            let flights = cache.join_or_start(keys, &load, WriteReason::Revalidate);
            let landed = join_all(flights.into_iter().map(|(_, _, flight)| flight)).await;
            for landed in landed {
                let outcome = if landed.is_ok() { Revalidation::Ok } else { Revalidation::Error };
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

/// Takes keys off the list of flights when theirs ends, however it does.
struct InFlightGuard<K: Key, V, E> {
    cache: BatchCache<K, V, E>,
    keys: Vec<K>,
}

impl<K: Key, V, E> Drop for InFlightGuard<K, V, E> {
    fn drop(&mut self) {
        let mut flights = self.cache.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            flights.remove(key);
        }
    }
}

impl<K, V, E> fmt::Debug for BatchCache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchCache").field("name", &self.0.name).finish_non_exhaustive()
    }
}
