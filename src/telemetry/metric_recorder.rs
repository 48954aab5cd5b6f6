//! [`Recorder`]: creates the instruments of a service. It is not global, so that tests that share a process have
//! separate metrics.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, NoopRecorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::catalogue::{CATALOGUE, Definition, Kind};
use super::metric_label::Label;

/// Label value for all names that a [`ByName`] was not created with.
const OTHER: &str = "other";

/// The registry requires metadata for each instrument; the exporter ignores them.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Creates instruments of the metrics in the catalogue. Clones share one registry.
///
/// An instrument exists at 0 from its creation. Each area creates all of its instruments at start, so that a rate or an
/// alert sees the first event.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    registry: Box<dyn metrics::Recorder + Send + Sync>,
    exporter: PrometheusHandle,
    /// Whether `exporter` renders the values of `registry`. If not, it renders nothing.
    is_exported: bool,
}

impl Recorder {
    /// A recorder with an empty registry of its own.
    ///
    /// # Errors
    /// [`BuildError`] if a histogram of the catalogue has no buckets.
    pub fn new() -> Result<Self, BuildError> {
        let builder = CATALOGUE.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
            Kind::Histogram(buckets) => builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets),
            Kind::Counter | Kind::Gauge => Ok(builder),
        })?;
        let registry = builder.build_recorder();
        Ok(Self::describing(registry.handle(), registry, true))
    }

    /// A recorder whose instruments discard everything, to measure the cost of metrics.
    #[must_use]
    pub fn off() -> Self {
        Self::with_registry(NoopRecorder)
    }

    /// A recorder that creates its instruments in `registry`. Nothing of it is exported: the exporter has another,
    /// empty registry.
    pub(super) fn with_registry(registry: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Self::describing(PrometheusBuilder::new().build_recorder().handle(), registry, false)
    }

    /// A recorder on `registry`, to which it describes all metrics of the catalogue. `is_exported`: whether `exporter`
    /// renders the values of `registry`; otherwise it belongs to an empty registry and renders nothing.
    fn describing(
        exporter: PrometheusHandle,
        registry: impl metrics::Recorder + Send + Sync + 'static,
        is_exported: bool,
    ) -> Self {
        for Definition { name, help, kind, .. } in CATALOGUE {
            match kind {
                Kind::Counter => registry.describe_counter((*name).into(), None, (*help).into()),
                Kind::Gauge => registry.describe_gauge((*name).into(), None, (*help).into()),
                Kind::Histogram(_) => registry.describe_histogram((*name).into(), None, (*help).into()),
            }
        }
        Self(Arc::new(Inner { registry: Box::new(registry), exporter, is_exported }))
    }

    /// Whether what is recorded can be exported. False for a recorder that is off.
    pub(super) fn is_exported(&self) -> bool {
        self.0.is_exported
    }

    /// Moves histogram samples into their buckets. Call it every few seconds, because samples use memory until then.
    pub fn upkeep(&self) {
        self.0.exporter.run_upkeep();
    }

    pub(super) fn export(&self) -> String {
        self.0.exporter.render()
    }

    /// The counter with these label values.
    pub(crate) fn counter(&self, metric: &Definition, values: &[&str]) -> Counter {
        self.0.registry.register_counter(&key(metric, values), &METADATA)
    }

    /// The gauge with these label values.
    pub(crate) fn gauge(&self, metric: &Definition, values: &[&str]) -> Gauge {
        self.0.registry.register_gauge(&key(metric, values), &METADATA)
    }

    /// The histogram with these label values.
    pub(crate) fn histogram(&self, metric: &Definition, values: &[&str]) -> Histogram {
        self.0.registry.register_histogram(&key(metric, values), &METADATA)
    }

    /// One counter for each value of the last label; `values` are the values of the labels before it.
    pub(crate) fn counters<L: Label>(&self, metric: &Definition, values: &[&str]) -> ByLabel<L, Counter> {
        ByLabel::of(|last: L| self.counter(metric, &[values, &[last.as_str()]].concat()))
    }

    /// One histogram for each value of the last label; `values` are the values of the labels before it.
    pub(crate) fn histograms<L: Label>(&self, metric: &Definition, values: &[&str]) -> ByLabel<L, Histogram> {
        ByLabel::of(|last: L| self.histogram(metric, &[values, &[last.as_str()]].concat()))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

fn key(metric: &Definition, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "labels of {}", metric.name);
    let labels = metric.labels.iter().zip(values).map(|(&name, &value)| metrics::Label::new(name, value.to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

/// Converts a count to the `f64` that gauges and histograms take; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of memory, rows and connections stay far below 2^53")]
pub(crate) fn number(value: impl TryInto<u64>) -> f64 {
    value.try_into().unwrap_or(u64::MAX) as f64
}

/// Converts a count to the `i64` that attributes of spans take: other integers would be sent as text.
pub(crate) fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// One instrument for each value of a label.
#[derive(Debug)]
pub(crate) struct ByLabel<L, T> {
    instruments: Vec<T>,
    label: PhantomData<L>,
}

impl<L: Label, T> ByLabel<L, T> {
    pub(crate) fn of(create: impl FnMut(L) -> T) -> Self {
        Self { instruments: L::ALL.iter().copied().map(create).collect(), label: PhantomData }
    }

    pub(crate) fn at(&self, value: L) -> &T {
        &self.instruments[value.index()]
    }
}

/// One instrument for each name given at start, and one for all other names.
#[derive(Debug)]
pub(crate) struct ByName<T> {
    known: HashMap<&'static str, T>,
    other: T,
}

impl<T> ByName<T> {
    pub(crate) fn of(names: &[&'static str], create: impl Fn(&str) -> T) -> Self {
        Self { known: names.iter().map(|&name| (name, create(name))).collect(), other: create(OTHER) }
    }

    /// The label value and the instrument of `name`; those of all other names if `name` was not given at start. So
    /// names that come from clients cannot create series.
    pub(crate) fn get(&self, name: &str) -> (&'static str, &T) {
        self.known.get_key_value(name).map_or((OTHER, &self.other), |(name, instrument)| (*name, instrument))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_recorded_as_other() {
        let named = ByName::of(&["a"], str::to_owned);

        assert_eq!(named.get("a"), ("a", &"a".to_owned()));
        assert_eq!(named.get("b"), (OTHER, &OTHER.to_owned()));
    }
}
