//! What caches do, in numbers.

use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

use super::metrics as page;
use super::metrics::{
    CacheName, CacheOperation, Done, Eviction, FlightRole, Label, Layer, LayerResult, Lookup, Revalidation, Source,
    WriteReason,
};
use super::registry::{Family, Metrics, Registry, number};

/// Handles of all metrics of caches.
pub(super) struct CacheMetrics {
    caches: Family<CacheName, CacheHandles>,
    operations: Family<Layer, Family<CacheOperation, Histogram>>,
    l2_enabled: Gauge,
    l2_up: Gauge,
    predictions: Family<Source, Histogram>,
}

struct CacheHandles {
    lookups: Family<Lookup, Counter>,
    layers: Family<Layer, LayerHandles>,
    loads: Family<Done, Histogram>,
    flights: Family<FlightRole, Counter>,
    revalidations: Family<Revalidation, Counter>,
    evictions: Family<Eviction, Counter>,
    entries: Gauge,
    capacity_entries: Gauge,
    bytes: Gauge,
    capacity_bytes: Gauge,
    age: Histogram,
}

struct LayerHandles {
    requests: Family<LayerResult, Counter>,
    writes: Family<WriteReason, Counter>,
}

impl CacheMetrics {
    pub(super) fn new(source: &super::registry::Source) -> Self {
        Self {
            caches: Family::of(|cache| CacheHandles::new(source, cache)),
            operations: Family::of(|layer: Layer| {
                Family::of(|operation: CacheOperation| {
                    source.histogram(&page::CACHE_OPERATION_DURATION, &[layer.as_str(), operation.as_str()])
                })
            }),
            l2_enabled: source.gauge(&page::CACHE_L2_ENABLED, &[]),
            l2_up: source.gauge(&page::CACHE_L2_UP, &[]),
            predictions: Family::of(|of: Source| source.histogram(&page::PREDICTION_DURATION, &[of.as_str()])),
        }
    }
}

impl CacheHandles {
    fn new(source: &super::registry::Source, cache: CacheName) -> Self {
        let cache = cache.as_str();
        Self {
            lookups: Family::of(|result: Lookup| source.counter(&page::CACHE_LOOKUPS, &[cache, result.as_str()])),
            layers: Family::of(|layer: Layer| LayerHandles {
                requests: Family::of(|result: LayerResult| {
                    source.counter(&page::CACHE_LAYER_REQUESTS, &[cache, layer.as_str(), result.as_str()])
                }),
                writes: Family::of(|reason: WriteReason| {
                    source.counter(&page::CACHE_WRITES, &[cache, layer.as_str(), reason.as_str()])
                }),
            }),
            loads: Family::of(|done: Done| source.histogram(&page::CACHE_LOAD_DURATION, &[cache, done.as_str()])),
            flights: Family::of(|role: FlightRole| source.counter(&page::CACHE_SINGLE_FLIGHT, &[cache, role.as_str()])),
            revalidations: Family::of(|outcome: Revalidation| {
                source.counter(&page::CACHE_REVALIDATIONS, &[cache, outcome.as_str()])
            }),
            evictions: Family::of(|reason: Eviction| source.counter(&page::CACHE_EVICTIONS, &[cache, reason.as_str()])),
            entries: source.gauge(&page::CACHE_ENTRIES, &[cache]),
            capacity_entries: source.gauge(&page::CACHE_CAPACITY_ENTRIES, &[cache]),
            bytes: source.gauge(&page::CACHE_BYTES, &[cache]),
            capacity_bytes: source.gauge(&page::CACHE_CAPACITY_BYTES, &[cache]),
            age: source.histogram(&page::CACHE_VALUE_AGE, &[cache]),
        }
    }
}

impl Metrics {
    fn cache(&self, cache: CacheName) -> &CacheHandles {
        let Registry { caches, .. } = &*self.0;
        caches.caches.at(cache)
    }

    /// Counts one look-up of a request.
    pub fn cache_lookup(&self, cache: CacheName, result: Lookup) {
        self.cache(cache).lookups.at(result).increment(1);
    }

    /// Counts what one tier answered to a request.
    pub fn cache_layer(&self, cache: CacheName, layer: Layer, result: LayerResult) {
        self.cache(cache).layers.at(layer).requests.at(result).increment(1);
    }

    /// Counts who computed a missing value, or waited for it.
    pub fn cache_flight(&self, cache: CacheName, role: FlightRole) {
        self.cache(cache).flights.at(role).increment(1);
    }

    /// Counts what became of a refresh that a stale answer started.
    pub fn cache_revalidation(&self, cache: CacheName, outcome: Revalidation) {
        self.cache(cache).revalidations.at(outcome).increment(1);
    }

    /// Counts a value stored in one tier.
    pub fn cache_written(&self, cache: CacheName, layer: Layer, reason: WriteReason) {
        self.cache(cache).layers.at(layer).writes.at(reason).increment(1);
    }

    /// Counts values that left L1.
    pub fn cache_evicted(&self, cache: CacheName, reason: Eviction, values: usize) {
        if let Ok(values) = u64::try_from(values) {
            self.cache(cache).evictions.at(reason).increment(values);
        }
    }

    /// Notes how long a missing value took to compute.
    pub fn cache_loaded(&self, cache: CacheName, took: Duration, done: Done) {
        self.cache(cache).loads.at(done).record(took);
    }

    /// Notes how old a value was when it was served.
    pub fn cache_served(&self, cache: CacheName, age: Duration) {
        self.cache(cache).age.record(age);
    }

    /// Notes how much more L1 may hold.
    pub fn cache_capacity(&self, cache: CacheName, entries: usize, bytes: usize) {
        self.cache(cache).capacity_entries.increment(number(entries));
        self.cache(cache).capacity_bytes.increment(number(bytes));
    }

    /// Notes how much L1 held before a change, and after it.
    pub fn cache_size(&self, cache: CacheName, entries: (usize, usize), bytes: (usize, usize)) {
        self.cache(cache).entries.increment(number(entries.1) - number(entries.0));
        self.cache(cache).bytes.increment(number(bytes.1) - number(bytes.0));
    }

    /// Notes the time inside one tier since `started`.
    pub fn cache_operation(&self, layer: Layer, operation: CacheOperation, started: Instant) {
        self.0.caches.operations.at(layer).at(operation).record(started.elapsed());
    }

    /// Notes whether Redis is configured.
    pub fn l2_enabled(&self, enabled: bool) {
        self.0.caches.l2_enabled.set(f64::from(u8::from(enabled)));
    }

    /// Notes whether Redis answers.
    pub fn l2_up(&self, up: bool) {
        self.0.caches.l2_up.set(f64::from(u8::from(up)));
    }

    /// Notes how long a request took whose root fields are all predictions.
    pub(super) fn prediction(&self, source: Source, took: Duration) {
        self.0.caches.predictions.at(source).record(took);
    }
}

/// The span of a refresh in the background: a trace of its own, linked to the request that was served the old value.
#[must_use]
pub fn revalidation_span(cache: CacheName) -> tracing::Span {
    use opentelemetry::trace::TraceContextExt;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    let span = tracing::info_span!(
        parent: None,
        "revalidate",
        otel.name = format!("cache revalidate {}", cache.as_str()),
        cinegraph.cache.name = cache.as_str(),
    );
    span.add_link(opentelemetry::Context::current().span().span_context().clone());
    span
}
