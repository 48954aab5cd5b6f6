//! [`Metrics`]: the registry of a service. It is not global, so that tests in one process do not mix their metrics.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, NoopRecorder, Recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::caches::CacheMetrics;
use super::metrics as catalogue;
use super::metrics::{BreakerName, BreakerState, CATALOGUE, Definition, Kind, Label, OTHER, SLO_ROUTE, Signal, Status};
use crate::breaker::Fallback;
use crate::graphql::{Dropped, ErrorCode, OperationType, Outcome, Phase, Rejection};
use crate::http::{Method, PagePhase, Slo};
use crate::jobs::TaskOutcome;
use crate::store::{ConnectionState, FailureKind, Pool, Task};

/// Label values defined by the schema and the statements. Other names are recorded as [`OTHER`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Inventory {
    /// Root fields of the schema, 40 at most.
    pub fields: &'static [&'static str],
    /// Data loaders, 8 at most.
    pub loaders: &'static [&'static str],
    /// Statements of the store, 33 at most.
    pub queries: &'static [&'static str],
}

/// The service's metrics. Clones share one registry.
#[derive(Clone)]
pub struct Metrics(pub(super) Arc<Registry>);

impl Metrics {
    /// A registry in which every counter and gauge with a known set of labels exists at 0.
    ///
    /// # Errors
    /// [`BuildError`] if a histogram of the catalogue has no buckets.
    pub fn new(inventory: &Inventory) -> Result<Self, BuildError> {
        let builder = CATALOGUE.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
            Kind::Histogram(buckets) => builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets),
            Kind::Counter | Kind::Gauge => Ok(builder),
        })?;
        let recorder = builder.build_recorder();
        Ok(Self(Arc::new(Registry::new(Source::new(recorder.handle(), recorder), inventory))))
    }

    /// A registry that records nothing, to measure the cost of metrics.
    #[must_use]
    pub fn off(inventory: &Inventory) -> Self {
        let handle = PrometheusBuilder::new().build_recorder().handle();
        Self(Arc::new(Registry::new(Source::new(handle, NoopRecorder), inventory)))
    }

    /// Moves histogram samples into their buckets. Call it every few seconds, because samples use memory until then.
    pub fn upkeep(&self) {
        self.0.source.handle.run_upkeep();
    }

    /// Renders all metrics in Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let busy_seconds = self.sample_runtime();
        let cpu_seconds = self.sample_process();
        #[cfg(feature = "jemalloc")]
        self.sample_allocator();
        self.0.dropped.at(Signal::Spans).absolute(super::export::dropped_spans());
        self.0.dropped.at(Signal::Logs).absolute(super::logs::dropped_lines());
        let mut text = self.0.source.handle.render();
        write_seconds(&mut text, &catalogue::PROCESS_CPU, cpu_seconds);
        write_seconds(&mut text, &catalogue::TOKIO_BUSY, busy_seconds);
        text
    }

    /// Sets the labels of the build info metric.
    pub fn build_info(&self, revision: &str, schema_hash: &str) {
        let version = env!("CARGO_PKG_VERSION");
        self.0.source.gauge(&catalogue::BUILD_INFO, &[version, revision, schema_hash]).set(1.0);
    }

    /// Records a browser timing of the predictions page.
    pub fn page(&self, phase: PagePhase, took: Duration) {
        self.0.page.at(phase).record(took);
    }

    /// Counts one entry of `errors` in a response.
    pub fn graphql_error(&self, code: ErrorCode) {
        self.0.errors.at(code).increment(1);
    }

    /// Counts an operation that is rejected before execution.
    pub fn rejected(&self, reason: Rejection) {
        self.0.rejected.at(reason).increment(1);
    }

    /// Records the duration of a phase of an operation.
    pub fn phase(&self, phase: Phase, took: Duration) {
        self.0.phases.at(phase).record(took);
    }

    /// Records the static cost of an operation in points.
    pub fn complexity(&self, points: usize) {
        self.0.complexity.record(number(points));
    }

    /// Records the number of field levels of an operation.
    pub fn depth(&self, levels: usize) {
        self.0.depth.record(number(levels));
    }

    /// Counts subscriptions that the service ends or rejects.
    pub fn subscriptions_dropped(&self, reason: Dropped, count: usize) {
        self.0.subscriptions_dropped.at(reason).increment(count.try_into().unwrap_or(u64::MAX));
    }

    /// Records the number of keys in one batch of `loader`.
    pub fn loader_batch(&self, loader: &str, keys: usize) {
        self.0.loaders.get(loader).1.record(number(keys));
    }

    /// Sets the number of connections of `pool` by state, and the maximum.
    pub fn connections(&self, pool: Pool, idle: usize, used: usize, max: usize) {
        let pool = self.0.pools.at(pool);
        pool.connections.at(ConnectionState::Idle).set(number(idle));
        pool.connections.at(ConnectionState::Used).set(number(used));
        pool.max.set(number(max));
    }

    /// Sets the planned time between two runs of `task` on this instance.
    pub fn task_interval(&self, task: Task, interval: Duration) {
        self.0.tasks.at(task).interval.set(interval.as_secs_f64());
    }

    /// Sets an infinite interval for `task`, so that alerts never report it as overdue.
    pub fn task_never_due(&self, task: Task) {
        self.0.tasks.at(task).interval.set(f64::INFINITY);
    }

    /// Sets the time of the last success of `task`, in seconds since the Unix epoch.
    pub fn task_succeeded(&self, task: Task, at_seconds: f64) {
        self.0.tasks.at(task).last_success.set(at_seconds);
    }

    /// Sets the number of movies that wait for new scores, and the time that the oldest of them has waited.
    pub fn score_queue(&self, movies: u64, oldest: Duration) {
        self.0.freshness.queue_movies.set(number(movies));
        self.0.freshness.queue_age.set(oldest.as_secs_f64());
    }

    /// Sets the age of the validation snapshot.
    pub fn snapshot_age(&self, age: Duration) {
        self.0.freshness.snapshot_age.set(age.as_secs_f64());
    }

    /// Sets the number of movies whose score the last full check corrected.
    pub fn reconcile_differences(&self, movies: u64) {
        self.0.freshness.differences.set(number(movies));
    }

    /// Records that `breaker` has changed to `state`.
    pub fn breaker_transition(&self, breaker: BreakerName, state: BreakerState) {
        let breaker = self.0.breakers.at(breaker);
        for &each in BreakerState::ALL {
            breaker.states.at(each).set(f64::from(u8::from(each == state)));
        }
        breaker.transitions.at(state).increment(1);
    }

    /// Counts the outcome of the fallback for the dependency that `breaker` guards.
    pub fn fallback(&self, breaker: BreakerName, outcome: Fallback) {
        self.0.breakers.at(breaker).fallbacks.at(outcome).increment(1);
    }

    /// Sets the replication lag of the replica.
    pub fn replica_lag(&self, lag: Duration) {
        self.0.replica_lag.set(lag.as_secs_f64());
    }

    /// Returns the name of a root field of the schema, [`OTHER`] for any other name. Safe to log for any client input.
    #[must_use]
    pub fn field_name(&self, field: &str) -> &'static str {
        self.0.fields.get(field).0
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Appends a counter of seconds to `text`. The exporter's counters are integers, too coarse for a rate of seconds.
fn write_seconds(text: &mut String, metric: &Definition, value: f64) {
    let Definition { name, help, .. } = metric;
    let written = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n\n");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// Converts a count for the exporter; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of memory, rows and connections stay far below 2^53")]
pub(super) fn number(value: impl TryInto<u64>) -> f64 {
    value.try_into().unwrap_or(u64::MAX) as f64
}

/// Handles of all metrics whose labels are known at start.
pub(super) struct Registry {
    pub(super) source: Source,
    pub(super) http_active: Family<Method, Gauge>,
    ok_durations: Family<Method, OnceLock<Histogram>>,
    response_sizes: OnceLock<Histogram>,
    pub(super) slo: Family<Slo, Counter>,
    pub(super) operations: Family<OperationType, OperationHandles>,
    pub(super) fields: Named<FieldHandles>,
    pub(super) queries: Named<StatementHandles>,
    pub(super) pools: Family<Pool, PoolHandles>,
    pub(super) tasks: Family<Task, TaskHandles>,
    breakers: Family<BreakerName, BreakerHandles>,
    replica_lag: Gauge,
    freshness: FreshnessHandles,
    pub(super) caches: CacheMetrics,
    page: Family<PagePhase, Histogram>,
    dropped: Family<Signal, Counter>,
    errors: Family<ErrorCode, Counter>,
    rejected: Family<Rejection, Counter>,
    phases: Family<Phase, Histogram>,
    complexity: Histogram,
    depth: Histogram,
    subscriptions_dropped: Family<Dropped, Counter>,
    loaders: Named<Histogram>,
}

pub(super) struct OperationHandles {
    pub(super) active: Gauge,
    pub(super) duration: Family<Outcome, Histogram>,
}

pub(super) struct FieldHandles {
    pub(super) duration: Histogram,
    pub(super) requests: Family<Status, Counter>,
    pub(super) subscriptions: Gauge,
}

pub(super) struct StatementHandles {
    pub(super) duration: Histogram,
    pub(super) rows: Histogram,
    pub(super) errors: Family<FailureKind, Counter>,
}

pub(super) struct PoolHandles {
    connections: Family<ConnectionState, Gauge>,
    max: Gauge,
    pub(super) pending: Gauge,
    pub(super) wait: Histogram,
    pub(super) timeouts: Counter,
}

pub(super) struct TaskHandles {
    pub(super) duration: Histogram,
    pub(super) runs: Family<TaskOutcome, Counter>,
    pub(super) items: Family<Status, Counter>,
    pub(super) running: Gauge,
    last_success: Gauge,
    interval: Gauge,
}

struct BreakerHandles {
    states: Family<BreakerState, Gauge>,
    transitions: Family<BreakerState, Counter>,
    fallbacks: Family<Fallback, Counter>,
}

struct FreshnessHandles {
    queue_movies: Gauge,
    queue_age: Gauge,
    snapshot_age: Gauge,
    differences: Gauge,
}

impl Registry {
    fn new(source: Source, inventory: &Inventory) -> Self {
        Self {
            http_active: Family::of(|method: Method| source.gauge(&catalogue::HTTP_ACTIVE, &[method.as_str()])),
            ok_durations: Family::of(|_| OnceLock::new()),
            response_sizes: OnceLock::new(),
            slo: Family::of(|result: Slo| source.counter(&catalogue::SLO_REQUESTS, &[result.as_str()])),
            operations: Family::of(|kind| OperationHandles::new(&source, kind)),
            fields: Named::of(inventory.fields, catalogue::FIELD_CEILING, |field| FieldHandles::new(&source, field)),
            queries: Named::of(inventory.queries, catalogue::QUERY_CEILING, |query| {
                StatementHandles::new(&source, query)
            }),
            pools: Family::of(|pool| PoolHandles::new(&source, pool)),
            tasks: Family::of(|task| TaskHandles::new(&source, task)),
            breakers: Family::of(|breaker| BreakerHandles::new(&source, breaker)),
            replica_lag: source.gauge(&catalogue::REPLICA_LAG, &[]),
            freshness: FreshnessHandles::new(&source),
            caches: CacheMetrics::new(&source),
            page: Family::of(|phase: PagePhase| source.histogram(&catalogue::PAGE_DURATION, &[phase.as_str()])),
            dropped: Family::of(|signal: Signal| source.counter(&catalogue::TELEMETRY_DROPPED, &[signal.as_str()])),
            rejected: Family::of(|reason: Rejection| source.counter(&catalogue::GRAPHQL_REJECTED, &[reason.as_str()])),
            phases: Family::of(|phase: Phase| source.histogram(&catalogue::PHASE_DURATION, &[phase.as_str()])),
            complexity: source.histogram(&catalogue::COMPLEXITY, &[]),
            depth: source.histogram(&catalogue::DEPTH, &[]),
            errors: Family::of(|code: ErrorCode| source.counter(&catalogue::GRAPHQL_ERRORS, &[code.as_str()])),
            subscriptions_dropped: Family::of(|reason: Dropped| {
                source.counter(&catalogue::SUBSCRIPTIONS_DROPPED, &[reason.as_str()])
            }),
            loaders: Named::of(inventory.loaders, catalogue::LOADER_CEILING, |loader| {
                source.histogram(&catalogue::LOADER_BATCH_SIZE, &[loader])
            }),
            source,
        }
    }
}

impl Registry {
    /// Records an HTTP response. Nearly all are status 200 of [`SLO_ROUTE`], so the handle of their histogram is cached
    /// instead of being looked up by labels.
    pub(super) fn record_response(&self, method: Method, route: &str, status: u16, took: Duration) {
        let make = || self.source.histogram(&catalogue::HTTP_DURATION, &[method.as_str(), route, &status.to_string()]);
        if route == SLO_ROUTE && status == 200 {
            self.ok_durations.at(method).get_or_init(make).record(took);
        } else {
            make().record(took);
        }
    }

    /// Records the size of an HTTP response body.
    pub(super) fn record_response_size(&self, route: &str, bytes: u64) {
        let make = || self.source.histogram(&catalogue::HTTP_BODY_SIZE, &[route]);
        if route == SLO_ROUTE {
            self.response_sizes.get_or_init(make).record(number(bytes));
        } else {
            make().record(number(bytes));
        }
    }
}

impl OperationHandles {
    fn new(source: &Source, kind: OperationType) -> Self {
        let kind = kind.as_str();
        Self {
            active: source.gauge(&catalogue::OPERATION_ACTIVE, &[kind]),
            duration: Family::of(|outcome: Outcome| {
                source.histogram(&catalogue::OPERATION_DURATION, &[kind, outcome.as_str()])
            }),
        }
    }
}

impl FieldHandles {
    fn new(source: &Source, field: &str) -> Self {
        Self {
            duration: source.histogram(&catalogue::FIELD_DURATION, &[field]),
            requests: Family::of(|status: Status| {
                source.counter(&catalogue::FIELD_REQUESTS, &[field, status.as_str()])
            }),
            subscriptions: source.gauge(&catalogue::SUBSCRIPTIONS_ACTIVE, &[field]),
        }
    }
}

impl StatementHandles {
    fn new(source: &Source, query: &str) -> Self {
        Self {
            duration: source.histogram(&catalogue::STATEMENT_DURATION, &[query]),
            rows: source.histogram(&catalogue::STATEMENT_ROWS, &[query]),
            errors: Family::of(|error: FailureKind| {
                source.counter(&catalogue::STATEMENT_ERRORS, &[query, error.as_str()])
            }),
        }
    }
}

impl PoolHandles {
    fn new(source: &Source, pool: Pool) -> Self {
        let pool = pool.as_str();
        Self {
            connections: Family::of(|state: ConnectionState| {
                source.gauge(&catalogue::CONNECTIONS, &[state.as_str(), pool])
            }),
            max: source.gauge(&catalogue::CONNECTION_MAX, &[pool]),
            pending: source.gauge(&catalogue::CONNECTION_PENDING, &[pool]),
            wait: source.histogram(&catalogue::CONNECTION_WAIT, &[pool]),
            timeouts: source.counter(&catalogue::CONNECTION_TIMEOUTS, &[pool]),
        }
    }
}

impl TaskHandles {
    fn new(source: &Source, task: Task) -> Self {
        let task = task.as_str();
        Self {
            duration: source.histogram(&catalogue::TASK_DURATION, &[task]),
            runs: Family::of(|outcome: TaskOutcome| source.counter(&catalogue::TASK_RUNS, &[task, outcome.as_str()])),
            items: Family::of(|status: Status| source.counter(&catalogue::TASK_ITEMS, &[task, status.as_str()])),
            running: source.gauge(&catalogue::TASK_RUNNING, &[task]),
            last_success: source.gauge(&catalogue::TASK_LAST_SUCCESS, &[task]),
            interval: source.gauge(&catalogue::TASK_INTERVAL, &[task]),
        }
    }
}

impl BreakerHandles {
    fn new(source: &Source, breaker: BreakerName) -> Self {
        let breaker = breaker.as_str();
        let states =
            Family::of(|state: BreakerState| source.gauge(&catalogue::BREAKER_STATE, &[breaker, state.as_str()]));
        states.at(BreakerState::Closed).set(1.0);
        Self {
            states,
            transitions: Family::of(|to: BreakerState| {
                source.counter(&catalogue::BREAKER_TRANSITIONS, &[breaker, to.as_str()])
            }),
            fallbacks: Family::of(|outcome: Fallback| {
                source.counter(&catalogue::FALLBACK_REQUESTS, &[breaker, outcome.as_str()])
            }),
        }
    }
}

impl FreshnessHandles {
    fn new(source: &Source) -> Self {
        Self {
            queue_movies: source.gauge(&catalogue::SCORE_QUEUE_FILMS, &[]),
            queue_age: source.gauge(&catalogue::SCORE_QUEUE_AGE, &[]),
            snapshot_age: source.gauge(&catalogue::SNAPSHOT_AGE, &[]),
            differences: source.gauge(&catalogue::RECONCILE_DIFFERENCES, &[]),
        }
    }
}

/// Creates handles of the metrics in the catalogue.
pub(super) struct Source {
    recorder: Box<dyn Recorder + Send + Sync>,
    handle: PrometheusHandle,
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl Source {
    fn new(handle: PrometheusHandle, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        for Definition { name, help, kind, .. } in CATALOGUE {
            match kind {
                Kind::Counter => recorder.describe_counter((*name).into(), None, (*help).into()),
                Kind::Gauge => recorder.describe_gauge((*name).into(), None, (*help).into()),
                Kind::Histogram(_) => recorder.describe_histogram((*name).into(), None, (*help).into()),
            }
        }
        Self { handle, recorder: Box::new(recorder) }
    }

    pub(super) fn counter(&self, metric: &Definition, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    pub(super) fn gauge(&self, metric: &Definition, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    pub(super) fn histogram(&self, metric: &Definition, values: &[&str]) -> Histogram {
        self.recorder.register_histogram(&key(metric, values), &METADATA)
    }
}

fn key(metric: &Definition, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "labels of {}", metric.name);
    let labels = metric.labels.iter().zip(values).map(|(&name, &value)| metrics::Label::new(name, value.to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

/// One handle for each value of a label.
pub(super) struct Family<L, T> {
    handles: Vec<T>,
    label: PhantomData<L>,
}

impl<L: Label, T> Family<L, T> {
    pub(super) fn of(make: impl FnMut(L) -> T) -> Self {
        Self { handles: L::ALL.iter().copied().map(make).collect(), label: PhantomData }
    }

    pub(super) fn at(&self, value: L) -> &T {
        &self.handles[value.index()]
    }
}

/// One handle for each name given at start, and one for all other names.
pub(super) struct Named<T> {
    known: HashMap<&'static str, T>,
    other: T,
}

impl<T> Named<T> {
    fn of(names: &[&'static str], ceiling: usize, make: impl Fn(&str) -> T) -> Self {
        let known = names.iter().take(ceiling).map(|&name| (name, make(name))).collect();
        Self { known, other: make(OTHER) }
    }

    pub(super) fn get(&self, name: &str) -> (&'static str, &T) {
        self.known.get_key_value(name).map_or((OTHER, &self.other), |(name, handle)| (*name, handle))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(&Inventory { fields: &["predictions"], loaders: &["films"], queries: &["film"] }).unwrap()
    }

    /// Types of the rendered metrics by name.
    fn rendered_types(text: &str) -> BTreeMap<String, String> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split_once(' ')).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    }

    #[tokio::test]
    async fn a_scrape_contains_exactly_the_catalogue() {
        let metrics = metrics();
        metrics.build_info("abc", "def");
        metrics.http_request(Method::Get, "/graphql".into()).sent_all();

        let expected: BTreeMap<_, _> = CATALOGUE
            .iter()
            .map(|metric| {
                let kind = match metric.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram(_) => "histogram",
                };
                (metric.name.to_owned(), kind.to_owned())
            })
            .collect();

        assert_eq!(rendered_types(&metrics.render()), expected);
    }

    #[test]
    fn only_counters_end_in_total_and_help_ends_with_a_full_stop() {
        for metric in CATALOGUE {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn bucket_bounds_increase() {
        for metric in CATALOGUE {
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.is_sorted_by(|low, high| low < high), "{}", metric.name);
            }
        }
    }

    #[test]
    fn every_known_label_value_starts_at_zero() {
        let text = metrics().render();

        for line in [
            r#"cinegraph_slo_requests_total{result="bad"} 0"#,
            r#"cinegraph_graphql_errors_total{code="INTERNAL"} 0"#,
            r#"cinegraph_graphql_field_requests_total{field="predictions",outcome="error"} 0"#,
            r#"cinegraph_graphql_field_requests_total{field="other",outcome="ok"} 0"#,
            r#"cinegraph_db_errors_total{query_name="film",error_type="timeout"} 0"#,
            r#"db_client_connections{state="idle",pool="replica"} 0"#,
            r#"cinegraph_task_runs_total{task="score_refresh",outcome="skipped"} 0"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing");
        }
    }

    #[test]
    fn names_above_the_ceiling_are_recorded_as_other() {
        let named = Named::of(&["a", "b"], 1, str::to_owned);

        assert_eq!(named.get("a"), ("a", &"a".to_owned()));
        assert_eq!(named.get("b"), (OTHER, &OTHER.to_owned()));
    }
}
