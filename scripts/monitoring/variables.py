"""What a site may want to change, in one place: rules, dashboards and mixin are generated from it.

`scripts/generate-monitoring.py --help` names the arguments that set some of them without an edit.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Thresholds:
    """Limits above or below which an alert fires."""

    # Service-level objectives, as the share that may fail.
    availability_budget: float = 0.001
    latency_budget: float = 0.01
    # Failures up to which no share of failures alerts, so that one failure at night wakes nobody. Of a burn rate, those
    # in its long window count.
    least_failures: int = 5
    hit_ratio: float = 0.9
    # Requests or lookups a second below which ratios say nothing.
    least_rate: float = 0.5
    # Measurements a second below which a p95 says nothing: about twenty in five minutes. That of fewer is the slowest one.
    least_measured_rate: float = 0.07
    miss_factor: float = 3
    miss_rate: float = 1
    eviction_share: float = 0.5
    eviction_writes: float = 0.2
    stale_share: float = 0.2
    revalidation_errors: float = 0.25
    fallback_errors: float = 0.05
    query_time_factor: float = 2
    query_seconds: float = 0.1
    statement_seconds: float = 0.1
    statement_errors: float = 0.1
    pool_used: float = 0.9
    queue_seconds: int = 120
    page_seconds: float = 0.5
    page_rate: float = 0.01
    memory_used: float = 0.9
    memory_factor: float = 1.3
    task_failures: int = 3
    task_intervals: float = 3
    model_age_seconds: int = 3 * 86_400
    model_refusals: int = 3
    starts: int = 3
    starts_per_instance: float = 2
    schedule_delay_seconds: float = 0.05
    dropped_rate: float = 1
    invalid_tokens: int = 20


@dataclass(frozen=True)
class Variables:
    """The variables of the rules and dashboards."""

    # Selects the job in series that other programs have as well (`up`, `process_…`). A PodMonitor's job is `namespace/name`.
    job: str = 'job="cinegraph"'
    # Where docs/runbooks.md is published. A path within the repository leads nowhere from Grafana, see `published_runbooks`.
    runbooks: str = "docs/runbooks.md"
    thresholds: Thresholds = field(default_factory=Thresholds)
    # Divisor of all durations, for drills. Thresholds, most of which are rates, stay as they are.
    faster: int = 1

    def duration(self, text):
        """`5m`, divided by `faster`."""
        return text if self.faster == 1 else f"{self.seconds(text) * 1000 // self.faster}ms"

    def seconds(self, text):
        """The number of seconds in `5m`."""
        return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]

    def span(self, text):
        """The number of seconds in `5m`, divided by `faster`: for expressions that subtract times."""
        return self.seconds(text) if self.faster == 1 else self.seconds(text) / self.faster

    def with_(self, **changes):
        """A copy with these values; `job` may be a plain name."""
        if changes.get("job") and "=" not in changes["job"]:
            changes["job"] = f'job="{changes["job"]}"'
        return replace(self, **{name: value for name, value in changes.items() if value})

    def runbook(self, alert):
        """The address of the runbook section of an alert."""
        return f"{self.runbooks}#{alert.lower()}"

    @property
    def published_runbooks(self):
        """The address of the runbooks for a browser, empty if none is known."""
        return self.runbooks if "://" in self.runbooks else ""
