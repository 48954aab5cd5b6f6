//! [`Cache`]: lookups of one key or of many, each served from L1 or by a load.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::codec::{Codec, SharedValue};
use super::context::{CacheContext, CacheSettings, Key, LoadError};
use super::dependencies::{DependencyScope, ReadMode};
use super::entry::{Entry, Loaded};
use super::freshness::EntryState;
use super::labels::{
    CacheName, CacheOperation, DataSource, Eviction, FlightRole, Layer, LayerResult, Lookup, Selection, WriteReason,
};
use super::metrics::CacheMetrics;
use super::single_flight::Joined;
use super::tiered::{FailedLoad, LoadOutcome, Loader, Tiers};
use crate::telemetry::Label;
use crate::versions::VersionSet;

/// Maximum number of loads that one lookup waits for. If a hard invalidation overtakes a load that another lookup has
/// started, the lookup waits for a further load. The bound keeps repeated invalidations from blocking a request without
/// end: the value of the last load is returned in any case. Three are a choice.
const LOADS_MAX: usize = 3;

/// Cache of values by key. Versions and TTL decide how long an entry is served. At most one load of a key runs at a
/// time (single flight). Clones share the entries.
pub struct Cache<K, V, E>(Arc<Tiers<K, V, E>>);

/// Result of a lookup in L1.
enum InMemory<V> {
    Fresh(Arc<Entry<V>>),
    /// A stale entry that may be served while it is refreshed.
    Stale(Arc<Entry<V>>),
    /// No entry that may be served before a load. `outdated` may be served if that load fails because of an outage.
    Missing {
        outdated: Option<Arc<Entry<V>>>,
    },
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
        Self(Arc::new(Tiers::new(settings, cache_context, None)))
    }

    /// A cache that also uses L2, if Redis is configured.
    #[must_use]
    pub fn shared(settings: CacheSettings, cache_context: &CacheContext) -> Self
    where
        V: SharedValue,
    {
        Self(Arc::new(Tiers::new(settings, cache_context, Some(Codec::new()))))
    }

    /// Returns the value of `key` from a fresh entry, or from a stale one while `load` refreshes it in the background.
    /// Otherwise waits for L2 and `load`, which run once for all concurrent lookups of the key. If `load` fails because
    /// of an outage, returns the L1 or L2 entry however old it is, unless it is invalidated.
    ///
    /// Only a lookup that serves a request ([`ReadMode::Request`]) may return an entry that is not fresh.
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

    /// Like [`get`](Self::get), but records the result on `span`. The response cache needs this: if it has no response,
    /// the load is the execution of the whole operation, so the result belongs on the span of the operation.
    ///
    /// # Errors
    /// # Panics
    /// As [`get`](Self::get).
    pub async fn get_traced<L>(&self, span: Span, key: K, load: L) -> Result<Arc<V>, E>
    where
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let reader = Reader::new(span.clone());
        // A load waits for lookups, which wait for loads of their own, all within a resolver. Boxing keeps these nested
        // futures from adding up to one large one, which would be moved over the stack.
        self.get_one(key, load.boxed(), reader).boxed().instrument(span).await
    }

    async fn get_one(
        &self,
        key: K,
        load: BoxFuture<'static, Result<Loaded<V>, E>>,
        reader: Reader,
    ) -> Result<Arc<V>, E> {
        let outdated = match self.find_in_memory(&key, &reader) {
            InMemory::Fresh(entry) => return Ok(self.serve_fresh(&entry, &reader)),
            InMemory::Stale(entry) => {
                let value = self.serve_stale(&entry, &reader);
                self.0.refresh(vec![key.clone()], &load_once(key, load));
                return Ok(value);
            }
            InMemory::Missing { outdated } => outdated,
        };
        let missing = vec![(key.clone(), outdated)];
        let mut loaded = self.load_missing(missing, &load_once(key, load), &reader).await?;
        match loaded.pop() {
            Some((_, value)) => Ok(value),
            // The loader that `load_once` makes returns a value or an error.
            None => unreachable!("a load of one key returned none"),
        }
    }

    /// Returns the entry of `key` if L1 has a fresh one, and counts a hit of L1. The caller then calls
    /// [`count_hit`](Self::count_hit), which counts the hit of the whole cache. If this returns `None`, nothing has
    /// been counted, and the caller continues with [`get`](Self::get), which counts the lookup.
    #[must_use]
    pub fn find_fresh(&self, key: &K) -> Option<Arc<Entry<V>>> {
        let tiers = &self.0;
        let started = Instant::now();
        let entry = tiers.memory().get(key).filter(|entry| tiers.state(entry) == EntryState::Fresh)?;
        let metrics = &tiers.cache_context.metrics;
        metrics.operation(Layer::L1, CacheOperation::Get, started);
        metrics.layer(tiers.name, Layer::L1, LayerResult::Hit);
        Some(entry)
    }

    /// Counts and traces a lookup that [`find_fresh`](Self::find_fresh) has served, and returns the age of the entry.
    #[must_use]
    pub fn count_hit(&self, found: &Entry<V>) -> Duration {
        self.record_lookup(found, Lookup::HitL1, &self.span(), true)
    }

    /// Whether L1 has an entry of `key` that a request is served without waiting for a load.
    #[must_use]
    pub fn can_serve(&self, key: &K) -> bool {
        let entry = self.0.memory().get(key);
        entry.is_some_and(|entry| matches!(self.0.state(&entry), EntryState::Fresh | EntryState::Stale))
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
        self.0.memory().count(|entry| wanted(&entry.version_set))
    }

    /// Looks up `key` in L1, counts the result of this tier, and removes an invalidated entry.
    fn find_in_memory(&self, key: &K, reader: &Reader) -> InMemory<V> {
        let tiers = &self.0;
        let metrics = &tiers.cache_context.metrics;
        let started = Instant::now();
        let cached = tiers.memory().get(key);
        metrics.operation(Layer::L1, CacheOperation::Get, started);
        let state = cached.as_deref().map(|entry| match tiers.state(entry) {
            // It still counts as fresh, but it lacks a change.
            EntryState::Fresh if reader.mode() == ReadMode::Latest && !tiers.is_current(entry) => EntryState::Stale,
            state => state,
        });
        let found = match (cached, state) {
            (Some(entry), Some(EntryState::Fresh)) => InMemory::Fresh(entry),
            (Some(entry), Some(EntryState::Stale)) if reader.is_request() => InMemory::Stale(entry),
            (Some(_), Some(EntryState::Invalidated)) => {
                tiers.memory().remove(key, Eviction::Invalidated);
                InMemory::Missing { outdated: None }
            }
            // The load that follows may fail in an outage, and then an outdated value is better than an error. The
            // entry therefore stays in L1 until a load replaces it, however old it is.
            (entry, _) => InMemory::Missing { outdated: entry.filter(|_| reader.is_request()) },
        };
        if reader.is_request() {
            let is_missing = matches!(found, InMemory::Missing { .. });
            metrics.layer(tiers.name, Layer::L1, if is_missing { LayerResult::Miss } else { LayerResult::Hit });
        }
        found
    }

    /// Waits for the loads of `missing`, which L1 cannot serve, and serves their values. A key that is missing in the
    /// result of its load is left out.
    async fn load_missing(
        &self,
        missing: Vec<(K, Option<Arc<Entry<V>>>)>,
        loader: &Loader<K, V, E>,
        reader: &Reader,
    ) -> Result<Vec<(K, Arc<V>)>, E> {
        let metrics = &self.0.cache_context.metrics;
        let mut waiting = WaitGuard { metrics, cache: self.0.name, misses: Vec::new() };
        let loaded = self.wait_for_loads(missing, loader, reader, &mut waiting).await;
        if loaded.is_err() {
            reader.span.record("cinegraph.cache.result", Lookup::Miss.as_str());
        }
        let loaded = loaded?;
        waiting.release();
        let serve = |(key, role, outcome): (K, FlightRole, LoadOutcome<V>)| {
            let LoadOutcome { entry, lookup, source, refresh } = outcome;
            match lookup {
                Lookup::Miss => {
                    reader.span.record("cinegraph.cache.single_flight.role", role.as_str());
                    if reader.is_request() {
                        metrics.single_flight(self.0.name, role);
                    }
                }
                Lookup::Stale if reader.is_request() => {
                    metrics.revalidation(self.0.name, refresh);
                }
                _ => {}
            }
            (key, self.serve(&entry, lookup, source, reader))
        };
        Ok(loaded.into_iter().map(serve).collect())
    }

    /// Waits for the loads of `missing`, and for further loads of keys whose load was overtaken by a hard invalidation.
    /// Adds the role of each key to `waiting`, which counts the lookups if a load fails or the request is cancelled.
    async fn wait_for_loads(
        &self,
        missing: Vec<(K, Option<Arc<Entry<V>>>)>,
        loader: &Loader<K, V, E>,
        reader: &Reader,
        waiting: &mut WaitGuard<'_>,
    ) -> Result<Vec<(K, FlightRole, LoadOutcome<V>)>, E> {
        let mut keys: Vec<K> = missing.iter().map(|(key, _)| key.clone()).collect();
        let mut outdated: HashMap<K, Arc<Entry<V>>> =
            missing.into_iter().filter_map(|(key, entry)| Some((key, entry?))).collect();
        let mut outcomes = Vec::with_capacity(keys.len());
        for attempt in 1..=LOADS_MAX {
            let joins = self.0.join_or_start(keys, loader, reader.write_reason(), reader.is_request());
            for join in &joins {
                if join.role == FlightRole::Follower && join.leader.is_sampled() {
                    reader.span.add_link(join.leader.clone());
                }
            }
            // A lookup counts once, however many loads it waits for.
            if attempt == 1 && reader.is_request() {
                let miss = |join: &Joined<K, _>| Miss {
                    role: join.role,
                    custom: join.key.is_custom(),
                    scope: Arc::clone(&join.scope),
                };
                waiting.misses.extend(joins.iter().map(miss));
            }
            let loads = join_all(joins.iter().map(|join| join.load.clone().wait())).await;
            keys = Vec::new();
            for (join, load) in joins.into_iter().zip(loads) {
                let outcome = match load {
                    Ok(loaded) => loaded.get(&join.key).cloned(),
                    Err(failed) => Some(self.outdated_instead_of(failed, outdated.remove(&join.key))?),
                };
                // The load found no value for this key, which is left out.
                let Some(outcome) = outcome else { continue };
                // The load may have read its data before a hard invalidation that this caller has already seen. A
                // follower therefore waits for another load instead of returning the value. A leader may return it,
                // since its own load started after its lookup.
                let is_outdated_follower = join.role == FlightRole::Follower && self.0.is_invalidated(&outcome.entry);
                if is_outdated_follower && attempt < LOADS_MAX {
                    keys.push(join.key);
                } else {
                    outcomes.push((join.key, join.role, outcome));
                }
            }
            if keys.is_empty() {
                break;
            }
        }
        Ok(outcomes)
    }

    /// Traces a lookup that is served `entry`, counts it if `counted`, and returns the entry's age.
    fn record_lookup(&self, entry: &Entry<V>, lookup: Lookup, span: &Span, counted: bool) -> Duration {
        let CacheContext { metrics, clock, .. } = &self.0.cache_context;
        let age = entry.validity.age(clock.moment());
        span.record("cinegraph.cache.result", lookup.as_str());
        span.record("cinegraph.cache.age_seconds", age.as_secs_f64());
        if counted {
            metrics.lookup(self.0.name, Selection::of(entry.custom), lookup);
            metrics.served(self.0.name, age);
        }
        age
    }

    /// Returns the outdated entry instead of the error of its load, if an outage caused the error and the entry was not
    /// invalidated while the load ran.
    fn outdated_instead_of(&self, failed: FailedLoad<E>, entry: Option<Arc<Entry<V>>>) -> Result<LoadOutcome<V>, E> {
        let FailedLoad { error, source } = failed;
        let entry = entry.filter(|entry| error.is_outage() && !self.0.is_invalidated(entry));
        entry.map(|entry| LoadOutcome::outdated(entry, source)).ok_or(error)
    }

    fn serve_fresh(&self, entry: &Entry<V>, reader: &Reader) -> Arc<V> {
        self.serve(entry, Lookup::HitL1, DataSource::CacheFresh, reader)
    }

    fn serve_stale(&self, entry: &Entry<V>, reader: &Reader) -> Arc<V> {
        self.serve(entry, Lookup::Stale, DataSource::CacheStale, reader)
    }

    /// Counts and traces a lookup that is served `entry`, and records the entry as a dependency.
    fn serve(&self, entry: &Entry<V>, lookup: Lookup, source: DataSource, reader: &Reader) -> Arc<V> {
        self.record_lookup(entry, lookup, &reader.span, reader.is_request());
        if let Some(scope) = &reader.scope {
            scope.record(&entry.version_set, entry.validity, source);
            scope.count(lookup);
        }
        Arc::clone(&entry.value)
    }
}

impl<K, V, E> Cache<K, Option<V>, E>
where
    K: Key,
    V: Clone + Send + Sync + 'static,
    E: LoadError,
{
    /// Returns the values of `keys`, without the keys that have no value. A `None` from a load is cached as a negative
    /// entry.
    ///
    /// Like [`get`](Self::get) for each key, but `load` is called with many keys: once with all missing keys that no
    /// other load is fetching, and once, in the background, with all stale keys. It must return an entry for each of
    /// them. The lookups have no spans, since there may be a hundred in one call.
    ///
    /// # Errors
    /// Those of `load`. A failed load stores nothing.
    ///
    /// # Panics
    /// If `load` panics.
    pub async fn get_many<L, F>(&self, keys: &[K], load: L) -> Result<HashMap<K, V>, E>
    where
        L: Fn(Vec<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, Loaded<Option<V>>>, E>> + Send + 'static,
    {
        let reader = Reader::new(Span::none());
        let mut found = HashMap::with_capacity(keys.len());
        let (mut stale, mut missing) = (Vec::new(), Vec::new());
        let mut add = |key: K, value: Arc<Option<V>>| {
            if let Some(value) = value.as_ref() {
                found.insert(key, value.clone());
            }
        };
        for key in keys {
            match self.find_in_memory(key, &reader) {
                InMemory::Fresh(entry) => add(key.clone(), self.serve_fresh(&entry, &reader)),
                InMemory::Stale(entry) => {
                    add(key.clone(), self.serve_stale(&entry, &reader));
                    stale.push(key.clone());
                }
                InMemory::Missing { outdated } => missing.push((key.clone(), outdated)),
            }
        }
        if stale.is_empty() && missing.is_empty() {
            return Ok(found);
        }
        let loader: Loader<K, Option<V>, E> = Arc::new(move |keys| load(keys).boxed());
        self.0.refresh(stale, &loader);
        if !missing.is_empty() {
            // Boxed, so that the future of this function stays small: L1 serves most calls, and they need no load.
            for (key, value) in Box::pin(self.load_missing(missing, &loader, &reader)).await? {
                add(key, value);
            }
        }
        Ok(found)
    }
}

/// A loader of `key` that runs `load`, which can run only once. That suffices: a lookup of one key starts either the
/// refresh of a stale entry or one load of a missing one. It may wait for several loads, but after the load that it has
/// started itself, it returns.
fn load_once<K: Key, V: Send + Sync + 'static, E: LoadError>(
    key: K,
    load: BoxFuture<'static, Result<Loaded<V>, E>>,
) -> Loader<K, V, E> {
    let load = Mutex::new(Some(load));
    Arc::new(move |_| {
        let (key, load) = (key.clone(), load.lock().unwrap_or_else(PoisonError::into_inner).take());
        async move {
            match load {
                Some(load) => Ok(HashMap::from([(key, load.await?)])),
                None => unreachable!("a lookup of one key started a second load"),
            }
        }
        .boxed()
    })
}

/// Context of a lookup: its span, and its dependency scope, whose [`ReadMode`] says what the lookup is for.
struct Reader {
    scope: Option<Arc<DependencyScope>>,
    span: Span,
}

impl Reader {
    /// The reader of a lookup in the current dependency scope.
    fn new(span: Span) -> Self {
        Self { scope: DependencyScope::current(), span }
    }

    /// A lookup outside of a scope serves a request.
    fn mode(&self) -> ReadMode {
        self.scope.as_ref().map_or(ReadMode::Request, |scope| scope.mode())
    }

    /// Whether the lookup serves a request. Only then is it counted, and may be served stale and outdated entries.
    fn is_request(&self) -> bool {
        self.mode() == ReadMode::Request
    }

    fn write_reason(&self) -> WriteReason {
        match self.mode() {
            ReadMode::Revalidate | ReadMode::Latest => WriteReason::Revalidate,
            ReadMode::Warm => WriteReason::Warm,
            ReadMode::Request => WriteReason::Miss,
        }
    }
}

/// The lookups of a request that wait for loads. If this is dropped before [`release`](Self::release), they count as
/// misses: a load failed, or the request was cancelled.
struct WaitGuard<'a> {
    metrics: &'a CacheMetrics,
    cache: CacheName,
    misses: Vec<Miss>,
}

/// A lookup that waits for a load.
struct Miss {
    role: FlightRole,
    /// Whether the key belongs to custom weights.
    custom: bool,
    /// Scope of the load, which knows of custom weights that the key does not tell of: the key of a response is a hash.
    scope: Arc<DependencyScope>,
}

impl WaitGuard<'_> {
    /// Ends the wait without counting: the code that serves the result counts it.
    fn release(mut self) {
        self.misses.clear();
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        for Miss { role, custom, scope } in &self.misses {
            self.metrics.lookup(self.cache, Selection::of(*custom || scope.is_custom()), Lookup::Miss);
            self.metrics.single_flight(self.cache, *role);
        }
    }
}

impl<K, V, E> fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.0.name).finish_non_exhaustive()
    }
}
