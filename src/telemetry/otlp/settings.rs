//! What the `OTEL_*` variables say about traces, metrics and logs.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SpanLimits};

use super::super::dropped::Signal;
use super::attribute_limits::AttributeLimits;
use super::target::{self, Target};
use super::variables::{Variables, pairs};

/// Limits of the batch processors: the defaults of the specification.
const QUEUE_ITEMS: usize = 2048;
const BATCH_ITEMS: usize = 512;

/// How long items are gathered before they are sent together. It is the default of the specification for log lines, and
/// below that for spans (5 seconds): a crash loses fewer of them, and traces appear sooner.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Time between two exports of metrics: the default of the specification.
const METRIC_INTERVAL: Duration = Duration::from_mins(1);

/// Maximum number of attributes: the default of the specification.
const ATTRIBUTES: u32 = 128;

/// How the items of one signal are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchSettings {
    pub(super) queue_items: usize,
    pub(super) batch_items: usize,
    pub(super) delay: Duration,
}

/// What the `OTEL_*` variables say.
#[derive(Debug)]
pub(super) struct Settings {
    /// Whether traces are disabled altogether, their ids included.
    pub(super) is_disabled: bool,
    /// Whether the `traceparent` of a request is read.
    pub(super) reads_trace_context: bool,
    pub(super) resource: Resource,
    pub(super) sampler: Sampler,
    pub(super) span_limits: SpanLimits,
    pub(super) span_attributes: AttributeLimits,
    pub(super) log_attributes: AttributeLimits,
    /// `None` if the signal is not exported.
    pub(super) spans: Option<(Target, BatchSettings)>,
    /// With the time between two exports.
    pub(super) metrics: Option<(Target, Duration)>,
    pub(super) logs: Option<(Target, BatchSettings)>,
    /// What is set but not honoured.
    pub(super) warnings: Vec<String>,
}

impl Settings {
    /// Reads the variables. `service` is the name of the service, unless they contain another.
    pub(super) fn read(variables: Variables, service: &'static str) -> Self {
        let is_disabled = variables.switch("OTEL_SDK_DISABLED").unwrap_or(false);
        // First, since they warn about what has not been read.
        let (spans, metrics, logs) = (spans(&variables), metrics(&variables), logs(&variables));
        if spans.is_none() && metrics.is_none() && logs.is_none() {
            variables.warn_of_unused(&["OTEL_EXPORTER_OTLP_", "OTEL_ATTRIBUTE_"], "nothing is exported");
        }
        let general_count = variables.limit("OTEL_ATTRIBUTE_COUNT_LIMIT").unwrap_or(ATTRIBUTES);
        let general_length = variables.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        let attributes = |prefix: &str| AttributeLimits {
            count: variables.limit(&format!("{prefix}_ATTRIBUTE_COUNT_LIMIT")).unwrap_or(general_count),
            value_length: variables.limit(&format!("{prefix}_ATTRIBUTE_VALUE_LENGTH_LIMIT")).or(general_length),
        };
        let (span_attributes, log_attributes) = (attributes("OTEL_SPAN"), attributes("OTEL_LOGRECORD"));
        let mut settings = Self {
            is_disabled,
            reads_trace_context: reads_trace_context(&variables),
            resource: resource(&variables, service),
            sampler: sampler(&variables),
            span_limits: span_limits(&variables, span_attributes.count),
            span_attributes,
            log_attributes,
            spans,
            metrics,
            logs,
            warnings: Vec::new(),
        };
        if is_disabled {
            // Whoever disables everything knows that nothing else has an effect.
            return Self { spans: None, metrics: None, logs: None, ..settings };
        }
        settings.warnings = variables.into_warnings();
        settings
    }
}

/// Whether `OTEL_PROPAGATORS` contains the W3C trace context. Baggage is accepted and ignored: the service calls no
/// other service that it could pass it to.
fn reads_trace_context(variables: &Variables) -> bool {
    const NAME: &str = "OTEL_PROPAGATORS";
    let Some(text) = variables.text(NAME) else { return true };
    let names: Vec<_> = text.split(',').map(str::trim).collect();
    for name in names.iter().filter(|name| !["tracecontext", "baggage", "none"].contains(*name)) {
        variables.reject(NAME, name, "tracecontext, baggage or none");
    }
    names.contains(&"tracecontext")
}

/// The attributes of this process. `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` override and extend them.
fn resource(variables: &Variables, service: &'static str) -> Resource {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let named = variables.text(NAME).map(pairs);
    if named == Some(None) {
        // As a whole, as the specification says.
        variables.warn(format!("{NAME} is not a list of name=value pairs, and has no effect"));
    }
    let named = named.flatten().unwrap_or_default().into_iter().map(|(name, value)| KeyValue::new(name, value));
    let own = [
        KeyValue::new("service.name", service),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", format!("{:016x}", rand::random::<u64>())),
    ];
    let service = variables.text("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name.to_owned()));
    // Later attributes replace earlier ones of the same name.
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own)
        .with_attributes(named)
        .with_attributes(service)
        .build()
}

fn sampler(variables: &Variables) -> Sampler {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let ratio = || {
        let is_ratio = |ratio: &f64| (0.0..=1.0).contains(ratio);
        let ratio = variables.parsed("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", is_ratio);
        Sampler::TraceIdRatioBased(ratio.unwrap_or(1.0))
    };
    let by_parent = |root| Sampler::ParentBased(Box::new(root));
    match variables.text(NAME) {
        None | Some("parentbased_always_on") => by_parent(Sampler::AlwaysOn),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("traceidratio") => ratio(),
        Some("parentbased_always_off") => by_parent(Sampler::AlwaysOff),
        Some("parentbased_traceidratio") => by_parent(ratio()),
        Some(other) => {
            variables.reject(NAME, other, "a sampler of this service");
            by_parent(Sampler::AlwaysOn)
        }
    }
}

fn span_limits(variables: &Variables, max_attributes_per_span: u32) -> SpanLimits {
    let limit = |name| variables.limit(name);
    let defaults = SpanLimits::default();
    SpanLimits {
        max_attributes_per_span,
        max_events_per_span: limit("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(defaults.max_events_per_span),
        max_links_per_span: limit("OTEL_SPAN_LINK_COUNT_LIMIT").unwrap_or(defaults.max_links_per_span),
        max_attributes_per_event: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")
            .unwrap_or(defaults.max_attributes_per_event),
        max_attributes_per_link: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT").unwrap_or(defaults.max_attributes_per_link),
    }
}

/// Whether a signal is exported: what its variable says, or else `default`. `others` are exporters that the service has
/// besides, such as the Prometheus endpoint.
fn is_exported(variables: &Variables, signal: Signal, default: bool, others: &[&str]) -> bool {
    let name = format!("OTEL_{}_EXPORTER", signal.variable());
    let Some(text) = variables.text(&name) else { return default };
    let exporters: Vec<_> = text.split(',').map(str::trim).collect();
    for exporter in exporters.iter().filter(|exporter| !["otlp", "none"].contains(*exporter)) {
        if !others.contains(exporter) {
            variables.reject(&name, exporter, "otlp or none");
        }
    }
    exporters.contains(&"otlp")
}

fn spans(variables: &Variables) -> Option<(Target, BatchSettings)> {
    let endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    let has_endpoint = endpoints.iter().any(|name| variables.is_set(name));
    let is_exported = is_exported(variables, Signal::Spans, has_endpoint, &[]);
    if !is_exported {
        let prefixes = [
            "OTEL_BSP_",
            "OTEL_EXPORTER_OTLP_TRACES_",
            "OTEL_TRACES_SAMPLER",
            "OTEL_SPAN_",
            "OTEL_EVENT_",
            "OTEL_LINK_",
        ];
        variables.warn_of_unused(&prefixes, "traces are not exported");
        return None;
    }
    let (batch, timeout) = batch(variables, "OTEL_BSP");
    target::read(variables, Signal::Spans).map(|target| (within(target, timeout), batch))
}

fn logs(variables: &Variables) -> Option<(Target, BatchSettings)> {
    // Log lines are always written to standard output, which is `console`.
    if !is_exported(variables, Signal::Logs, false, &["console"]) {
        let prefixes = ["OTEL_BLRP_", "OTEL_EXPORTER_OTLP_LOGS_", "OTEL_LOGRECORD_"];
        variables.warn_of_unused(&prefixes, "logs are not exported (OTEL_LOGS_EXPORTER=otlp exports them)");
        return None;
    }
    let (batch, timeout) = batch(variables, "OTEL_BLRP");
    target::read(variables, Signal::Logs).map(|target| (within(target, timeout), batch))
}

fn metrics(variables: &Variables) -> Option<(Target, Duration)> {
    if !is_exported(variables, Signal::Metrics, false, &["prometheus"]) {
        let prefixes = ["OTEL_METRIC_EXPORT_", "OTEL_EXPORTER_OTLP_METRICS_"];
        variables.warn_of_unused(&prefixes, "metrics are not exported (OTEL_METRICS_EXPORTER=otlp exports them)");
        return None;
    }
    // The export is read from the text of `/metrics`, which has cumulative values, explicit buckets and no exemplars.
    for (name, only) in [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
    ] {
        if let Some(other) = variables.text(name).filter(|value| !value.eq_ignore_ascii_case(only)) {
            variables.reject(name, other, only);
        }
    }
    let interval = variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL").unwrap_or(METRIC_INTERVAL);
    let timeout = variables.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT");
    target::read(variables, Signal::Metrics).map(|target| (within(target, timeout), interval))
}

/// Shortens the time limit of a target to that of its batches.
fn within(target: Target, timeout: Option<Duration>) -> Target {
    Target { timeout: timeout.map_or(target.timeout, |timeout| timeout.min(target.timeout)), ..target }
}

/// How the items of one signal are queued, and the maximum time of one export.
fn batch(variables: &Variables, prefix: &str) -> (BatchSettings, Option<Duration>) {
    let queue_items = variables.size(&format!("{prefix}_MAX_QUEUE_SIZE")).unwrap_or(QUEUE_ITEMS);
    let largest = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
    let batch_items = variables.size(&largest).unwrap_or(BATCH_ITEMS.min(queue_items));
    if batch_items > queue_items {
        variables.warn(format!("{largest}={batch_items} is more than the queue holds; {queue_items} applies"));
    }
    let delay = variables.milliseconds(&format!("{prefix}_SCHEDULE_DELAY")).unwrap_or(BATCH_DELAY);
    let settings = BatchSettings { queue_items, batch_items: batch_items.min(queue_items), delay };
    (settings, variables.milliseconds(&format!("{prefix}_EXPORT_TIMEOUT")))
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    /// A variable, a value that the service honours, and one that it does not; empty if every value is valid.
    const VARIABLES: [(&str, &str, &str); 35] = [
        ("OTEL_SERVICE_NAME", "films-eu", ""),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=eu%2Cwest", "eu"),
        ("OTEL_PROPAGATORS", "baggage", "b3"),
        ("OTEL_TRACES_EXPORTER", "otlp", "zipkin"),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus", "statsd"),
        ("OTEL_LOGS_EXPORTER", "otlp,console", "file"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25", "2"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1", "c"),
        ("OTEL_EXPORTER_OTLP_*_ENDPOINT", "http://c:1", "c"),
        ("OTEL_EXPORTER_OTLP_*PROTOCOL", "http/protobuf", "http/json"),
        ("OTEL_EXPORTER_OTLP_*HEADERS", "a=b", "a"),
        ("OTEL_EXPORTER_OTLP_*TIMEOUT", "7", "soon"),
        ("OTEL_EXPORTER_OTLP_*COMPRESSION", "gzip", "zstd"),
        // It has no effect on the endpoint above, which is not https.
        ("OTEL_EXPORTER_OTLP_*CERTIFICATE", "", "/no/such/file"),
        ("OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE", "", "/only/one"),
        ("OTEL_EXPORTER_OTLP_*INSECURE", "true", "maybe"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", "delta"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "explicit_bucket_histogram",
            "base2_exponential_bucket_histogram",
        ),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off", "trace_based"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5", "0"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "5", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5", "-1"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "5", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "600", "0"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "600", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5", "5000"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5", "5000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "5", "x"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "5", "x"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5", "x"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5", "x"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "5", "x"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "5", "x"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "5", "x"),
    ];

    fn read(pairs: &[(&str, &str)]) -> Settings {
        let owned = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Settings::read(Variables::of(owned), "cinegraph")
    }

    /// With all signals exported; a later value replaces an earlier one.
    fn exporting(more: &[(&str, &str)]) -> Settings {
        let all = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ];
        read(&[&all[..], more].concat())
    }

    /// The names that a name with `*` stands for.
    fn names(name: &str) -> Vec<String> {
        match name.split_once('*') {
            None => vec![name.to_owned()],
            Some((_, rest)) if rest.starts_with('_') => {
                ["TRACES", "METRICS", "LOGS"].map(|signal| name.replace('*', signal)).into()
            }
            Some(_) => ["", "TRACES_", "METRICS_", "LOGS_"].map(|signal| name.replace('*', signal)).into(),
        }
    }

    #[test]
    fn each_variable_is_honoured_or_named_in_a_warning() {
        for (pattern, honoured, rejected) in VARIABLES {
            for name in names(pattern) {
                let warnings = exporting(&[(&name, honoured)]).warnings;
                assert!(warnings.is_empty(), "{name}={honoured}: {warnings:?}");
                if !rejected.is_empty() {
                    let warnings = exporting(&[(&name, rejected)]).warnings;
                    assert!(warnings.iter().any(|warning| warning.starts_with(&name)), "{name}: {warnings:?}");
                }
            }
        }
    }

    /// The reference for users names every variable above.
    #[test]
    fn the_operations_guide_describes_each_variable() {
        let guide = include_str!("../../../docs/OPERATIONS.md");
        for (pattern, ..) in VARIABLES {
            // Written as `OTEL_EXPORTER_OTLP_`[*SIGNAL*`_`]`TIMEOUT`.
            let written = pattern.split('*').next_back().unwrap_or_default();
            assert!(guide.contains(&format!("{written}`")), "{pattern}");
        }
    }

    #[test]
    fn variables_of_a_signal_that_is_not_exported_are_warnings() {
        for (name, value) in [
            ("OTEL_METRIC_EXPORT_INTERVAL", "5"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "5"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=b"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "5"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
        ] {
            let [warning] = read(&[(name, value)]).warnings.try_into().unwrap();
            assert!(warning.starts_with(&format!("{name} has no effect, since ")), "{warning}");
        }
    }

    #[test]
    fn traces_are_exported_once_there_is_an_endpoint_and_others_on_demand() {
        let exported = |pairs: &[(&str, &str)]| {
            let settings = read(pairs);
            [settings.spans.is_some(), settings.metrics.is_some(), settings.logs.is_some()]
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");

        assert_eq!(exported(&[]), [false, false, false]);
        assert_eq!(exported(&[endpoint]), [true, false, false]);
        assert_eq!(exported(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), [false, false, false]);
        assert_eq!(exported(&[("OTEL_TRACES_EXPORTER", "otlp")]), [true, false, false]);
        assert_eq!(exported(&[("OTEL_LOGS_EXPORTER", "otlp")]), [false, false, true]);
        assert_eq!(exported(&[("OTEL_METRICS_EXPORTER", "otlp")]), [false, true, false]);
        let disabled = [endpoint, ("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_X", "1")];
        assert_eq!(exported(&disabled), [false, false, false]);
        assert!(read(&disabled).warnings.is_empty());
    }

    #[test]
    fn the_resource_is_that_of_the_variables() {
        let pairs = [
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.instance.id=i,deployment.environment.name=eu%2Cwest"),
            ("OTEL_SERVICE_NAME", "films-eu"),
        ];
        let resource = read(&pairs).resource;
        let value = |resource: &Resource, name: &'static str| {
            resource.get(&Key::from_static_str(name)).map(|value| value.to_string())
        };

        assert_eq!(value(&resource, "service.name").as_deref(), Some("films-eu"));
        assert_eq!(value(&resource, "service.instance.id").as_deref(), Some("i"));
        assert_eq!(value(&resource, "deployment.environment.name").as_deref(), Some("eu,west"));
        assert_eq!(value(&resource, "telemetry.sdk.language").as_deref(), Some("rust"));
        let own = read(&[]).resource;
        assert_eq!(value(&own, "service.name").as_deref(), Some("cinegraph"));
        assert_eq!(value(&own, "deployment.environment.name"), None);
    }

    #[test]
    fn limits_and_queues_are_those_of_the_variables() {
        let settings = exporting(&[
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "70"),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "8"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "0"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "2000"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "50000"),
        ]);

        assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
        assert_eq!((settings.span_limits.max_attributes_per_span, settings.log_attributes.count), (7, 8));
        assert_eq!(settings.span_attributes.value_length, Some(9));
        assert_eq!(settings.log_attributes.value_length, Some(70));
        assert_eq!((settings.span_limits.max_links_per_span, settings.span_limits.max_attributes_per_link), (0, 3));
        let (target, batch) = settings.spans.unwrap();
        assert_eq!((batch.queue_items, batch.batch_items), (100, 100));
        assert_eq!(target.timeout, Duration::from_secs(2));
        // The time limit of OTLP is lower.
        assert_eq!(settings.metrics.unwrap().0.timeout, Duration::from_secs(10));
    }

    #[test]
    fn the_trace_context_is_read_unless_the_propagators_lack_it() {
        assert!(read(&[]).reads_trace_context);
        assert!(read(&[("OTEL_PROPAGATORS", "baggage, tracecontext")]).reads_trace_context);
        assert!(!read(&[("OTEL_PROPAGATORS", "none")]).reads_trace_context);
        assert!(!read(&[("OTEL_PROPAGATORS", "baggage")]).reads_trace_context);
    }
}
