//! Metrics of caches, and the span of background refreshes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::labels::{
    CacheName, CacheOperation, Eviction, FlightRole, Layer, LayerResult, Lookup, Revalidation, Selection, WriteReason,
};
use crate::telemetry::{
    ByLabel, Counter, Gauge, Histogram, Label as _, ReadableCounter, ReadableGauge, Recorder, Status, catalogue, number,
};

/// Size of a cache, and the lookups of requests since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CacheStatus {
    /// Entries in L1.
    pub entries: f64,
    /// Estimated size of the entries in L1.
    pub bytes: f64,
    /// Maximum estimated size of L1.
    pub capacity_bytes: f64,
    /// Lookups that found a fresh entry, in L1 or L2.
    pub hits: f64,
    /// Lookups that were served an entry that was no longer fresh.
    pub stale: f64,
    /// Lookups that found no entry that may be served.
    pub misses: f64,
}

/// Metrics of caches. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct CacheMetrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    caches: ByLabel<CacheName, CacheInstruments>,
    operations: ByLabel<Layer, ByLabel<CacheOperation, Histogram>>,
    l2_enabled: Gauge,
    l2_up: Gauge,
}

#[derive(Debug)]
struct CacheInstruments {
    lookups: ByLabel<Selection, ByLabel<Lookup, ReadableCounter>>,
    layers: ByLabel<Layer, LayerInstruments>,
    loads: ByLabel<Status, Histogram>,
    single_flight: ByLabel<FlightRole, Counter>,
    revalidations: ByLabel<Revalidation, Counter>,
    evictions: ByLabel<Eviction, Counter>,
    entries: ReadableGauge,
    capacity_entries: Gauge,
    bytes: ReadableGauge,
    capacity_bytes: ReadableGauge,
    age: Histogram,
}

#[derive(Debug)]
struct LayerInstruments {
    requests: ByLabel<LayerResult, Counter>,
    writes: ByLabel<WriteReason, Counter>,
}

impl CacheMetrics {
    /// The instruments of all caches.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self(Arc::new(Instruments {
            caches: ByLabel::of(|cache: CacheName| CacheInstruments::new(recorder, cache.as_str())),
            operations: ByLabel::of(|layer: Layer| {
                recorder.histograms(&catalogue::CACHE_OPERATION_DURATION, &[layer.as_str()])
            }),
            l2_enabled: recorder.gauge(&catalogue::CACHE_L2_ENABLED, &[]),
            l2_up: recorder.gauge(&catalogue::CACHE_L2_UP, &[]),
        }))
    }

    /// The current size of a cache, and its lookups.
    #[must_use]
    pub fn status(&self, cache: CacheName) -> CacheStatus {
        let instruments = self.cache(cache);
        let lookups = |result| {
            let of = |selection: &Selection| number(instruments.lookups.at(*selection).at(result).value());
            Selection::ALL.iter().map(of).sum::<f64>()
        };
        CacheStatus {
            entries: instruments.entries.value(),
            bytes: instruments.bytes.value(),
            capacity_bytes: instruments.capacity_bytes.value(),
            hits: lookups(Lookup::HitL1) + lookups(Lookup::HitL2),
            stale: lookups(Lookup::Stale),
            misses: lookups(Lookup::Miss),
        }
    }

    fn cache(&self, cache: CacheName) -> &CacheInstruments {
        self.0.caches.at(cache)
    }

    /// Counts one lookup of a request.
    pub fn lookup(&self, cache: CacheName, selection: Selection, result: Lookup) {
        self.cache(cache).lookups.at(selection).at(result).increment(1);
    }

    /// Counts the result of a request's lookup in one tier.
    pub fn layer(&self, cache: CacheName, layer: Layer, result: LayerResult) {
        self.cache(cache).layers.at(layer).requests.at(result).increment(1);
    }

    /// Counts a miss by the role of its caller in the load: leader or follower.
    pub fn single_flight(&self, cache: CacheName, role: FlightRole) {
        self.cache(cache).single_flight.at(role).increment(1);
    }

    /// Counts the outcome of a refresh of a stale entry.
    pub fn revalidation(&self, cache: CacheName, outcome: Revalidation) {
        self.cache(cache).revalidations.at(outcome).increment(1);
    }

    /// Counts an entry stored in one tier.
    pub fn written(&self, cache: CacheName, layer: Layer, reason: WriteReason) {
        self.cache(cache).layers.at(layer).writes.at(reason).increment(1);
    }

    /// Counts entries removed from L1.
    pub fn evicted(&self, cache: CacheName, reason: Eviction, values: usize) {
        if let Ok(values) = u64::try_from(values) {
            self.cache(cache).evictions.at(reason).increment(values);
        }
    }

    /// Records the duration of a load, and whether it succeeded.
    pub fn loaded(&self, cache: CacheName, took: Duration, status: Status) {
        self.cache(cache).loads.at(status).record(took);
    }

    /// Records the age of an entry when it is served.
    pub fn served(&self, cache: CacheName, age: Duration) {
        self.cache(cache).age.record(age);
    }

    /// Adds the limits of one cache to the capacity of L1 under the name `cache`. Several caches may share a name, so
    /// the gauges hold the sum of their limits.
    pub fn add_capacity(&self, cache: CacheName, entries: usize, bytes: usize) {
        self.cache(cache).capacity_entries.increment(number(entries));
        self.cache(cache).capacity_bytes.increment(number(bytes));
    }

    /// Adds the difference that a change of L1 has made to its size. Each pair is the size before and after the change.
    pub fn resized(&self, cache: CacheName, entries: (usize, usize), bytes: (usize, usize)) {
        self.cache(cache).entries.increment(number(entries.1) - number(entries.0));
        self.cache(cache).bytes.increment(number(bytes.1) - number(bytes.0));
    }

    /// Records how long an operation on one tier took: from `started` until now.
    pub fn operation(&self, layer: Layer, operation: CacheOperation, started: Instant) {
        self.0.operations.at(layer).at(operation).record(started.elapsed());
    }

    /// Sets whether Redis is configured.
    pub fn l2_enabled(&self, enabled: bool) {
        self.0.l2_enabled.set(f64::from(u8::from(enabled)));
    }

    /// Sets whether Redis responded to the last PING.
    pub fn l2_up(&self, up: bool) {
        self.0.l2_up.set(f64::from(u8::from(up)));
    }
}

impl CacheInstruments {
    fn new(recorder: &Recorder, cache: &str) -> Self {
        Self {
            lookups: ByLabel::of(|selection: Selection| {
                ByLabel::of(|result: Lookup| {
                    let values = [cache, selection.as_str(), result.as_str()];
                    recorder.counter(&catalogue::CACHE_LOOKUPS, &values).into()
                })
            }),
            layers: ByLabel::of(|layer: Layer| LayerInstruments {
                requests: recorder.counters(&catalogue::CACHE_LAYER_REQUESTS, &[cache, layer.as_str()]),
                writes: recorder.counters(&catalogue::CACHE_WRITES, &[cache, layer.as_str()]),
            }),
            loads: recorder.histograms(&catalogue::CACHE_LOAD_DURATION, &[cache]),
            single_flight: recorder.counters(&catalogue::CACHE_SINGLE_FLIGHT, &[cache]),
            revalidations: recorder.counters(&catalogue::CACHE_REVALIDATIONS, &[cache]),
            evictions: recorder.counters(&catalogue::CACHE_EVICTIONS, &[cache]),
            entries: recorder.gauge(&catalogue::CACHE_ENTRIES, &[cache]).into(),
            capacity_entries: recorder.gauge(&catalogue::CACHE_CAPACITY_ENTRIES, &[cache]),
            bytes: recorder.gauge(&catalogue::CACHE_BYTES, &[cache]).into(),
            capacity_bytes: recorder.gauge(&catalogue::CACHE_CAPACITY_BYTES, &[cache]).into(),
            age: recorder.histogram(&catalogue::CACHE_VALUE_AGE, &[cache]),
        }
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
