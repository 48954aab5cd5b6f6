//! Metrics of caches, and the span of background refreshes.

use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

use super::metrics as catalogue;
use super::metrics::{Label, Status};
use super::registry::{Family, Metrics, Registry, number};
use crate::cache::{
    CacheName, CacheOperation, DataSource, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, WriteReason,
};

/// Handles of all cache metrics.
pub(super) struct CacheMetrics {
    caches: Family<CacheName, CacheHandles>,
    operations: Family<Layer, Family<CacheOperation, Histogram>>,
    l2_enabled: Gauge,
    l2_up: Gauge,
    predictions: Family<DataSource, Histogram>,
}

struct CacheHandles {
    lookups: Family<Lookup, Counter>,
    layers: Family<Layer, LayerHandles>,
    loads: Family<Status, Histogram>,
    single_flight: Family<FlightRole, Counter>,
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
                    source.histogram(&catalogue::CACHE_OPERATION_DURATION, &[layer.as_str(), operation.as_str()])
                })
            }),
            l2_enabled: source.gauge(&catalogue::CACHE_L2_ENABLED, &[]),
            l2_up: source.gauge(&catalogue::CACHE_L2_UP, &[]),
            predictions: Family::of(|of: DataSource| source.histogram(&catalogue::PREDICTION_DURATION, &[of.as_str()])),
        }
    }
}

impl CacheHandles {
    fn new(source: &super::registry::Source, cache: CacheName) -> Self {
        let cache = cache.as_str();
        Self {
            lookups: Family::of(|result: Lookup| source.counter(&catalogue::CACHE_LOOKUPS, &[cache, result.as_str()])),
            layers: Family::of(|layer: Layer| LayerHandles {
                requests: Family::of(|result: LayerResult| {
                    source.counter(&catalogue::CACHE_LAYER_REQUESTS, &[cache, layer.as_str(), result.as_str()])
                }),
                writes: Family::of(|reason: WriteReason| {
                    source.counter(&catalogue::CACHE_WRITES, &[cache, layer.as_str(), reason.as_str()])
                }),
            }),
            loads: Family::of(|status: Status| {
                source.histogram(&catalogue::CACHE_LOAD_DURATION, &[cache, status.as_str()])
            }),
            single_flight: Family::of(|role: FlightRole| {
                source.counter(&catalogue::CACHE_SINGLE_FLIGHT, &[cache, role.as_str()])
            }),
            revalidations: Family::of(|outcome: Revalidation| {
                source.counter(&catalogue::CACHE_REVALIDATIONS, &[cache, outcome.as_str()])
            }),
            evictions: Family::of(|reason: Eviction| {
                source.counter(&catalogue::CACHE_EVICTIONS, &[cache, reason.as_str()])
            }),
            entries: source.gauge(&catalogue::CACHE_ENTRIES, &[cache]),
            capacity_entries: source.gauge(&catalogue::CACHE_CAPACITY_ENTRIES, &[cache]),
            bytes: source.gauge(&catalogue::CACHE_BYTES, &[cache]),
            capacity_bytes: source.gauge(&catalogue::CACHE_CAPACITY_BYTES, &[cache]),
            age: source.histogram(&catalogue::CACHE_VALUE_AGE, &[cache]),
        }
    }
}

impl Metrics {
    fn cache(&self, cache: CacheName) -> &CacheHandles {
        let Registry { caches, .. } = &*self.0;
        caches.caches.at(cache)
    }

    /// Counts one lookup of a request.
    pub fn cache_lookup(&self, cache: CacheName, result: Lookup) {
        self.cache(cache).lookups.at(result).increment(1);
    }

    /// Counts the result of a request's lookup in one tier.
    pub fn cache_layer(&self, cache: CacheName, layer: Layer, result: LayerResult) {
        self.cache(cache).layers.at(layer).requests.at(result).increment(1);
    }

    /// Counts a miss by its role: leader of the load or follower.
    pub fn cache_single_flight(&self, cache: CacheName, role: FlightRole) {
        self.cache(cache).single_flight.at(role).increment(1);
    }

    /// Counts the outcome of a refresh of a stale entry.
    pub fn cache_revalidation(&self, cache: CacheName, outcome: Revalidation) {
        self.cache(cache).revalidations.at(outcome).increment(1);
    }

    /// Counts an entry stored in one tier.
    pub fn cache_written(&self, cache: CacheName, layer: Layer, reason: WriteReason) {
        self.cache(cache).layers.at(layer).writes.at(reason).increment(1);
    }

    /// Counts entries removed from L1.
    pub fn cache_evicted(&self, cache: CacheName, reason: Eviction, values: usize) {
        if let Ok(values) = u64::try_from(values) {
            self.cache(cache).evictions.at(reason).increment(values);
        }
    }

    /// Records the duration of a load.
    pub fn cache_loaded(&self, cache: CacheName, took: Duration, status: Status) {
        self.cache(cache).loads.at(status).record(took);
    }

    /// Records the age of an entry when it is served.
    pub fn cache_served(&self, cache: CacheName, age: Duration) {
        self.cache(cache).age.record(age);
    }

    /// Adds to the capacity of L1, since several caches may share one name.
    pub fn cache_capacity(&self, cache: CacheName, entries: usize, bytes: usize) {
        self.cache(cache).capacity_entries.increment(number(entries));
        self.cache(cache).capacity_bytes.increment(number(bytes));
    }

    /// Adds the difference in size that a change of L1 made: each pair is the size before and after.
    pub fn cache_size(&self, cache: CacheName, entries: (usize, usize), bytes: (usize, usize)) {
        self.cache(cache).entries.increment(number(entries.1) - number(entries.0));
        self.cache(cache).bytes.increment(number(bytes.1) - number(bytes.0));
    }

    /// Records the time in one tier since `started`.
    pub fn cache_operation(&self, layer: Layer, operation: CacheOperation, started: Instant) {
        self.0.caches.operations.at(layer).at(operation).record(started.elapsed());
    }

    /// Sets whether Redis is configured.
    pub fn l2_enabled(&self, enabled: bool) {
        self.0.caches.l2_enabled.set(f64::from(u8::from(enabled)));
    }

    /// Sets whether the last Redis command succeeded.
    pub fn l2_up(&self, up: bool) {
        self.0.caches.l2_up.set(f64::from(u8::from(up)));
    }

    /// Records the duration of a request whose root fields are all predictions.
    pub(super) fn prediction(&self, source: DataSource, took: Duration) {
        self.0.caches.predictions.at(source).record(took);
    }
}

/// Creates the root span of a background refresh, linked to the request that was served the stale entry.
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
