"""Building blocks of dashboards: panels, rows, links, expressions.

Expressions omit the selectors of job and instance; `selected` adds them to each series.
"""

import json
import re
from urllib.parse import quote

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


def explore(title, datasource, query):
    """A data link that opens Explore over the panel's time range."""
    pane = {"datasource": datasource, "queries": [query], "range": {"from": "${__from}", "to": "${__to}"}}
    # Grafana replaces its variables before the browser reads the URL, so they must not be percent-encoded.
    panes = re.sub(r"%24%7B(.*?)%7D", r"${\1}", quote(json.dumps({"t": pane})))
    return {"title": title, "url": f"/explore?schemaVersion=1&panes={panes}", "targetBlank": True}


def traces(condition):
    """A data link that searches the traces."""
    search = f'{{resource.service.name="cinegraph" && {condition}}}'
    return explore("Search traces", "${traces}", {"refId": "A", "queryType": "traceql", "query": search})


def logs(condition=""):
    """A data link that searches the log lines; each has its `trace_id`, and `sampled` if that trace was exported."""
    search = '{service_name="cinegraph"} | json' + (f" | {condition}" if condition else "")
    return explore("Search logs", "${logs}", {"refId": "A", "expr": search})


FIELD = [
    traces('span.graphql.field.schema_coordinate=~".+[.]${__field.labels.field}" && duration>100ms'),
    logs('root_fields=~".*${__field.labels.field}.*" | duration_ms > 100'),
]
REQUESTS = [traces('span.http.route="/graphql" && duration>100ms'), logs('message="graphql operation" | duration_ms > 100')]
# A failed operation is HTTP 200: its status is that of the operation's span.
FAILED = [
    traces('span.graphql.operation.type=~".+" && status=error'),
    logs('message="graphql operation" | outcome=~"error|partial"'),
]
CACHES = [
    traces('span.cinegraph.cache.name="${__field.labels.cache}" && duration>50ms'),
    logs('message="graphql operation" | cache_misses > 0'),
]
STATEMENTS = [
    traces('span.cinegraph.db.query_name="${__field.labels.query_name}" && duration>100ms'),
    logs('query_name="${__field.labels.query_name}"'),
]
OPERATIONS = [
    traces('span.graphql.operation.type=~".+" && duration>100ms'),
    logs('message="graphql operation" | duration_ms > 100'),
]
TASKS = [traces('span.cinegraph.task.name="${__field.labels.task}"'), logs('task="${__field.labels.task}"')]
WARNINGS = [logs('level=~"WARN|ERROR"')]


def row(question):
    """A row: what its panels answer, as a question."""
    return {"type": "row", "title": question, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def panel(title, unit, runbook, why, *queries, kind="timeseries", line=None, low=False, width=8, **more):
    """One panel.

    `runbook`: the alert whose section helps; `queries`: pairs of expression and legend; `line`: threshold, red above it,
    or below if `low`; `links`: data links; `many`: the legend is a table beside the graph, for more than eight entries;
    `near_one`: a ratio whose interesting part begins at this value; `empty`: what it means if there is nothing to see, for
    panels that divide or take a quantile.
    """
    # A share or a quantile of nothing has no value, which is not a fault.
    if empty := more.pop("empty", "nothing was measured" if any("quantile" in each for each, _ in queries) else ""):
        why = f"{why} Empty: {empty}."
    instant = kind in ("stat", "table")
    colours = ("red", "green") if low else ("green", "red")
    steps = [{"color": "green" if line is None else colours[0], "value": None}]
    if line is not None:
        steps.append({"color": colours[1], "value": line})
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}, "mappings": more.pop("mappings", [])}
    defaults["links"] = more.pop("links", WARNINGS)
    many, near_one, axis = more.pop("many", False), more.pop("near_one", None), more.pop("axis", "")
    options = {}
    if kind == "timeseries":
        custom = {"fillOpacity": 10, "thresholdsStyle": {"mode": "off" if line is None else "line"}}
        custom["axisLabel"] = axis
        if near_one is None:
            defaults["min"] = 0
        else:
            # A soft limit: lower values move it.
            custom |= {"axisSoftMin": near_one, "fillOpacity": 0}
            defaults["max"] = 1
        defaults["custom"] = custom
        legend = {"displayMode": "list", "placement": "bottom", "calcs": []}
        if many:
            legend = {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]}
        options = {"legend": legend | {"showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "stat":
        defaults["decimals"] = 3
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": more.pop("text", "value")}
    elif kind == "heatmap":
        options = {"calculate": False, "yAxis": {"unit": unit}, "tooltip": {"mode": "single"}}
    result = {
        "type": kind,
        "title": title,
        # The link needs the address of the published runbooks, the file is always there.
        "description": f"{why}\n\nRunbook: {runbook} in docs/runbooks.md.",
        "datasource": DATASOURCE,
        "links": [runbook_link(runbook)],
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
                "exemplar": kind == "timeseries" and "_bucket" in expression,
            }
            for number, (expression, legend) in enumerate(queries)
        ],
        "gridPos": {"w": width, "h": 4 if kind == "stat" else 8},
    }
    return result | more


def runbook_link(alert):
    """The link of a panel to the section of an alert. The address of the runbooks is a variable of the dashboard."""
    return {"type": "link", "title": f"Runbook: {alert}", "url": f"${{runbooks}}#{alert.lower()}", "targetBlank": True}


def quantile(share, metric, *labels):
    """The expression of a quantile of a histogram, grouped by `labels`."""
    name, selector = re.fullmatch(r"(\w+)(\{.*\})?", metric).groups(default="")
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({share}, sum by ({by}) (rate({name}_bucket{selector}[$__rate_interval])))"


def shown(colour, otherwise="transparent", absent=None):
    """Value mappings of a state: 1 in this colour, 0 in the other, by default invisible, and 2 if it is `absent`."""
    states = {"0": {"text": "no", "color": otherwise}, "1": {"text": "yes", "color": colour}}
    if absent:
        states["2"] = {"text": absent, "color": "transparent"}
    return [{"type": "value", "options": states}]


def placed(panels):
    """The panels in reading order, in rows of 24 columns."""
    x = y = height = 0
    for number, item in enumerate(panels, 1):
        place = item["gridPos"]
        if x + place["w"] > 24:
            x, y, height = 0, y + height, 0
        yield item | {"id": number, "gridPos": {"x": x, "y": y, **place}}
        x, height = x + place["w"], max(height, place["h"])
