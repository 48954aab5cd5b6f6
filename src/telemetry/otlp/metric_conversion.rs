//! Reads the text of `/metrics` into OTLP messages, so that both have the same metrics by construction.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric,
};

/// Start and end of the time that the values cover, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The metrics of a text in Prometheus format, which the service rendered itself.
pub(super) fn read(text: &str, period: Period) -> Vec<Metric> {
    let mut metrics: Vec<Family<'_>> = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described;
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            if let Some((name, kind)) = typed.split_once(' ') {
                let help = help.strip_prefix(name).unwrap_or_default().trim_start();
                metrics.push(Family { name, help, kind, samples: Vec::new() });
            }
        } else if let (Some(family), Some(sample)) = (metrics.last_mut(), Sample::parse(line)) {
            family.samples.push(sample);
        }
    }
    metrics.into_iter().map(|family| family.into_metric(period)).collect()
}

/// Number of data points of a metric.
pub(super) fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        _ => 0,
    }
}

/// A line with a value.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
    /// The value of a counter, exactly.
    integer: Option<i64>,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels_of(labels.strip_suffix('}')?)?),
            None => (series, Vec::new()),
        };
        Some(Self { name, labels, value: value.parse().ok()?, integer: value.parse().ok() })
    }
}

/// Splits `a="1",b="2"`.
fn labels_of(mut text: &str) -> Option<Vec<(&str, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let (mut value, mut characters) = (String::new(), rest.char_indices());
        let end = loop {
            match characters.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    escaped => escaped,
                }),
                (_, character) => value.push(character),
            }
        };
        labels.push((name, value));
        text = rest[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

/// All samples of one metric.
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    samples: Vec<Sample<'a>>,
}

impl Family<'_> {
    fn into_metric(self, period: Period) -> Metric {
        let cumulative = AggregationTemporality::Cumulative.into();
        let (name, description, unit) = (self.name.to_owned(), self.help.to_owned(), unit(self.name).to_owned());
        let data = match self.kind {
            "histogram" => metric::Data::Histogram(Histogram {
                data_points: histogram_points(&self.samples, period),
                aggregation_temporality: cumulative,
            }),
            "counter" => metric::Data::Sum(Sum {
                data_points: number_points(self.samples, period),
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
            _ => metric::Data::Gauge(Gauge { data_points: number_points(self.samples, Period { start: 0, ..period }) }),
        };
        Metric { name, description, unit, metadata: Vec::new(), data: Some(data) }
    }
}

/// The unit, which names end in. A ratio has none, because a collector that translates names would append it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_bytes") {
        "By"
    } else {
        ""
    }
}

fn number_points(samples: Vec<Sample<'_>>, period: Period) -> Vec<NumberDataPoint> {
    let point = |sample: Sample<'_>| NumberDataPoint {
        attributes: sample.labels.into_iter().map(attribute).collect(),
        start_time_unix_nano: period.start,
        time_unix_nano: period.end,
        value: Some(sample.integer.map_or(Value::AsDouble(sample.value), Value::AsInt)),
        ..NumberDataPoint::default()
    };
    samples.into_iter().map(point).collect()
}

/// One point for each set of labels. The exporter writes the buckets of a set in order, then its sum and its count.
fn histogram_points(samples: &[Sample<'_>], period: Period) -> Vec<HistogramDataPoint> {
    let (mut points, mut point, mut below) = (Vec::new(), HistogramDataPoint::default(), 0);
    for sample in samples {
        let value = sample.integer.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
        if sample.name.ends_with("_bucket") {
            let bound = sample.labels.iter().find(|(name, _)| *name == "le").and_then(|(_, bound)| bound.parse().ok());
            point.explicit_bounds.extend(bound.filter(|bound: &f64| bound.is_finite()));
            // Buckets of the text contain those below them.
            point.bucket_counts.push(value - below);
            below = value;
        } else if sample.name.ends_with("_sum") {
            point.sum = Some(sample.value);
        } else if sample.name.ends_with("_count") {
            point.count = value;
            point.attributes = sample.labels.iter().cloned().map(attribute).collect();
            (point.start_time_unix_nano, point.time_unix_nano) = (period.start, period.end);
            points.push(std::mem::take(&mut point));
            below = 0;
        }
    }
    points
}

fn attribute((name, value): (&str, String)) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value)) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::super::super::catalogue::{self, CATALOGUE, Kind};
    use super::super::super::metric_recorder::Recorder;
    use super::*;

    const PERIOD: Period = Period { start: 1, end: 2 };

    #[test]
    fn every_series_of_the_text_is_a_point() {
        let recorder = Recorder::new().unwrap();
        for metric in CATALOGUE {
            // What a text may contain that is hard to read: escapes, separators, braces, and an empty value.
            for value in ["", "a \"b\"\n\\c", "x=\"1\",y}{ 2"] {
                let values = vec![value; metric.labels.len()];
                match metric.kind {
                    Kind::Counter => recorder.counter(metric, &values).increment(3),
                    Kind::Gauge => recorder.gauge(metric, &values).set(f64::INFINITY),
                    Kind::Histogram(_) => recorder.histogram(metric, &values).record(0.3),
                }
            }
        }

        let metrics = read(&recorder.render(), PERIOD);

        for definition in CATALOGUE {
            let metric = metrics.iter().find(|metric| metric.name == definition.name).unwrap();
            assert_eq!(metric.description, definition.help);
            let is_kind = match (&metric.data, definition.kind) {
                (Some(metric::Data::Sum(sum)), Kind::Counter) => sum.is_monotonic,
                (Some(metric::Data::Gauge(_)), Kind::Gauge) => true,
                (Some(metric::Data::Histogram(histogram)), Kind::Histogram(bounds)) => {
                    histogram.data_points.iter().all(|point| point.explicit_bounds == bounds)
                }
                _ => false,
            };
            assert!(is_kind, "{} is {:?}", definition.name, metric.data);
            let series = if definition.labels.is_empty() { 1 } else { 3 };
            assert!(points(metric) >= series, "{} has {}", definition.name, points(metric));
        }
    }

    #[test]
    fn labels_and_values_are_those_of_the_registry() {
        let recorder = Recorder::new().unwrap();
        recorder.counter(&catalogue::CACHE_EVICTIONS, &["a \"b\"\n\\c", "x,y=\"}"]).increment(1 << 60);

        let metrics = read(&recorder.render(), PERIOD);

        let metric = metrics.iter().find(|metric| metric.name == catalogue::CACHE_EVICTIONS.name).unwrap();
        let Some(metric::Data::Sum(Sum { data_points, .. })) = &metric.data else { panic!("{metric:?}") };
        let [point] = &data_points[..] else { panic!("{data_points:?}") };
        assert_eq!(point.value, Some(Value::AsInt(1 << 60)));
        let expected = [("cache", "a \"b\"\n\\c"), ("reason", "x,y=\"}")];
        assert_eq!(point.attributes, expected.map(|(name, value)| attribute((name, value.to_owned()))));
    }

    #[test]
    fn buckets_hold_what_lies_between_their_bounds() {
        let recorder = Recorder::new().unwrap();
        let sizes = recorder.histogram(&catalogue::COMPLEXITY, &[]);
        for size in [1.0, 1.5, 7.0, 5000.0] {
            sizes.record(size);
        }

        let metrics = read(&recorder.render(), PERIOD);

        let metric = metrics.iter().find(|metric| metric.name == catalogue::COMPLEXITY.name).unwrap();
        let Some(metric::Data::Histogram(Histogram { data_points, .. })) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(data_points[0].bucket_counts, [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((data_points[0].count, data_points[0].sum), (4, Some(5009.5)));
        assert_eq!(data_points[0].time_unix_nano, 2);
    }
}
