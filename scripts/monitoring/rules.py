"""Recording rules and alerts.

Durations go through `w` or `for_`, so that drills can divide them. A rule that divides or takes a quantile ends in
`>= 0`, which drops NaN: one stored NaN would poison every average over it.
"""

from dataclasses import dataclass

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
INTERVAL = "30s"
CACHED = 'source=~"cache_fresh|cache_stale"'


@dataclass(frozen=True)
class Alert:
    """One alert. `summary` and `description` are templates of Prometheus."""

    name: str
    expression: str
    for_: str
    severity: str
    summary: str
    description: str
    dashboard: str
    # How long it goes on firing after the expression has become false.
    keep: str = ""


def recording_groups(variables):
    """Pairs of group name and rules, each a pair of record and expression."""
    w = variables.duration

    def ratio(part, whole):
        return f"({part}\n/ {whole}) >= 0"

    def errors(window):
        requests = f"[{w(window)}]))"
        return ratio(
            f'sum by (job, surface) (rate(cinegraph_slo_requests_total{{result="bad"}}{requests}',
            f'sum by (job, surface) (rate(cinegraph_slo_requests_total{{result=~"good|bad"}}{requests}',
        )

    def slow(window):
        name = "cinegraph_prediction_duration_seconds"
        return ratio(
            f'1 - sum by (job) (rate({name}_bucket{{{CACHED},le="0.05"}}[{w(window)}]))',
            f"sum by (job) (rate({name}_count{{{CACHED}}}[{w(window)}]))",
        )

    def hits(window):
        lookups = "cinegraph_cache_lookups_total"
        return ratio(
            f'sum by (job, cache) (rate({lookups}{{result=~"hit_l1|hit_l2|stale"}}[{w(window)}]))',
            f"sum by (job, cache) (rate({lookups}[{w(window)}]))",
        )

    def cached(window):
        count = 'cinegraph_prediction_duration_seconds_count{selection="profile"'
        return ratio(
            f"sum by (job) (rate({count},{CACHED}}}[{w(window)}]))", f"sum by (job) (rate({count}}}[{w(window)}]))"
        )

    def misses(window):
        return (
            'sum by (job, cache) (rate(cinegraph_cache_lookups_total{selection="profile",result="miss"}'
            f"[{w(window)}]))"
        )

    def p95(series, *labels):
        return f"histogram_quantile(0.95, sum by (job{''.join(f', {label}' for label in labels)}, le)\n(rate({series}[{w('5m')}]))) >= 0"

    starts = f"process_start_time_seconds{{{variables.job}}}"
    return [
        ("cinegraph-availability", [(f"cinegraph:availability_errors:ratio_rate{each}", errors(each)) for each in WINDOWS]),
        ("cinegraph-cached-latency", [(f"cinegraph:cached_latency_slow:ratio_rate{each}", slow(each)) for each in WINDOWS]),
        (
            "cinegraph-cache-rates",
            [
                *((f"cinegraph:cache_hits:ratio_rate{each}", hits(each)) for each in ("5m", "30m")),
                *((f"cinegraph:cached_requests:ratio_rate{each}", cached(each)) for each in ("5m", "30m")),
                *((f"cinegraph:cache_misses:rate{each}", misses(each)) for each in ("2m", "5m")),
            ],
        ),
        (
            "cinegraph-requests",
            [
                (
                    "cinegraph:graphql_requests:rate5m",
                    f"sum by (job, outcome) (rate(graphql_server_request_duration_seconds_count[{w('5m')}]))",
                ),
                (
                    "cinegraph:graphql_request_duration_seconds:p95_rate5m",
                    p95('graphql_server_request_duration_seconds_bucket{outcome=~"ok|partial"}'),
                ),
                (
                    "cinegraph:field_duration_seconds:p95_rate5m",
                    p95("cinegraph_graphql_field_duration_seconds_bucket", "field"),
                ),
                (
                    "cinegraph:db_operation_duration_seconds:p95_rate5m",
                    p95("db_client_operation_duration_seconds_bucket", "query_name"),
                ),
                (
                    "cinegraph:db_pool_used:ratio",
                    'sum by (job, instance) (db_client_connections{state="used"})\n'
                    "/ sum by (job, instance) (db_client_connection_max > 0)",
                ),
                # A restart changes the start time of its series. A new instance label brings a series of its own, whose
                # first start counts if it is within the window.
                (
                    "cinegraph:process_starts:count30m",
                    f"sum by (job) (changes({starts}[{w('30m')}])\n"
                    f"+ (min_over_time({starts}[{w('30m')}]) > bool time() - {variables.span('30m'):g}))",
                ),
            ],
        ),
    ]


def alert_groups(variables):
    """Pairs of group name and alerts."""
    w, limit, job = variables.duration, variables.thresholds, variables.job

    def burn(record, budget, factor, long, short, floor):
        threshold = f"{factor} * {budget:g}"
        return (
            f"{record}{long} > {threshold}\n"
            f"and {record}{short} > {threshold}\n"
            f"and {floor} > {limit.least_failures}"
        )

    def errors(factor, long, short):
        floor = (
            "on (job, surface) sum by (job, surface) "
            f'(increase(cinegraph_slo_requests_total{{result="bad"}}[{w(long)}]))'
        )
        return burn("cinegraph:availability_errors:ratio_rate", limit.availability_budget, factor, long, short, floor)

    def open_breaker(which):
        # While a probe hangs, the breaker is half-open for as long as it is open between two probes, and scrapes see
        # either state by chance. Half-open alone is no reason: a breaker stays so if no call comes.
        labels, state = "(job, instance, breaker)", "cinegraph_circuit_breaker_state"
        opened = f'cinegraph_circuit_breaker_transitions_total{{to="open",breaker{which}}}[{w("5m")}]'
        return (
            f'max by {labels} ({state}{{state="open",breaker{which}}}) == 1\n'
            f'or (max by {labels} ({state}{{state="half_open",breaker{which}}}) == 1\n'
            f"and sum by {labels} (increase({opened})) > 0)"
        )

    def slow(factor, long, short):
        name = "cinegraph_prediction_duration_seconds"
        floor = (
            f"on (job) (sum by (job) (increase({name}_count{{{CACHED}}}[{w(long)}]))\n"
            f'- sum by (job) (increase({name}_bucket{{{CACHED},le="0.05"}}[{w(long)}])))'
        )
        return burn("cinegraph:cached_latency_slow:ratio_rate", limit.latency_budget, factor, long, short, floor)

    def share(part, whole, by, window):
        return f"sum by ({by}) (rate({part}[{w(window)}]))\n/ sum by ({by}) (rate({whole}[{w(window)}]))"

    def failing(part, whole, by, window, most):
        # A share of next to nothing is no fault: the only refresh of a quiet hour may fail.
        return (
            f"{share(part, whole, by, window)} > {most:g}\n"
            f"and sum by ({by}) (increase({part}[{w(window)}])) > {limit.least_failures}"
        )

    def measured(series, by):
        return f"and on ({by}) sum by ({by}) (rate({series}[{w('5m')}])) > {limit.least_measured_rate:g}"

    revalidations, fallbacks = "cinegraph_cache_revalidations_total", "cinegraph_fallback_requests_total"
    lookups = "cinegraph_cache_lookups_total"
    writes = f'sum by (job, cache) (rate(cinegraph_cache_writes_total{{layer="l1"}}[{w("15m")}]))'
    p95 = "cinegraph:graphql_request_duration_seconds:p95_rate5m"
    page = "cinegraph_page_duration_seconds"
    memory, started = f"process_resident_memory_bytes{{{job}}}", f"process_start_time_seconds{{{job}}}"
    starts, up = "cinegraph:process_starts:count30m", f"up{{{job}}}"

    promises = [
        Alert(
            "CinegraphErrorBudgetBurnFast", errors(14.4, "1h", "5m"), "2m", "critical",
            "At this error rate, the monthly error budget lasts two days",
            "{{ $value | humanizePercentage }} of requests ({{ $labels.surface }}) failed in the last hour; that is 2 % of "
            "the month's budget or more. See errors by code in the GraphQL dashboard.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphErrorBudgetBurnMedium", errors(6, "6h", "30m"), "5m", "critical",
            "At this error rate, the monthly error budget lasts five days",
            "{{ $value | humanizePercentage }} of requests ({{ $labels.surface }}) failed in the last six hours; that is "
            "5 % of the month's budget or more. See errors by code in the GraphQL dashboard.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphErrorBudgetBurnSlow", errors(3, "1d", "2h"), "15m", "warning",
            "Error budget burns at three times the sustainable rate",
            "{{ $value | humanizePercentage }} of requests ({{ $labels.surface }}) failed in the last day. See errors by "
            "code and by field in the GraphQL dashboard.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphCachedLatencyBurnFast", slow(14.4, "1h", "5m"), "2m", "critical",
            "Cached predictions are slow",
            "{{ $value | humanizePercentage }} of cached predictions took more than 50 ms in the last hour. Look at the "
            "runtime's schedule delay and busy share, CPU, and Redis latency.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphCachedLatencyBurnSlow", slow(3, "1d", "2h"), "15m", "warning",
            "Cached predictions are slower than 50 ms too often",
            "{{ $value | humanizePercentage }} of cached predictions took more than 50 ms in the last day. Compare CPU "
            "and response sizes with last week's, and look for a deploy when the rise began.",
            "cinegraph-overview",
        ),
        # The floor counts what the ratio does. Would it count requests with custom weights as well, a single request under a
        # profile's weights that misses would alert among many of those, which are no fault of a cache.
        Alert(
            "CinegraphHitRatioLow",
            f"cinegraph:cached_requests:ratio_rate30m < {limit.hit_ratio:g}\n"
            'and on (job) sum by (job) (rate(cinegraph_prediction_duration_seconds_count{selection="profile"}'
            f"[{w('30m')}])) > {limit.least_rate:g}",
            "15m", "warning",
            f"Under {limit.hit_ratio:.0%} of predictions requests served from a cache".replace("%", " %"),
            "{{ $value | humanizePercentage }} of predictions requests under a profile's weights were served from a cache "
            "in the last half hour. The cache dashboard shows which cache misses.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphPageSlow",
            f'histogram_quantile(0.95, sum by (job, le) (rate({page}_bucket{{phase="first_list"}}[{w("30m")}]))) '
            f"> {limit.page_seconds:g}\n"
            f'and sum by (job) (rate({page}_count{{phase="first_list"}}[{w("30m")}])) > {limit.page_rate:g}',
            "15m", "warning",
            "p95 of the time to the first list is over half a second",
            "One page load in twenty shows its first list after {{ $value | humanizeDuration }} or more. Compare the "
            "page's phases: a slow first byte comes from the service, a slow list after it from the network or the "
            "browser.",
            "cinegraph-overview",
        ),
    ]
    cache = [
        Alert(
            "CinegraphCacheMissSpike",
            f"cinegraph:cache_misses:rate2m > {limit.miss_factor:g} * "
            f"avg_over_time(cinegraph:cache_misses:rate5m[{w('6h')}] offset {w('10m')})\n"
            f"and cinegraph:cache_misses:rate2m > {limit.miss_rate:g}",
            "30s", "warning",
            "Cache misses at three times their average",
            "The cache {{ $labels.cache }} misses {{ $value | humanize }} times a second, over three times its average of "
            "six hours. Look for a mass invalidation, a deploy with cold memory, a Redis outage or a crawler.",
            "cinegraph-cache", keep="10m",
        ),
        Alert(
            "CinegraphCacheEvictionPressure",
            f'sum by (job, cache) (rate(cinegraph_cache_evictions_total{{reason="capacity"}}[{w("15m")}]))\n'
            f"> {limit.eviction_share:g} * {writes}\nand {writes} > {limit.eviction_writes:g}",
            "30m", "warning",
            "Cache too small",
            'The cache {{ $labels.cache }} evicts {{ $value | printf "%.2f" }} live entries a second, at least one for '
            "every two writes. Look at its fill, then at its limit.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphStaleServing",
            share(f'{lookups}{{result="stale"}}', lookups, "job, cache", "15m") + f" > {limit.stale_share:g}\n"
            # Entries that are rarely requested are stale more often than not, and a share of few lookups says nothing.
            f"and sum by (job, cache) (rate({lookups}[{w('15m')}])) > {limit.least_rate:g}",
            "15m", "warning",
            "Over 20 % of cache lookups are stale",
            "{{ $value | humanizePercentage }} of lookups in the cache {{ $labels.cache }} were served a stale value. "
            "Refreshes fail or are too slow: look at revalidations by outcome, then at load times.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphRevalidationFailing",
            failing(
                f'{revalidations}{{outcome="error"}}', f'{revalidations}{{outcome=~"ok|error"}}', "job, cache", "15m",
                limit.revalidation_errors,
            ),
            "10m", "warning",
            "Background refreshes fail",
            "{{ $value | humanizePercentage }} of refreshes of the cache {{ $labels.cache }} fail; users still get stale "
            "responses. Look at database errors.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphCacheL2Down",
            "max by (job, instance) (cinegraph_cache_l2_enabled) == 1\n"
            "and max by (job, instance) (cinegraph_cache_l2_up) == 0",
            "2m", "warning",
            "Redis does not respond",
            "{{ $labels.instance }} has not reached Redis for two minutes. Until it does, it uses only its own memory and "
            "the database. Ping Redis from that machine.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphCircuitBreakerOpen", open_breaker('="score_table"'), "1m", "critical",
            "Circuit breaker of the score table is open",
            "The breaker {{ $labels.breaker }} of {{ $labels.instance }} has been open for a minute, apart from probes: "
            "requests use the direct query. Watch the pool, then find out why the score table fails.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphOptionalBreakerOpen", open_breaker('!="score_table"'), "1m", "warning",
            "Circuit breaker of Redis or the replica is open",
            'The breaker of {{ if eq $labels.breaker "cache_l2" }}Redis{{ else }}the replica{{ end }} on '
            "{{ $labels.instance }} has been open for a minute, apart from probes. Responses are still complete: watch the "
            "load on the primary.",
            "cinegraph-cache",
        ),
        Alert(
            "CinegraphFallbackShedding",
            failing(f'{fallbacks}{{outcome=~"error|shed"}}', fallbacks, "job", "5m", limit.fallback_errors),
            "5m", "critical",
            "Fallback loads fail or are shed",
            "{{ $value | humanizePercentage }} of fallback loads fail or are shed. Requests without a cached value get an "
            "error, the others a stale response. Look at the breaker and at the database.",
            "cinegraph-cache",
        ),
    ]
    models = "max by (job, list, ranking)"
    primary_is_down = 'max by (job) (cinegraph_db_up{pool="primary"}) == 0'
    database = [
        Alert(
            "CinegraphDatabaseDown", primary_is_down, "30s", "critical",
            "No instance reaches the primary database",
            "No instance of {{ $labels.job }} reaches the primary. Cached results are served, marked stale; everything "
            "else fails. Start PostgreSQL, or read the reason in the log.",
            "cinegraph-database-jobs",
        ),
        # It notifies nobody. While it fires, Alertmanager holds back tickets about what an outage causes: the windows of
        # those alerts contain the outage for minutes after its end. The alert above ends with the outage, and with it
        # the silence of other pages.
        Alert(
            "CinegraphDatabaseRecovering", primary_is_down, "30s", "none",
            "The primary database is down, or was in the last ten minutes",
            "Tickets about consequences for {{ $labels.job }} are held back until the windows of their alerts no longer "
            "contain the outage. Nothing is to be done.",
            "cinegraph-database-jobs", keep="10m",
        ),
        Alert(
            "CinegraphQueryTimeRise",
            f"{p95}\n> {limit.query_time_factor:g} * avg_over_time({p95}[{w('1d')}] offset {w('1h')})\n"
            f"and {p95} > {limit.query_seconds:g}\n"
            + measured('graphql_server_request_duration_seconds_count{outcome=~"ok|partial"}', "job"),
            "10m", "warning",
            "p95 of operations is twice yesterday's",
            "One operation in twenty takes {{ $value | humanizeDuration }} or more, twice yesterday's. Compare by field, "
            "then by statement.",
            "cinegraph-graphql",
        ),
        Alert(
            "CinegraphDbQuerySlow",
            'cinegraph:db_operation_duration_seconds:p95_rate5m{query_name!~"task_.*"} '
            f"> {limit.statement_seconds:g}\n"
            + measured("db_client_operation_duration_seconds_count", "job, query_name"),
            "10m", "warning",
            "A database statement is slow",
            "One run in twenty of {{ $labels.query_name }} takes {{ $value | humanizeDuration }} or more. Look at locks, "
            "its plan, and the tables' statistics.",
            "cinegraph-database-jobs",
        ),
        Alert(
            "CinegraphDbErrors",
            f'sum by (job, error_type) (rate(cinegraph_db_errors_total{{error_type!="constraint"}}[{w("5m")}])) '
            f"> {limit.statement_errors:g}",
            "5m", "warning",
            "Database statements fail",
            '{{ $value | printf "%.2f" }} statements a second fail ({{ $labels.error_type }}). The database dashboard '
            "shows which; then look at PostgreSQL's log.",
            "cinegraph-database-jobs",
        ),
        Alert(
            "CinegraphDbPoolSaturated", f"cinegraph:db_pool_used:ratio > {limit.pool_used:g}", "5m", "warning",
            "Over 90 % of the database connections of an instance are in use",
            "{{ $value | humanizePercentage }} of the connections of {{ $labels.instance }} are in use: slow statements or "
            "too few connections. Look at statement times first.",
            "cinegraph-database-jobs",
        ),
        Alert(
            "CinegraphDbPoolTimeouts",
            f"sum by (job, instance) (increase(db_client_connection_timeouts_total[{w('5m')}])) > 0",
            "1m", "warning",
            "Requests time out waiting for a connection",
            'About {{ $value | printf "%.0f" }} requests to {{ $labels.instance }} got no connection in five minutes. '
            "Find out what holds the connections: statement times, then locks.",
            "cinegraph-database-jobs",
        ),
        Alert(
            "CinegraphDbPoolExhausted", "max by (job, instance) (cinegraph_db_pool_exhausted) > 0", "1m", "critical",
            "An instance has lost all its database connections although the database responds",
            "No statement of {{ $labels.instance }} got a connection for a minute. The instance is not ready. Restart it "
            "unless its sessions wait for a lock.",
            "cinegraph-database-jobs",
        ),
    ]
    tasks = [
        Alert(
            "CinegraphScoreQueueOld",
            f"max by (job) (cinegraph_score_queue_oldest_age_seconds) > {limit.queue_seconds}",
            "5m", "warning",
            "Changed movies wait for new scores",
            "The oldest movie in the queue has waited for {{ $value | humanizeDuration }}: the drain is stuck or too slow. "
            "Look at the task score_drain.",
            "cinegraph-database-jobs",
        ),
        Alert(
            "CinegraphTaskFailing",
            f'sum by (job, task) (increase(cinegraph_task_runs_total{{outcome="error"}}[{w("1h")}])) '
            f">= {limit.task_failures}",
            "0m", "warning",
            "A background task failed three times in an hour",
            'The task {{ $labels.task }} failed about {{ $value | printf "%.0f" }} times in an hour. Read its last error: '
            "cinegraph jobs list, or for score_drain and cache_warm the log lines \"task failed\".",
            "cinegraph-database-jobs",
        ),
        # An instance that does not run the task reports +Inf, which min ignores as long as another one runs it.
        Alert(
            "CinegraphTaskStale",
            "time() - max by (job, task) (cinegraph_task_last_success_timestamp_seconds)\n"
            f"> {limit.task_intervals:g} * min by (job, task) (cinegraph_task_interval_seconds > 0)",
            "5m", "warning",
            "A background task has not succeeded for three times its interval",
            "The last success of the task {{ $labels.task }} was {{ $value | humanizeDuration }} ago: scores or warm "
            "caches are outdated. Check whether it fails, hangs or does not run at all: cinegraph status.",
            "cinegraph-database-jobs",
        ),
        # The other alert reports a ranking that is trained, and refused.
        Alert(
            "CinegraphModelOld",
            f"{models} (cinegraph_model_age_seconds) > {limit.model_age_seconds}\n"
            f"unless {models} (cinegraph_model_refusals) >= {limit.model_refusals}",
            "5m", "warning",
            "A learned ranking was not trained for three days",
            "The served version of the ranking {{ $labels.ranking }} of {{ $labels.list }} was trained "
            "{{ $value | humanizeDuration }} ago. Check whether the task model_train fails or does not run at all: "
            "cinegraph status.",
            "cinegraph-database-jobs",
        ),
        # A list that was never learnable has no served version, and is no fault.
        Alert(
            "CinegraphModelRefused",
            f"{models} (cinegraph_model_refusals) >= {limit.model_refusals}\n"
            f"and {models} (cinegraph_model_served) == 1",
            "5m", "warning",
            "The last three trainings of a learned ranking were refused",
            "{{ $value }} trainings in a row of the ranking {{ $labels.ranking }} of {{ $labels.list }} were refused; the last "
            "accepted version is still served. Read the reason: cinegraph model show --list {{ $labels.list }}.",
            "cinegraph-database-jobs",
        ),
    ]
    process = [
        Alert(
            "CinegraphDown", f"(sum by (job) ({up}) == 0) or absent({up})", "2m", "critical",
            "No instance can be scraped",
            "Prometheus can scrape no instance{{ if $labels.job }} of the job {{ $labels.job }}{{ end }}. Check that one "
            "runs, that its admin port responds, and that it is a target.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphInstanceDown", f"{up} == 0 and on (job) sum by (job) ({up}) > 0", "5m", "warning",
            "One instance of several cannot be scraped",
            "For five minutes, Prometheus could not scrape {{ $labels.instance }}, but could scrape others of "
            "{{ $labels.job }}. Check that the instance runs and that its admin port responds.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphRuntimeStarved",
            "histogram_quantile(0.99, sum by (job, instance, le) "
            f"(rate(tokio_schedule_delay_seconds_bucket[{w('5m')}]))) > {limit.schedule_delay_seconds:g}",
            "5m", "warning",
            "The process gets too little CPU time",
            "One timer in a hundred of {{ $labels.instance }} fires {{ $value | humanizeDuration }} late or more. All its "
            "latencies are measured too low. Look at the machine's load and the CPU limit.",
            "cinegraph-overview",
        ),
        # A rollout starts each instance once, a rollback of it once more; so twice the number of instances is no crash loop.
        # Both the number now and half an hour ago count: either may be small in the middle of a rollout.
        Alert(
            "CinegraphRestarting",
            f"{starts} > {limit.starts}\n"
            f"unless {starts} <= {limit.starts_per_instance:g} * count by (job) ({started})\n"
            f"unless {starts} <= {limit.starts_per_instance:g} * count by (job) ({started} offset {w('30m')})",
            "0m", "warning",
            "Instances restart again and again",
            "{{ $labels.job }} started {{ $value }} times in half an hour, more than twice for each instance. Read the "
            "last lines of the log before each start.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphMemoryNearLimit",
            f"{memory} / (cinegraph_memory_limit_bytes > 0) > {limit.memory_used:g}",
            "10m", "critical",
            "Memory over 90 % of the limit",
            "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its memory limit; at 100 % the kernel kills "
            "it. Look at cache bytes and the allocator.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphMemoryGrowth",
            f"min_over_time({memory}[{w('1h')}])\n"
            f"> {limit.memory_factor:g} * min_over_time({memory}[{w('1h')}] offset {w('6h')})\n"
            f"and time() - {started} > {variables.span('8h'):g}",
            "30m", "warning",
            "Minimum memory use up 30 % in six hours",
            "{{ $labels.instance }} did not use less than {{ $value | humanize1024 }}B in the last hour, 30 % more than six "
            "hours ago. Compare the allocator, cache bytes and the number of series.",
            "cinegraph-overview",
        ),
        Alert(
            "CinegraphInvalidAdminTokens",
            f"sum by (job) (increase(cinegraph_admin_tokens_rejected_total[{w('10m')}])) > {limit.invalid_tokens}",
            "0m", "warning",
            "Many admin tokens are rejected",
            "{{ $value | humanize }} admin tokens were rejected in ten minutes, as invalid, or unchecked after too many "
            "invalid ones from the same address: a client has an outdated token, or somebody guesses. The log has the "
            "clients' addresses.",
            "cinegraph-graphql",
        ),
        # Repeated log lines are left out on purpose, which is no fault.
        Alert(
            "CinegraphTelemetryDropped",
            f'sum by (job, signal) (rate(cinegraph_telemetry_dropped_total{{reason!="rate_limited"}}[{w("10m")}])) '
            f"> {limit.dropped_rate:g}",
            "15m", "warning",
            "Spans, metrics or log lines are dropped",
            "{{ $value | humanize }} {{ $labels.signal }} a second are dropped. Users are not affected; look at the "
            "collector.",
            "cinegraph-overview",
        ),
    ]
    return [
        ("cinegraph-promises", promises),
        ("cinegraph-cache", cache),
        ("cinegraph-database", database),
        ("cinegraph-tasks", tasks),
        ("cinegraph-process", process),
    ]


def recording_rules(variables):
    """The recording rules, as Prometheus reads them."""
    return {
        "groups": [
            {
                "name": name,
                "interval": variables.duration(INTERVAL),
                "rules": [{"record": record, "expr": expression} for record, expression in rules],
            }
            for name, rules in recording_groups(variables)
        ]
    }


def alert_rules(variables):
    """The alerts, as Prometheus reads them."""

    def rule(alert):
        keep = {"keep_firing_for": variables.duration(alert.keep)} if alert.keep else {}
        return {
            "alert": alert.name,
            "expr": alert.expression,
            "for": variables.duration(alert.for_),
            **keep,
            "labels": {"severity": alert.severity, "team": "cinegraph"},
            "annotations": {
                "summary": alert.summary,
                "description": alert.description,
                "runbook_url": variables.runbook(alert.name),
                "dashboard": alert.dashboard,
            },
        }

    return {
        "groups": [
            {"name": name, "interval": variables.duration(INTERVAL), "rules": [rule(alert) for alert in alerts]}
            for name, alerts in alert_groups(variables)
        ]
    }
