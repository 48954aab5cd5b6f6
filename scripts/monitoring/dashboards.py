"""The dashboards for Grafana: what each panel asks, and what to do when it looks wrong."""

from .panels import (
    CACHES,
    DATASOURCE,
    FAILED,
    OPERATIONS,
    REQUESTS,
    STATEMENTS,
    TASKS,
    logs,
    panel,
    placed,
    quantile,
    row,
    selected,
    shown,
    traces,
)

TITLES = {
    "cinegraph-overview": "Cinegraph: overview",
    "cinegraph-cache": "Cinegraph: caches",
    "cinegraph-database-jobs": "Cinegraph: database and tasks",
    "cinegraph-graphql": "Cinegraph: GraphQL",
}


def fields_table():
    """The table of root fields: one row each, three values."""
    names = {"field": "Field", "Value #A": "Rate", "Value #B": "p95", "Value #C": "Errors"}
    return panel(
        "Fields: rate, p95, errors",
        "reqps",
        "CinegraphQueryTimeRise",
        "One row per root field: sort by p95 to find the slow one, by errors to find the failing one, then search its "
        "traces.",
        ("sum by (field) (rate(cinegraph_graphql_field_requests_total[$__rate_interval]))", "{{field}}"),
        ("cinegraph:field_duration_seconds:p95_rate5m", "{{field}}"),
        ('sum by (field) (rate(cinegraph_graphql_field_requests_total{outcome="error"}[$__rate_interval]))', "{{field}}"),
        kind="table",
        width=16,
        empty="no field, or no p95 of a field, in five minutes",
        links=[
            traces('span.graphql.field.schema_coordinate=~".+[.]${__data.fields.Field}" && duration>100ms'),
            logs('root_fields=~".*${__data.fields.Field}.*"'),
        ],
        overrides=[{"matcher": {"id": "byName", "options": "p95"}, "properties": [{"id": "unit", "value": "s"}]}],
        transformations=[
            {"id": "joinByField", "options": {"byField": "field", "mode": "outer"}},
            {"id": "filterFieldsByName", "options": {"include": {"names": list(names)}}},
            {"id": "organize", "options": {"renameByName": names}},
        ],
    )


# Every instance reports the same.
MODELS = "max by (list, ranking)"

BAD = 'sum(increase(cinegraph_slo_requests_total{result="bad"}[30d]))'
COUNTED = 'sum(increase(cinegraph_slo_requests_total{result=~"good|bad"}[30d]))'
GRAPHQL_SECONDS = 'http_server_request_duration_seconds{http_route="/graphql"}'

HIT_RATIO = panel(
    "Hit ratio of requests",
    "percentunit",
    "CinegraphHitRatioLow",
    "Objective: 90 % of predictions requests under a profile's weights are served from a cache. Below the line: the cache "
    "dashboard shows which cache misses; low just after a start is normal.",
    ("cinegraph:cached_requests:ratio_rate5m", "{{job}}"),
    line=0.9, low=True, near_one=0.9, links=REQUESTS,
    empty="no such request in five minutes",
)

OVERVIEW = [
    row("Do we keep our promises?"),
    panel(
        "Availability, 30 days",
        "percentunit",
        "CinegraphErrorBudgetBurnSlow",
        "Objective: 99.9 % of counted requests succeed. Below it: stop releases, and look at errors by code in the "
        "GraphQL dashboard. Needs 30 days of data in Prometheus.",
        (
            f"1 - {BAD.replace('sum(', 'sum by (surface) (')} / {COUNTED.replace('sum(', 'sum by (surface) (')}",
            "{{surface}}",
        ),
        kind="stat", line=0.999, low=True, empty="no request of that surface has been counted",
    ),
    panel(
        "Error budget left",
        "percentunit",
        "CinegraphErrorBudgetBurnSlow",
        "Share of the allowed failures of 30 days that is left. Below 0: release only fixes.",
        (f"1 - ({BAD} / {COUNTED}) / 0.001", "budget left"),
        kind="stat", line=0, low=True, empty="no request has been counted",
    ),
    panel(
        "Build",
        "none",
        "CinegraphRestarting",
        "Version of each instance. Two versions for longer than a deploy takes: one instance was not updated.",
        ("cinegraph_build_info", "{{instance}} {{version}} {{revision}}"),
        kind="stat", text="name",
    ),
    panel(
        "Burn rate",
        "none",
        "CinegraphErrorBudgetBurnFast",
        "1 spends the error budget in exactly 30 days; over 14.4, two days suffice, and an alert pages. Find the "
        "failing error code in the GraphQL dashboard, then what changed when it began.",
        ("cinegraph:availability_errors:ratio_rate1h / 0.001", "1 h {{job}} {{surface}}"),
        ("cinegraph:availability_errors:ratio_rate6h / 0.001", "6 h {{job}} {{surface}}"),
        line=14.4, empty="no request of that surface in that time",
    ),
    panel(
        "Cached predictions under 50 ms",
        "percentunit",
        "CinegraphCachedLatencyBurnFast",
        "Objective: 99 %. Below the line: look at Runtime busy and CPU here, then at the time in layer l2 in the cache "
        "dashboard.",
        ("1 - cinegraph:cached_latency_slow:ratio_rate1h", "{{job}}"),
        line=0.99, low=True, near_one=0.9, empty="no cached prediction in an hour",
    ),
    HIT_RATIO,
    row("What do clients see?"),
    panel(
        "Requests by outcome",
        "reqps",
        "CinegraphErrorBudgetBurnFast",
        "Traffic and errors. bad: errors of the service; split them by code in the GraphQL dashboard. excluded: client "
        "errors; a jump means a broken or hostile client. All at zero: no requests arrive.",
        ("sum by (result) (rate(cinegraph_slo_requests_total[$__rate_interval]))", "{{result}}"),
        links=FAILED,
    ),
    panel(
        "HTTP by status",
        "reqps",
        "CinegraphErrorBudgetBurnFast",
        "503: the database is unavailable, or load shedding. 504 or 408: too slow. 429 or 413: a client over its "
        "limits. 499: clients that disconnected.",
        (
            "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count[$__rate_interval]))",
            "{{http_response_status_code}}",
        ),
        links=FAILED,
        many=True,
    ),
    panel(
        "Latency p50 p95 p99",
        "s",
        "CinegraphQueryTimeRise",
        "Duration of /graphql. All three up: saturation or the database. Only p99: a few expensive operations, "
        "found in the GraphQL dashboard or by a trace search.",
        (quantile(0.5, GRAPHQL_SECONDS), "p50"),
        (quantile(0.95, GRAPHQL_SECONDS), "p95"),
        (quantile(0.99, GRAPHQL_SECONDS), "p99"),
        links=REQUESTS,
    ),
    panel(
        "In flight",
        "short",
        "CinegraphDbPoolSaturated",
        "Concurrent requests. Rising while traffic does not: they wait for something, most often the connection pool.",
        ("sum by (instance) (http_server_active_requests)", "{{instance}}"),
    ),
    panel(
        "Page p95",
        "s",
        "CinegraphPageSlow",
        "Page timings measured by browsers. ttfb high: the service is slow. first_list high with a low ttfb: the "
        "network or the browser. Above the line for 15 minutes an alert creates a ticket.",
        (quantile(0.95, "cinegraph_page_duration_seconds", "phase"), "{{phase}}"),
        line=0.5, links=REQUESTS, empty="nobody has opened the page",
    ),
    row("Is there enough of the machine?"),
    panel(
        "CPU",
        "short",
        "CinegraphRuntimeStarved",
        "Cores in use. At the number of cores of the machine everything is slow: add an instance, or find the "
        "expensive operation by its complexity.",
        ("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),
    ),
    panel(
        "Runtime busy",
        "percentunit",
        "CinegraphRuntimeStarved",
        "Saturation of the worker threads. Near 1 with idle CPU: something blocks a worker; look for a deploy.",
        ("rate(tokio_worker_busy_seconds_total[$__rate_interval]) / tokio_workers", "{{instance}}"),
        line=0.9,
    ),
    panel(
        "Schedule delay p99",
        "s",
        "CinegraphRuntimeStarved",
        "How late timers fire. Above the line the process gets too little CPU time, and all its latencies are measured "
        "too low: look at the machine and its CPU limit.",
        (quantile(0.99, "tokio_schedule_delay_seconds", "instance"), "{{instance}}"),
        line=0.05,
    ),
    panel(
        "Memory",
        "bytes",
        "CinegraphMemoryNearLimit",
        "Memory against the limit (0: no limit). Resident up and allocated not: the allocator retains pages. Allocated "
        "up: compare with Estimated bytes in the cache dashboard; if those are flat, it is a leak.",
        ("process_resident_memory_bytes", "resident {{instance}}"),
        ("cinegraph_allocator_bytes", "{{state}} {{instance}}"),
        ("cinegraph_memory_limit_bytes", "limit {{instance}}"),
        many=True,
    ),
    row("Do we see everything?"),
    panel(
        "Telemetry dropped",
        "ops",
        "CinegraphTelemetryDropped",
        "Spans, metrics and log lines that were not delivered: look at the collector. rate_limited: repeated log lines, left "
        "out on purpose.",
        (
            "sum by (signal, reason) (rate(cinegraph_telemetry_dropped_total[$__rate_interval]))",
            "{{signal}} {{reason}}",
        ),
        width=12,
    ),
    panel(
        "Firing alerts",
        "none",
        "CinegraphErrorBudgetBurnFast",
        "The alerts of this job, as Prometheus sees them, silenced ones too. The runbook of each has its name.",
        ('max by (alertname, severity) (ALERTS{alertname=~"Cinegraph.+",alertstate="firing",job=~"$job"})', "{{alertname}}"),
        kind="state-timeline", width=12, mappings=shown("red"), empty="no alert fires",
    ),
]

CACHE = [
    row("Do the caches hit?"),
    HIT_RATIO,
    panel(
        "Hit ratio by cache",
        "percentunit",
        "CinegraphHitRatioLow",
        "Below the line: look at evictions (too small), at writes (not warmed) and at misses (keys or versions "
        "changed). responses may be low: other caches are behind it.",
        ("cinegraph:cache_hits:ratio_rate5m", "{{cache}}"),
        line=0.9, low=True, near_one=0.9, links=CACHES, empty="no request has asked that cache in five minutes",
    ),
    panel(
        "Lookups by result",
        "ops",
        "CinegraphStaleServing",
        "Hits, stale hits, misses. Many stale: refreshes fail or are slow.",
        (
            "sum by (result, selection) (rate(cinegraph_cache_lookups_total[$__rate_interval]))",
            "{{result}} {{selection}}",
        ),
    ),
    panel(
        "Misses, now and usual",
        "ops",
        "CinegraphCacheMissSpike",
        "Miss-spike alert: three times the usual rate, and over one a second. Requests with custom weights do not count. A mass invalidation, a deploy, a Redis outage or a crawler.",
        ("sum by (cache) (cinegraph:cache_misses:rate2m)", "{{cache}}"),
        ("sum by (cache) (avg_over_time(cinegraph:cache_misses:rate5m[6h]))", "{{cache}} usual"),
        links=CACHES,
        many=True,
    ),
    row("Does Redis help?"),
    panel(
        "Layers",
        "ops",
        "CinegraphCacheL2Down",
        "Benefit of L2: an l2 hit is a load that another instance has done. l2 errors and timeouts, which count as "
        "misses: Redis fails or is slow. l2 is 0 without Redis.",
        (
            "sum by (layer, result) (rate(cinegraph_cache_layer_requests_total[$__rate_interval]))",
            "{{layer}} {{result}}",
        ),
    ),
    panel(
        "Time in layer p99",
        "s",
        "CinegraphCacheL2Down",
        "l2: Redis calls end at redis_timeout_seconds. l1 above a millisecond: the process lacks CPU time.",
        (quantile(0.99, "cinegraph_cache_operation_duration_seconds", "layer", "op"), "{{layer}} {{op}}"),
        line=0.05, empty="no such operation, as of l2 without Redis",
    ),
    panel(
        "Redis responds",
        "none",
        "CinegraphCacheL2Down",
        "Each instance pings Redis every five seconds. no: it uses only its own memory and the database; look at Redis.",
        # 2 if it is not configured.
        ("cinegraph_cache_l2_up + 2 * (1 - cinegraph_cache_l2_enabled)", "{{instance}}"),
        kind="state-timeline", mappings=shown("green", "red", absent="not configured"),
    ),
    row("What does a miss cost?"),
    panel(
        "Load time p95",
        "s",
        "CinegraphDbQuerySlow",
        "Cost of a miss. columns is the most expensive: it reads a decade from the database. Rising: look at its "
        "statement in the database dashboard.",
        (quantile(0.95, "cinegraph_cache_load_duration_seconds", "cache"), "{{cache}}"),
        links=CACHES,
    ),
    panel(
        "Single flight",
        "ops",
        "CinegraphCacheMissSpike",
        "Followers wait for the load of a leader instead of starting their own. Many leaders at once: many keys missed "
        "together.",
        ("sum by (role) (rate(cinegraph_cache_single_flight_total[$__rate_interval]))", "{{role}}"),
    ),
    panel(
        "Revalidations",
        "ops",
        "CinegraphRevalidationFailing",
        "Background refreshes. error: the database fails; users get stale responses until the stale window ends.",
        (
            "sum by (cache, outcome) (rate(cinegraph_cache_revalidations_total[$__rate_interval]))",
            "{{cache}} {{outcome}}",
        ),
        links=CACHES,
        many=True,
    ),
    row("Are the caches large enough?"),
    panel(
        "Fill",
        "percentunit",
        "CinegraphCacheEvictionPressure",
        "Entries of the limit of entries. At 1 each write evicts one. Full with a good hit ratio is fine. Fill in bytes "
        "beside it is the other limit.",
        ("cinegraph_cache_entries / cinegraph_cache_capacity_entries", "{{cache}} {{instance}}"),
        many=True, empty="the cache has no limit, as when it is off",
    ),
    panel(
        "Fill in bytes",
        "percentunit",
        "CinegraphCacheEvictionPressure",
        "Bytes of the limit of bytes. Near 1 each write evicts an entry, however few there are: with evictions and misses, "
        "raise cache_answers_bytes or cache_columns_bytes.",
        ("cinegraph_cache_estimated_bytes / cinegraph_cache_capacity_bytes", "{{cache}} {{instance}}"),
        many=True, empty="the cache has no limit, as when it is off",
    ),
    panel(
        "Evictions",
        "ops",
        "CinegraphCacheEvictionPressure",
        "capacity: the cache is too small. invalidated: data or profiles changed. expired: normal.",
        ("sum by (cache, reason) (rate(cinegraph_cache_evictions_total[$__rate_interval]))", "{{cache}} {{reason}}"),
        many=True,
    ),
    panel(
        "Writes",
        "ops",
        "CinegraphCacheEvictionPressure",
        "Cache writes by reason. warm every ten minutes is the task cache_warm; without it, the first request of each "
        "key is a miss.",
        ("sum by (cache, reason) (rate(cinegraph_cache_writes_total[$__rate_interval]))", "{{cache}} {{reason}}"),
        many=True,
    ),
    panel(
        "Age when served p95",
        "s",
        "CinegraphStaleServing",
        "Age of entries when served. Near twice the cache's TTL: refreshes fail, and the stale window is about to end.",
        (quantile(0.95, "cinegraph_cache_value_age_seconds", "cache"), "{{cache}}"),
    ),
    panel(
        "Estimated bytes",
        "bytes",
        "CinegraphMemoryGrowth",
        "Size of each cache. If Memory in the overview grows and these do not, the cause is elsewhere.",
        ("cinegraph_cache_estimated_bytes", "{{cache}} {{instance}}"),
        many=True,
    ),
    row("Do streams stay open?"),
    panel(
        "Open subscriptions",
        "short",
        "CinegraphRestarting",
        "Open subscriptions. A drop to 0: a deploy, or the proxy closes WebSockets.",
        ("sum by (field) (cinegraph_subscriptions_active)", "{{field}}"),
    ),
    panel(
        "Subscriptions ended by the service",
        "ops",
        "CinegraphRestarting",
        "By reason. slow: clients read too slowly. limit: one client opens too many. shutdown: a deploy.",
        ("sum by (reason) (rate(cinegraph_subscriptions_dropped_total[$__rate_interval]))", "{{reason}}"),
    ),
    row("What is bypassed?"),
    panel(
        "Breakers",
        "none",
        "CinegraphCircuitBreakerOpen",
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
        "CinegraphFallbackShedding",
        "Direct queries while the breaker is open. shed or error: those requests failed.",
        ("sum by (outcome) (rate(cinegraph_fallback_requests_total[$__rate_interval]))", "{{outcome}}"),
        width=12,
    ),
]

DATABASE = [
    row("Which statement is slow?"),
    panel(
        "Statements p95",
        "s",
        "CinegraphDbQuerySlow",
        "By the statement's name in the code. Above the line for ten minutes an alert creates a ticket: look at locks, "
        "then at the query plan. Names that begin with task_ may be slow.",
        ("cinegraph:db_operation_duration_seconds:p95_rate5m", "{{query_name}}"),
        line=0.1, links=STATEMENTS,
        many=True, empty="that statement has not run in five minutes",
    ),
    panel(
        "Statement rate",
        "ops",
        "CinegraphDbPoolSaturated",
        "How often each statement runs. A jump without more requests: a cache misses, or batching is broken.",
        ("sum by (query_name) (rate(db_client_operation_duration_seconds_count[$__rate_interval]))", "{{query_name}}"),
        links=STATEMENTS,
        many=True,
    ),
    panel(
        "Time share of statements",
        "short",
        "CinegraphDbQuerySlow",
        "Database load: seconds of execution per second. Optimise the highest line first.",
        ("sum by (query_name) (rate(db_client_operation_duration_seconds_sum[$__rate_interval]))", "{{query_name}}"),
        links=STATEMENTS,
        many=True,
    ),
    panel(
        "Rows p95",
        "short",
        "CinegraphDbQuerySlow",
        "Rows returned. A statement of a request that returns thousands of rows lacks a limit.",
        (quantile(0.95, "db_client_response_returned_rows", "query_name"), "{{query_name}}"),
        links=STATEMENTS,
        many=True,
    ),
    row("Does the database respond?"),
    panel(
        "Database responds",
        "none",
        "CinegraphDatabaseDown",
        "Each instance pings the database every second, and the replica if there is one. no: nothing but cached results is served; look at PostgreSQL, then "
        "at the log of the instance, which has the reason.",
        # Without a replica its pool has no connections, and cinegraph_db_up is 0.
        ("cinegraph_db_up and on (job, instance, pool) (db_client_connection_max > 0)", "{{pool}} {{instance}}"),
        kind="state-timeline", mappings=shown("green", "red"),
    ),
    panel(
        "Statement errors",
        "ops",
        "CinegraphDbErrors",
        "connection: the database is unavailable. timeout: too slow or locked. serialization: conflicting tasks. "
        "constraint: a client's conflict, harmless.",
        ("sum by (error_type) (rate(cinegraph_db_errors_total[$__rate_interval]))", "{{error_type}}"),
        links=[traces('span.db.system.name="postgresql" && status=error'), logs('level=~"WARN|ERROR"')],
    ),
    panel(
        "Pool",
        "short",
        "CinegraphDbPoolSaturated",
        "used at the limit and pending above 0: requests wait. Look at slow statements first, then at "
        "database_max_connections.",
        ("sum by (state) (db_client_connections)", "{{state}}"),
        ("sum(db_client_connection_max)", "limit"),
        ("sum(db_client_connection_pending_requests)", "pending"),
    ),
    panel(
        "Pool use by instance",
        "percentunit",
        "CinegraphDbPoolSaturated",
        "Connections in use of the limit of each instance. The sums beside it hide one full pool among idle ones.",
        ("cinegraph:db_pool_used:ratio", "{{instance}}"),
        line=0.9, empty="no instance has a pool, or the recording rules are not loaded",
    ),
    panel(
        "Pool exhausted",
        "none",
        "CinegraphDbPoolExhausted",
        "yes: no statement of this instance gets a connection although the database responds. Restart it unless its "
        "sessions wait for a lock.",
        ("cinegraph_db_pool_exhausted", "{{instance}}"),
        kind="state-timeline", mappings=shown("red"),
    ),
    panel(
        "Wait for a connection p99",
        "s",
        "CinegraphDbPoolSaturated",
        "High: slow statements or a small pool. Requests fail after database_acquire_timeout_seconds (default 2).",
        (quantile(0.99, "db_client_connection_wait_time_seconds"), "p99"),
        line=0.1,
    ),
    panel(
        "Connection timeouts",
        "ops",
        "CinegraphDbPoolTimeouts",
        "Each timeout is a failed request. Above 0: find out what holds the connections. Abandoned: closed because the "
        "server did not respond, as when the network loses connections.",
        ("rate(db_client_connection_timeouts_total[$__rate_interval])", "{{pool}} {{instance}}"),
        ("rate(cinegraph_db_connections_abandoned_total[$__rate_interval])", "abandoned {{instance}}"),
    ),
    row("Do the background tasks run?"),
    panel(
        "Time since success, in intervals",
        "none",
        "CinegraphTaskStale",
        "The task-stale alert: above the line a task has not succeeded for three times its interval. Check whether it "
        "fails (runs) or hangs (running). At 0: no instance runs it (all were started with --no-jobs).",
        (
            "(time() - max by (task) (cinegraph_task_last_success_timestamp_seconds)) / min by (task) "
            "(cinegraph_task_interval_seconds > 0)",
            "{{task}}",
        ),
        line=3, links=TASKS, empty="no instance has reported an interval",
    ),
    panel(
        "Runs in an hour",
        "short",
        "CinegraphTaskFailing",
        "error: read the last error with cinegraph jobs list, of score_drain and cache_warm in the log. skipped: another "
        "instance ran it, which is fine.",
        ("sum by (task, outcome) (increase(cinegraph_task_runs_total[1h]))", "{{task}} {{outcome}}"),
        links=TASKS,
        many=True,
    ),
    panel(
        "Items worked on",
        "ops",
        "CinegraphScoreQueueOld",
        "Rows or keys per second. A task that runs without items has nothing to do, or does not detect its work.",
        ("sum by (task, outcome) (rate(cinegraph_task_items_total[$__rate_interval]))", "{{task}} {{outcome}}"),
        links=TASKS,
        many=True,
    ),
    panel(
        "Run time p95",
        "s",
        "CinegraphTaskStale",
        "A task whose runs take longer than its period runs all the time. Rising with the catalogue is normal.",
        ("histogram_quantile(0.95, sum by (le, task) (rate(cinegraph_task_duration_seconds_bucket[1h])))", "{{task}}"),
        links=TASKS,
        many=True, empty="that task has not run in an hour",
    ),
    panel(
        "Running",
        "none",
        "CinegraphTaskStale",
        "1 while a task runs. At 1 for hours: it hangs; look at locks.",
        ("cinegraph_task_running", "{{task}} {{instance}}"),
        links=TASKS,
        many=True,
    ),
    row("How old are scores and validation?"),
    panel(
        "Age of queue and snapshot",
        "s",
        "CinegraphScoreQueueOld",
        "Freshness of scores and validation, which every instance reads from the database. The queue should be near 0: "
        "above two minutes the drain is stuck, or no instance runs it. The snapshot is refreshed every hour.",
        ("cinegraph_score_queue_oldest_age_seconds", "queue {{instance}}"),
        ("cinegraph_snapshot_age_seconds", "snapshot {{instance}}"),
    ),
    panel(
        "Scores corrected by the last check",
        "short",
        "CinegraphScoreQueueOld",
        "0 if every change was queued. More: writes that bypass the triggers, or a missing trigger; cinegraph migrate "
        "reports missing ones.",
        ("cinegraph_score_reconcile_differences", "{{instance}}"),
    ),
    row("How good are the learned rankings?"),
    panel(
        "Age of learned rankings",
        "s",
        "CinegraphModelOld",
        "Age of what is served: trained every night, so above a day a training failed or was refused. 0: none is served, and "
        "the formula ranks.",
        (f"{MODELS} (cinegraph_model_age_seconds)", "{{list}} {{ranking}}"),
        line=3 * 86_400, links=TASKS,
        many=True,
    ),
    panel(
        "Refusals in a row",
        "short",
        "CinegraphModelRefused",
        "Refused trainings since the last accepted one, and whether a version is served (1). Refused and not served: the list "
        "is not learnable, which is no fault. cinegraph model show has the reason.",
        (f"{MODELS} (cinegraph_model_refusals)", "refusals {{list}} {{ranking}}"),
        (f"{MODELS} (cinegraph_model_served)", "served {{list}} {{ranking}}"),
        line=3, links=TASKS,
        many=True,
    ),
    panel(
        "Recall of the last training",
        "percentunit",
        "CinegraphModelRefused",
        "Share of listed movies found in decades that the model had not seen. A fall: data was lost, or the list changed "
        "its nature.",
        (f"{MODELS} (cinegraph_model_recall_ratio)", "{{list}} {{ranking}}"),
        links=TASKS,
        many=True,
    ),
    panel(
        "Errors of probabilities",
        "none",
        "CinegraphModelRefused",
        "ECE: how far probabilities are off on average; above the line a training is refused. Log loss: lower is better; it "
        "depends on the share of listed movies, so compare it with itself only.",
        (f"{MODELS} (cinegraph_model_ece_ratio)", "ECE {{list}} {{ranking}}"),
        (f"{MODELS} (cinegraph_model_log_loss)", "log loss {{list}} {{ranking}}"),
        line=0.03, links=TASKS,
        many=True,
    ),
    panel(
        "Leak check",
        "none",
        "CinegraphModelRefused",
        "How well missing values, their age or votes alone tell listed movies from others: 0.5 not at all. Above the line a "
        "training is refused: an import fetched listed movies more carefully than others.",
        (f"{MODELS} (cinegraph_model_leak_auc_ratio)", "{{list}} {{ranking}}"),
        line=0.65, links=TASKS,
        many=True,
    ),
    panel(
        "Training time",
        "s",
        "CinegraphModelOld",
        "Duration of the last training of each ranking. Rising with the catalogue is normal; otherwise the machine is busy: "
        "trainings have low priority.",
        (f"{MODELS} (cinegraph_model_training_seconds)", "{{list}} {{ranking}}"),
        links=TASKS,
        many=True,
    ),
    row("Which database do we read?"),
    panel(
        "Replica lag",
        "s",
        "CinegraphOptionalBreakerOpen",
        "Above replica_max_lag_seconds reads use the primary. 0 without a replica.",
        ("cinegraph_replica_lag_seconds", "{{instance}}"),
    ),
    panel(
        "Database identity changes",
        "short",
        "CinegraphDatabaseDown",
        "Failovers, restores, detach and attach: each empties the caches of the instance.",
        ("increase(cinegraph_database_identity_changes_total[$__rate_interval])", "{{instance}}"),
    ),
]

GRAPHQL = [
    row("What is executed, and does it succeed?"),
    panel(
        "Operations by outcome",
        "reqps",
        "CinegraphErrorBudgetBurnFast",
        "error and partial: errors of the service. rejected: client errors. cancelled: the client disconnected, often "
        "because of slow responses.",
        (
            "sum by (graphql_operation_type, outcome) (rate(graphql_server_request_duration_seconds_count[$__rate_interval]))",
            "{{graphql_operation_type}} {{outcome}}",
        ),
        links=OPERATIONS,
        many=True,
    ),
    panel(
        "Active operations",
        "short",
        "CinegraphDbPoolSaturated",
        "Concurrent operations. Rising while the rate does not: they wait for something.",
        ("sum by (graphql_operation_type) (graphql_server_request_active)", "{{graphql_operation_type}}"),
    ),
    row("Where is the time spent?"),
    panel(
        "Operation p95",
        "s",
        "CinegraphQueryTimeRise",
        "Query-time alert: fires at twice yesterday's p95 and above the line. The table of fields shows which one.",
        ("cinegraph:graphql_request_duration_seconds:p95_rate5m", "{{job}}"),
        line=0.1, links=OPERATIONS, empty="no operation in five minutes",
    ),
    panel(
        "Phases p95",
        "s",
        "CinegraphQueryTimeRise",
        "parse or validate above a millisecond: huge documents; the log shows their operations.",
        (
            quantile(0.95, "graphql_server_processing_duration_seconds", "graphql_processing_type"),
            "{{graphql_processing_type}}",
        ),
        links=OPERATIONS,
    ),
    fields_table(),
    row("What do the caches save?"),
    panel(
        "Predictions by source",
        "reqps",
        "CinegraphHitRatioLow",
        "memory: computed from columns in memory. database rising: see the cache dashboard. fallback: a breaker is open. "
        "custom: weights of the client's own, which no cache can know.",
        (
            "sum by (source, selection) (rate(cinegraph_prediction_duration_seconds_count[$__rate_interval]))",
            "{{source}} {{selection}}",
        ),
        many=True, links=REQUESTS,
    ),
    panel(
        "Predictions p99 by source",
        "s",
        "CinegraphCachedLatencyBurnFast",
        "Duration by source. cache_fresh above 50 ms violates the objective of cached predictions.",
        (quantile(0.99, "cinegraph_prediction_duration_seconds", "source"), "{{source}}"),
        line=0.05, many=True,
        links=[
            traces('span.graphql.field.schema_coordinate=~"Query[.]prediction.*" && duration>50ms'),
            logs('root_fields=~".*prediction.*" | duration_ms > 50'),
        ],
    ),
    panel(
        "Latency heat map",
        "s",
        "CinegraphQueryTimeRise",
        "Two bands: cached and not cached. The slower one growing: more misses. A third one above a second: the direct "
        "query, or locks.",
        ("sum by (le) (increase(graphql_server_request_duration_seconds_bucket[$__rate_interval]))", "{{le}}"),
        kind="heatmap",
    ),
    row("Which errors and refusals?"),
    panel(
        "Errors by code",
        "ops",
        "CinegraphErrorBudgetBurnFast",
        "INTERNAL, TIMEOUT, SERVICE_UNAVAILABLE: errors of the service; search the failed traces. Others: client errors.",
        ("sum by (code) (rate(cinegraph_graphql_errors_total[$__rate_interval]))", "{{code}}"),
        links=FAILED,
        many=True,
    ),
    panel(
        "Rejections",
        "ops",
        "CinegraphErrorBudgetBurnSlow",
        "Operations rejected before execution. complexity or depth after a client's release: its query is too large; "
        "contact its developers, or raise query_complexity_limit.",
        ("sum by (reason) (rate(cinegraph_graphql_rejected_total[$__rate_interval]))", "{{reason}}"),
    ),
    panel(
        "Rejected admin tokens",
        "ops",
        "CinegraphInvalidAdminTokens",
        "invalid: a client with an outdated token, or somebody guesses; the log has the addresses. rate_limit: not "
        "checked, since that client had sent too many invalid ones.",
        ("sum by (reason) (rate(cinegraph_admin_tokens_rejected_total[$__rate_interval]))", "{{reason}}"),
        links=[logs('level="WARN"')],
    ),
    row("How large are the operations?"),
    panel(
        "Complexity and depth p95",
        "short",
        "CinegraphCachedLatencyBurnSlow",
        "How close operations come to the limits. A rise explains longer durations: clients send larger queries.",
        (quantile(0.95, "cinegraph_graphql_complexity"), "complexity"),
        (quantile(0.95, "cinegraph_graphql_depth"), "depth"),
    ),
    panel(
        "Batch size p50",
        "short",
        "CinegraphDbQuerySlow",
        "Keys per lookup. 1 while clients request pages means that batching fails, and statements multiply.",
        (quantile(0.5, "cinegraph_dataloader_batch_size", "loader"), "{{loader}}"),
        many=True,
    ),
]

PANELS = {
    "cinegraph-overview": OVERVIEW,
    "cinegraph-cache": CACHE,
    "cinegraph-database-jobs": DATABASE,
    "cinegraph-graphql": GRAPHQL,
}


def choice(name, label, query):
    """A variable with the values of a label."""
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE,
        "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
    }


def annotation(name, colour, expression, title, text=""):
    """Vertical lines where the expression has values."""
    return {
        "name": name, "enable": True, "iconColor": colour, "datasource": DATASOURCE, "expr": selected(expression),
        "titleFormat": title, "textFormat": text, "step": "60s",
    }


BUILDS = "sum by (job, version, revision) (cinegraph_build_info{})"
ANNOTATIONS = [
    # A process has started if its start time has changed, or is recent, as that of an instance with a new label.
    annotation(
        "Starts", "blue",
        "changes(process_start_time_seconds[1m]) > 0 or time() - process_start_time_seconds < 90",
        "Start", "{{instance}}",
    ),
    annotation(
        "Versions", "green", f"{BUILDS.format('')} unless {BUILDS.format(' offset 2m')}",
        "New version", "{{version}} {{revision}}",
    ),
    annotation(
        "Invalidations", "purple",
        'sum by (job, cache) (increase(cinegraph_cache_evictions_total{reason="invalidated"}[1m])) > 10 '
        'or sum by (job, field) (increase(cinegraph_graphql_field_requests_total{field="invalidateCache"}[1m])) > 0',
        "Invalidation", "{{cache}}{{field}}",
    ),
    annotation(
        "Breakers", "orange", "increase(cinegraph_circuit_breaker_transitions_total[1m]) > 0",
        "Breaker {{breaker}}: {{to}}", "{{instance}}",
    ),
    annotation(
        "Alerts", "red", 'ALERTS{alertname=~"Cinegraph.+",alertstate="firing",job=~"$job"}',
        "{{alertname}}", "{{severity}} {{instance}}",
    ),
]


def dashboard(uid, variables):
    """One dashboard, as Grafana reads it."""
    others = [
        {"type": "link", "title": title, "url": f"/d/{other}", "icon": "dashboard", "includeVars": True, "keepTime": True}
        for other, title in TITLES.items()
        if other != uid
    ]
    runbooks = {"type": "link", "title": "Runbooks", "url": "${runbooks}", "icon": "doc", "targetBlank": True}
    address = {"text": variables.published_runbooks, "value": variables.published_runbooks}
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
        "annotations": {"list": ANNOTATIONS},
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Metrics", "query": "prometheus"},
                choice("job", "Job", "label_values(cinegraph_build_info, job)"),
                choice("instance", "Instance", 'label_values(cinegraph_build_info{job=~"$job"}, instance)'),
                {"type": "datasource", "name": "traces", "label": "Traces", "query": "tempo"},
                {"type": "datasource", "name": "logs", "label": "Logs", "query": "loki"},
                # A text field, so that the links work with dashboards that were generated without an address, too.
                {
                    "type": "textbox", "name": "runbooks", "label": "URL of the runbooks",
                    "query": variables.published_runbooks, "current": address, "options": [address | {"selected": True}],
                },
            ]
        },
        "panels": list(placed(PANELS[uid])),
    }


def all_panels():
    """The panels of all dashboards, without rows."""
    return [item for panels in PANELS.values() for item in panels if item["type"] != "row"]


def expressions():
    """All expressions of panels and annotations."""
    return [target["expr"] for item in all_panels() for target in item["targets"]] + [each["expr"] for each in ANNOTATIONS]
