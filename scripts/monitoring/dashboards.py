"""The dashboards for Grafana.

Expressions below omit the selectors of job and instance; `selected` adds them to each series.
"""

import json
import re
from urllib.parse import quote

TITLES = {
    "cinegraph-overview": "Cinegraph: overview",
    "cinegraph-cache": "Cinegraph: caches",
    "cinegraph-database-jobs": "Cinegraph: database and tasks",
    "cinegraph-graphql": "Cinegraph: GraphQL",
}
RUNBOOKS = "docs/runbooks.md"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Grouping labels look like metrics, so they are matched first and left unchanged.
SERIES = re.compile(r"(?:by|on) \([^)]*\)|\b((?:cinegraph|graphql|http|db|process|tokio)[_:][\w:]+)(?:\{([^}]*)\})?")


def selected(expression):
    """The expression with job and instance in every selector; recorded series (with a colon) have no instance."""

    def select(match):
        name, labels = match.groups()
        if name is None:
            return match[0]
        selectors = 'job=~"$job"' if ":" in name else 'job=~"$job",instance=~"$instance"'
        return f"{name}{{{f'{labels},' if labels else ''}{selectors}}}"

    return SERIES.sub(select, expression)


def traces(condition):
    """A data link that searches the traces of the panel's time range."""
    search = f'{{resource.service.name="cinegraph" && {condition}}}'
    pane = {
        "datasource": "${traces}",
        "queries": [{"refId": "A", "queryType": "traceql", "query": search}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    # Grafana replaces its variables before the browser reads the URL, so they must not be percent-encoded.
    panes = re.sub(r"%24%7B(.*?)%7D", r"${\1}", quote(json.dumps({"t": pane})))
    return {"title": "Search traces", "url": f"/explore?schemaVersion=1&panes={panes}", "targetBlank": True}


FIELD_TRACES = traces('span.graphql.field.schema_coordinate=~".+[.]${__field.labels.field}" && duration>100ms')
REQUEST_TRACES = traces('span.http.route="/graphql" && duration>100ms')
FAILED_TRACES = traces('span.http.route="/graphql" && status=error')
CACHE_TRACES = traces('span.cinegraph.cache.name="${__field.labels.cache}" && duration>50ms')
STATEMENT_TRACES = traces('span.cinegraph.db.query_name="${__field.labels.query_name}" && duration>100ms')
OPERATION_TRACES = traces('span.graphql.operation.type=~".+" && duration>100ms')
TASK_TRACES = traces('span.cinegraph.task.name="${__field.labels.task}"')


def panel(title, unit, why, *queries, kind="timeseries", line=None, low=False, width=8, link=None, **more):
    """One panel. `queries`: pairs of expression and legend; `line`: threshold, red above it, or below if `low`."""
    instant = kind in ("stat", "table")
    colours = ("red", "green") if low else ("green", "red")
    steps = [{"color": "green" if line is None else colours[0], "value": None}]
    if line is not None:
        steps.append({"color": colours[1], "value": line})
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}, "mappings": more.pop("mappings", [])}
    if link:
        defaults["links"] = [link]
    options = {}
    if kind == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {"fillOpacity": 10, "thresholdsStyle": {"mode": "off" if line is None else "line"}}
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif kind == "stat":
        defaults["decimals"] = 3
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": more.pop("text", "value")}
    elif kind == "heatmap":
        options = {"calculate": False, "yAxis": {"unit": unit}, "tooltip": {"mode": "single"}}
    result = {
        "type": kind,
        "title": title,
        "description": why,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATASOURCE,
                "expr": selected(expression),
                "legendFormat": legend,
                "format": {"heatmap": "heatmap", "table": "table"}.get(kind, "time_series"),
                "instant": instant,
                "range": not instant,
            }
            for number, (expression, legend) in enumerate(queries)
        ],
        "gridPos": {"w": width, "h": 4 if kind == "stat" else 8},
    }
    return result | more


def quantile(share, metric, *labels):
    """The expression of a quantile of a histogram, grouped by `labels`."""
    name, selector = re.fullmatch(r"(\w+)(\{.*\})?", metric).groups(default="")
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({share}, sum by ({by}) (rate({name}_bucket{selector}[$__rate_interval])))"


def shown(colour):
    """Value mappings of a state: 1 in this colour, 0 invisible."""
    states = {"0": {"text": "no", "color": "transparent"}, "1": {"text": "yes", "color": colour}}
    return [{"type": "value", "options": states}]


def fields_table():
    """The table of root fields: one row each, three values."""
    names = {"field": "Field", "Value #A": "Rate", "Value #B": "p95", "Value #C": "Errors"}
    return panel(
        "Fields: rate, p95, errors",
        "reqps",
        "One row per root field: sort by p95 to find the slow one, by errors to find the failing one, then search its "
        "traces.",
        ("sum by (field) (rate(cinegraph_graphql_field_requests_total[$__rate_interval]))", "{{field}}"),
        ("cinegraph:field_duration_seconds:p95_rate5m", "{{field}}"),
        ('sum by (field) (rate(cinegraph_graphql_field_requests_total{outcome="error"}[$__rate_interval]))', "{{field}}"),
        kind="table",
        width=16,
        link=traces('span.graphql.field.schema_coordinate=~".+[.]${__data.fields.Field}" && duration>100ms'),
        overrides=[{"matcher": {"id": "byName", "options": "p95"}, "properties": [{"id": "unit", "value": "s"}]}],
        transformations=[
            {"id": "joinByField", "options": {"byField": "field", "mode": "outer"}},
            {"id": "filterFieldsByName", "options": {"include": {"names": list(names)}}},
            {"id": "organize", "options": {"renameByName": names}},
        ],
    )


BAD = 'sum(increase(cinegraph_slo_requests_total{result="bad"}[30d]))'
COUNTED = 'sum(increase(cinegraph_slo_requests_total{result=~"good|bad"}[30d]))'
GRAPHQL_SECONDS = 'http_server_request_duration_seconds{http_route="/graphql"}'

OVERVIEW = [
    panel(
        "Availability, 30 days",
        "percentunit",
        "Objective: 99.9 % of counted requests succeed. Below it: stop releases, and look at errors by code in the "
        "GraphQL dashboard. Needs 30 days of data in Prometheus.",
        (f"1 - {BAD} / {COUNTED}", "availability"),
        kind="stat", line=0.999, low=True,
    ),
    panel(
        "Error budget left",
        "percentunit",
        "Share of the allowed failures of 30 days that is left. Below 0: release only fixes.",
        (f"1 - ({BAD} / {COUNTED}) / 0.001", "budget left"),
        kind="stat", line=0, low=True,
    ),
    panel(
        "Build",
        "none",
        "Version of each instance. Two versions for longer than a deploy takes: one instance was not updated.",
        ("cinegraph_build_info", "{{instance}} {{version}} {{revision}}"),
        kind="stat", text="name",
    ),
    panel(
        "Burn rate",
        "none",
        "1 spends the error budget in exactly 30 days; over 14.4, two days suffice, and an alert pages. Find the "
        "failing error code in the GraphQL dashboard, then what changed when it began.",
        ("cinegraph:availability_errors:ratio_rate1h / 0.001", "1 h {{job}}"),
        ("cinegraph:availability_errors:ratio_rate6h / 0.001", "6 h {{job}}"),
        line=14.4,
    ),
    panel(
        "Cached predictions under 50 ms",
        "percentunit",
        "Objective: 99 %. Below the line: look at Runtime busy and CPU here, then at the time in layer l2 in the cache "
        "dashboard.",
        ("1 - cinegraph:cached_latency_slow:ratio_rate1h", "{{job}}"),
        line=0.99, low=True,
    ),
    panel(
        "Hit ratio of requests",
        "percentunit",
        "Objective: 90 % of predictions requests are served from a cache. Below the line: the cache dashboard shows "
        "which cache misses; low just after a start is normal.",
        ("cinegraph:cached_requests:ratio_rate5m", "{{job}}"),
        line=0.9, low=True,
    ),
    panel(
        "Requests by outcome",
        "reqps",
        "Traffic and errors. bad: errors of the service; split them by code in the GraphQL dashboard. excluded: client "
        "errors; a jump means a broken or hostile client. All at zero: no requests arrive.",
        ("sum by (result) (rate(cinegraph_slo_requests_total[$__rate_interval]))", "{{result}}"),
        link=FAILED_TRACES,
    ),
    panel(
        "HTTP by status",
        "reqps",
        "503: the database is unavailable, or load shedding. 504 or 408: too slow. 429 or 413: a client over its "
        "limits. 499: clients that disconnected.",
        (
            "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count[$__rate_interval]))",
            "{{http_response_status_code}}",
        ),
        link=FAILED_TRACES,
    ),
    panel(
        "Latency p50 p95 p99",
        "s",
        "Duration of /graphql. All three up: saturation or the database. Only p99: a few expensive operations, "
        "found in the GraphQL dashboard or by a trace search.",
        (quantile(0.5, GRAPHQL_SECONDS), "p50"),
        (quantile(0.95, GRAPHQL_SECONDS), "p95"),
        (quantile(0.99, GRAPHQL_SECONDS), "p99"),
        link=REQUEST_TRACES,
    ),
    panel(
        "In flight",
        "short",
        "Concurrent requests. Rising while traffic does not: they wait for something, most often the connection pool.",
        ("sum by (instance) (http_server_active_requests)", "{{instance}}"),
    ),
    panel(
        "Page p95",
        "s",
        "Page timings measured by browsers. ttfb high: the service is slow. first_list high with a low ttfb: the "
        "network or the browser. Above the line for 15 minutes an alert creates a ticket.",
        (quantile(0.95, "cinegraph_page_duration_seconds", "phase"), "{{phase}}"),
        line=0.5, link=REQUEST_TRACES,
    ),
    panel(
        "CPU",
        "short",
        "Cores in use. At the number of cores of the machine everything is slow: add an instance, or find the "
        "expensive operation by its complexity.",
        ("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),
    ),
    panel(
        "Runtime busy",
        "percentunit",
        "Saturation of the worker threads. Near 1 with idle CPU: something blocks a worker; look for a deploy.",
        ("rate(tokio_worker_busy_seconds_total[$__rate_interval]) / tokio_workers", "{{instance}}"),
        line=0.9,
    ),
    panel(
        "Memory",
        "bytes",
        "Memory against the limit (0: no limit). Resident up and allocated not: the allocator retains pages. Allocated "
        "up: compare with Estimated bytes in the cache dashboard; if those are flat, it is a leak.",
        ("process_resident_memory_bytes", "resident {{instance}}"),
        ("cinegraph_allocator_bytes", "{{state}} {{instance}}"),
        ("cinegraph_memory_limit_bytes", "limit {{instance}}"),
    ),
]

CACHE = [
    panel(
        "Hit ratio by cache",
        "percentunit",
        "Below the line: look at evictions (too small), at writes (not warmed) and at misses (keys or versions "
        "changed). responses may be low: other caches are behind it.",
        ("cinegraph:cache_hits:ratio_rate5m", "{{cache}}"),
        line=0.9, low=True, link=CACHE_TRACES,
    ),
    panel(
        "Lookups by result",
        "ops",
        "Hits, stale hits, misses. Many stale: refreshes fail or are slow.",
        ("sum by (result) (rate(cinegraph_cache_lookups_total[$__rate_interval]))", "{{result}}"),
    ),
    panel(
        "Misses, now and usual",
        "ops",
        "Miss-spike alert: three times the usual rate. A mass invalidation, a deploy, a Redis outage or a crawler.",
        ("sum by (cache) (cinegraph:cache_misses:rate5m)", "{{cache}}"),
        ("sum by (cache) (avg_over_time(cinegraph:cache_misses:rate5m[6h]))", "{{cache}} usual"),
        link=CACHE_TRACES,
    ),
    panel(
        "Layers",
        "ops",
        "Benefit of L2: an l2 hit is a load that another instance has done. l2 errors and timeouts, which count as "
        "misses: Redis fails or is slow.",
        (
            "sum by (layer, result) (rate(cinegraph_cache_layer_requests_total[$__rate_interval]))",
            "{{layer}} {{result}}",
        ),
    ),
    panel(
        "Time in layer p99",
        "s",
        "l2: Redis calls end at redis_timeout_seconds. l1 above a millisecond: the process lacks CPU time.",
        (quantile(0.99, "cinegraph_cache_operation_duration_seconds", "layer", "op"), "{{layer}} {{op}}"),
        line=0.05,
    ),
    panel(
        "Load time p95",
        "s",
        "Cost of a miss. columns is the most expensive: it reads a decade from the database. Rising: look at its "
        "statement in the database dashboard.",
        (quantile(0.95, "cinegraph_cache_load_duration_seconds", "cache"), "{{cache}}"),
        link=CACHE_TRACES,
    ),
    panel(
        "Single flight",
        "ops",
        "Followers wait for the load of a leader instead of starting their own. Many leaders at once: many keys missed "
        "together.",
        ("sum by (role) (rate(cinegraph_cache_single_flight_total[$__rate_interval]))", "{{role}}"),
    ),
    panel(
        "Revalidations",
        "ops",
        "Background refreshes. error: the database fails; users get stale responses until the stale window ends.",
        (
            "sum by (cache, outcome) (rate(cinegraph_cache_revalidations_total[$__rate_interval]))",
            "{{cache}} {{outcome}}",
        ),
        link=CACHE_TRACES,
    ),
    panel(
        "Fill",
        "percentunit",
        "At 1 each write evicts an entry. Full with a good hit ratio is fine; full with evictions and misses: raise "
        "cache_answers_bytes or cache_columns_bytes.",
        ("cinegraph_cache_entries / cinegraph_cache_capacity_entries", "{{cache}} {{instance}}"),
    ),
    panel(
        "Evictions",
        "ops",
        "capacity: the cache is too small. invalidated: data or profiles changed. expired: normal.",
        ("sum by (cache, reason) (rate(cinegraph_cache_evictions_total[$__rate_interval]))", "{{cache}} {{reason}}"),
    ),
    panel(
        "Writes",
        "ops",
        "Cache writes by reason. warm every ten minutes is the task cache_warm; without it, the first request of each "
        "key is a miss.",
        ("sum by (cache, reason) (rate(cinegraph_cache_writes_total[$__rate_interval]))", "{{cache}} {{reason}}"),
    ),
    panel(
        "Age when served p95",
        "s",
        "Age of entries when served. Near twice the cache's TTL: refreshes fail, and the stale window is about to end.",
        (quantile(0.95, "cinegraph_cache_value_age_seconds", "cache"), "{{cache}}"),
    ),
    panel(
        "Estimated bytes",
        "bytes",
        "Size of each cache. If Memory in the overview grows and these do not, the cause is elsewhere.",
        ("cinegraph_cache_estimated_bytes", "{{cache}} {{instance}}"),
    ),
    panel(
        "Open subscriptions",
        "short",
        "Open subscriptions. A drop to 0: a deploy, or the proxy closes WebSockets.",
        ("sum by (field) (cinegraph_subscriptions_active)", "{{field}}"),
    ),
    panel(
        "Subscriptions ended by the service",
        "ops",
        "By reason. slow: clients read too slowly. limit: one client opens too many. shutdown: a deploy.",
        ("sum by (reason) (rate(cinegraph_subscriptions_dropped_total[$__rate_interval]))", "{{reason}}"),
    ),
    panel(
        "Breakers",
        "none",
        "Exactly one state of each breaker is 1. open: the dependency is not called; half_open: one call probes it. "
        "See the runbook of CinegraphCircuitBreakerOpen.",
        ("cinegraph_circuit_breaker_state", "{{breaker}} {{state}} {{instance}}"),
        kind="state-timeline", width=12, mappings=shown("green"),
        overrides=[
            {"matcher": {"id": "byRegexp", "options": f"/ {state} /"}, "properties": [{"id": "mappings", "value": shown(colour)}]}
            for state, colour in [("half_open", "orange"), ("open", "red")]
        ],
    ),
    panel(
        "Fallback",
        "ops",
        "Direct queries while the breaker is open. shed or error: those requests failed.",
        ("sum by (outcome) (rate(cinegraph_fallback_requests_total[$__rate_interval]))", "{{outcome}}"),
        width=12,
    ),
]

DATABASE = [
    panel(
        "Statements p95",
        "s",
        "By the statement's name in the code. Above the line for ten minutes an alert creates a ticket: look at locks, "
        "then at the query plan. Names that begin with task_ may be slow.",
        ("cinegraph:db_operation_duration_seconds:p95_rate5m", "{{query_name}}"),
        line=0.1, link=STATEMENT_TRACES,
    ),
    panel(
        "Statement rate",
        "ops",
        "How often each statement runs. A jump without more requests: a cache misses, or batching is broken.",
        ("sum by (query_name) (rate(db_client_operation_duration_seconds_count[$__rate_interval]))", "{{query_name}}"),
        link=STATEMENT_TRACES,
    ),
    panel(
        "Time share of statements",
        "short",
        "Database load: seconds of execution per second. Optimise the highest line first.",
        ("sum by (query_name) (rate(db_client_operation_duration_seconds_sum[$__rate_interval]))", "{{query_name}}"),
        link=STATEMENT_TRACES,
    ),
    panel(
        "Rows p95",
        "short",
        "Rows returned. A statement of a request that returns thousands of rows lacks a limit.",
        (quantile(0.95, "db_client_response_returned_rows", "query_name"), "{{query_name}}"),
        link=STATEMENT_TRACES,
    ),
    panel(
        "Statement errors",
        "ops",
        "connection: the database is unavailable. timeout: too slow or locked. serialization: conflicting tasks. "
        "constraint: a client's conflict, harmless.",
        ("sum by (error_type) (rate(cinegraph_db_errors_total[$__rate_interval]))", "{{error_type}}"),
        link=traces('span.db.system.name="postgresql" && status=error'),
    ),
    panel(
        "Pool",
        "short",
        "used at the limit and pending above 0: requests wait. Look at slow statements first, then at "
        "database_max_connections.",
        ("sum by (state) (db_client_connections)", "{{state}}"),
        ("sum(db_client_connection_max)", "limit"),
        ("sum(db_client_connection_pending_requests)", "pending"),
    ),
    panel(
        "Wait for a connection p99",
        "s",
        "High: slow statements or a small pool. Requests fail after database_acquire_timeout_seconds (default 2).",
        (quantile(0.99, "db_client_connection_wait_time_seconds"), "p99"),
        line=0.1,
    ),
    panel(
        "Connection timeouts",
        "ops",
        "Each timeout is a failed request. Above 0: find out what holds the connections. Abandoned: closed because the "
        "server did not respond, as when the network loses connections.",
        ("rate(db_client_connection_timeouts_total[$__rate_interval])", "{{pool}} {{instance}}"),
        ("rate(cinegraph_db_connections_abandoned_total[$__rate_interval])", "abandoned {{instance}}"),
    ),
    panel(
        "Time since success, in intervals",
        "none",
        "The task-stale alert: above the line a task has not succeeded for three times its interval. Check whether it "
        "fails (runs), hangs (running) or is disabled on all instances (--no-jobs).",
        (
            "(time() - max by (task) (cinegraph_task_last_success_timestamp_seconds)) / max by (task) "
            "(cinegraph_task_interval_seconds)",
            "{{task}}",
        ),
        line=3, link=TASK_TRACES,
    ),
    panel(
        "Runs in an hour",
        "short",
        "error: read the last error with cinegraph jobs list. skipped: another instance ran it, which is fine.",
        ("sum by (task, outcome) (increase(cinegraph_task_runs_total[1h]))", "{{task}} {{outcome}}"),
        link=TASK_TRACES,
    ),
    panel(
        "Items worked on",
        "ops",
        "Rows or keys per second. A task that runs without items has nothing to do, or does not detect its work.",
        ("sum by (task, outcome) (rate(cinegraph_task_items_total[$__rate_interval]))", "{{task}} {{outcome}}"),
        link=TASK_TRACES,
    ),
    panel(
        "Run time p95",
        "s",
        "A task whose runs take longer than its period runs all the time. Rising with the catalogue is normal.",
        ("histogram_quantile(0.95, sum by (le, task) (rate(cinegraph_task_duration_seconds_bucket[1h])))", "{{task}}"),
        link=TASK_TRACES,
    ),
    panel(
        "Running",
        "none",
        "1 while a task runs. At 1 for hours: it hangs; look at locks.",
        ("cinegraph_task_running", "{{task}} {{instance}}"),
        link=TASK_TRACES,
    ),
    panel(
        "Age of queue and snapshot",
        "s",
        "Freshness of scores and validation. The queue should be near 0: above two minutes the drain is stuck. The "
        "snapshot is refreshed every hour.",
        ("cinegraph_score_queue_oldest_age_seconds", "queue {{instance}}"),
        ("cinegraph_snapshot_age_seconds", "snapshot {{instance}}"),
    ),
    panel(
        "Scores corrected by the last check",
        "short",
        "0 if every change was queued. More: writes that bypass the triggers, or a missing trigger; cinegraph migrate "
        "reports missing ones.",
        ("cinegraph_score_reconcile_differences", "{{instance}}"),
    ),
    panel(
        "Replica lag",
        "s",
        "Above replica_max_lag_seconds reads use the primary. 0 without a replica.",
        ("cinegraph_replica_lag_seconds", "{{instance}}"),
    ),
    panel(
        "Database identity changes",
        "short",
        "Failovers, restores, detach and attach: each empties the caches of the instance.",
        ("increase(cinegraph_database_identity_changes_total[$__rate_interval])", "{{instance}}"),
    ),
]

GRAPHQL = [
    panel(
        "Operations by outcome",
        "reqps",
        "error and partial: errors of the service. rejected: client errors. cancelled: the client disconnected, often "
        "because of slow responses.",
        (
            "sum by (graphql_operation_type, outcome) (rate(graphql_server_request_duration_seconds_count[$__rate_interval]))",
            "{{graphql_operation_type}} {{outcome}}",
        ),
        link=OPERATION_TRACES,
    ),
    panel(
        "Active operations",
        "short",
        "Concurrent operations. Rising while the rate does not: they wait for something.",
        ("sum by (graphql_operation_type) (graphql_server_request_active)", "{{graphql_operation_type}}"),
    ),
    panel(
        "Operation p95",
        "s",
        "Query-time alert: fires at twice yesterday's p95 and above the line. The table of fields shows which one.",
        ("cinegraph:graphql_request_duration_seconds:p95_rate5m", "{{job}}"),
        line=0.1, link=OPERATION_TRACES,
    ),
    panel(
        "Phases p95",
        "s",
        "parse or validate above a millisecond: huge documents; the log shows their operations.",
        (
            quantile(0.95, "graphql_server_processing_duration_seconds", "graphql_processing_type"),
            "{{graphql_processing_type}}",
        ),
        link=OPERATION_TRACES,
    ),
    fields_table(),
    panel(
        "Predictions by source",
        "reqps",
        "database rising: see the cache dashboard. fallback: a breaker is open.",
        ("sum by (source) (rate(cinegraph_prediction_duration_seconds_count[$__rate_interval]))", "{{source}}"),
    ),
    panel(
        "Predictions p99 by source",
        "s",
        "Duration by source. cache_fresh above 50 ms violates the objective of cached predictions.",
        (quantile(0.99, "cinegraph_prediction_duration_seconds", "source"), "{{source}}"),
        line=0.05, link=traces('span.graphql.field.schema_coordinate=~"Query[.]prediction.*" && duration>50ms'),
    ),
    panel(
        "Latency heat map",
        "s",
        "Two bands: cached and not cached. The slower one growing: more misses. A third one above a second: the direct "
        "query, or locks.",
        ("sum by (le) (increase(graphql_server_request_duration_seconds_bucket[$__rate_interval]))", "{{le}}"),
        kind="heatmap",
    ),
    panel(
        "Errors by code",
        "ops",
        "INTERNAL, TIMEOUT, SERVICE_UNAVAILABLE: errors of the service; search the failed traces. Others: client errors.",
        ("sum by (code) (rate(cinegraph_graphql_errors_total[$__rate_interval]))", "{{code}}"),
        link=FAILED_TRACES,
    ),
    panel(
        "Rejections",
        "ops",
        "Operations rejected before execution. complexity or depth after a client's release: its query is too large; "
        "contact its developers, or raise query_complexity_limit.",
        ("sum by (reason) (rate(cinegraph_graphql_rejected_total[$__rate_interval]))", "{{reason}}"),
    ),
    panel(
        "Complexity and depth p95",
        "short",
        "How close operations come to the limits. A rise explains longer durations: clients send larger queries.",
        (quantile(0.95, "cinegraph_graphql_complexity"), "complexity"),
        (quantile(0.95, "cinegraph_graphql_depth"), "depth"),
    ),
    panel(
        "Batch size p50",
        "short",
        "Keys per lookup. 1 while clients request pages means that batching fails, and statements multiply.",
        (quantile(0.5, "cinegraph_dataloader_batch_size", "loader"), "{{loader}}"),
    ),
]

PANELS = {
    "cinegraph-overview": OVERVIEW,
    "cinegraph-cache": CACHE,
    "cinegraph-database-jobs": DATABASE,
    "cinegraph-graphql": GRAPHQL,
}


def placed(panels):
    """The panels in reading order, in rows of 24 columns."""
    x = y = height = 0
    for number, item in enumerate(panels, 1):
        place = item["gridPos"]
        if x + place["w"] > 24:
            x, y, height = 0, y + height, 0
        yield item | {"id": number, "gridPos": {"x": x, "y": y, **place}}
        x, height = x + place["w"], max(height, place["h"])


def choice(name, label, query):
    """A variable with the values of a label."""
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE,
        "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
    }


def dashboard(uid):
    """One dashboard in Grafana's format."""
    others = [
        {"type": "link", "title": title, "url": f"/d/{other}", "icon": "dashboard", "keepTime": True, "includeVars": True}
        for other, title in TITLES.items()
        if other != uid
    ]
    runbooks = {"type": "link", "title": "Runbooks", "url": RUNBOOKS, "icon": "doc", "targetBlank": True}
    starts = {
        "name": "Starts", "enable": True, "iconColor": "blue", "datasource": DATASOURCE,
        "expr": selected("changes(process_start_time_seconds[1m]) > 0"),
        "titleFormat": "Start", "textFormat": "{{instance}}", "step": "60s",
    }
    return {
        "uid": uid,
        "title": TITLES[uid],
        "tags": ["cinegraph"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [*others, runbooks],
        "annotations": {"list": [starts]},
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Metrics", "query": "prometheus"},
                choice("job", "Job", "label_values(cinegraph_build_info, job)"),
                choice("instance", "Instance", 'label_values(cinegraph_build_info{job=~"$job"}, instance)'),
                {"type": "datasource", "name": "traces", "label": "Traces", "query": "tempo"},
            ]
        },
        "panels": list(placed(PANELS[uid])),
    }


def expressions():
    """All expressions of the panels."""
    return [target["expr"] for panels in PANELS.values() for item in panels for target in item["targets"]]


def all_panels():
    """The panels of all dashboards."""
    return [item for panels in PANELS.values() for item in panels]
