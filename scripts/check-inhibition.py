#!/usr/bin/env python3
"""Checks with a real Alertmanager what the inhibition of config/alertmanager.yml hides.

Each pair of alerts fires together, of the same instance and surface, and of others. A critical alert may be hidden only
by what explains it in every case, and an alert only by one of the same instance or surface where both have it.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from monitoring import rules
from monitoring.variables import Variables

CONFIG = Path(__file__).resolve().parent.parent / "config/alertmanager.yml"
SEVERITIES = {alert.name: alert.severity for _, group in rules.alert_groups(Variables()) for alert in group}

# The labels of an alert besides its job, where it has any that inhibition could compare.
PER_INSTANCE = {
    f"Cinegraph{name}"
    for name in (
        "CacheL2Down", "CircuitBreakerOpen", "OptionalBreakerOpen", "DbPoolSaturated", "DbPoolTimeouts",
        "DbPoolExhausted", "InstanceDown", "RuntimeStarved", "MemoryNearLimit", "MemoryGrowth",
    )
}
PER_SURFACE = {f"CinegraphErrorBudgetBurn{name}" for name in ("Fast", "Medium", "Slow")}

# What an outage of the primary causes, for minutes after its end as well.
TICKETS = {
    f"Cinegraph{name}"
    for name in (
        "DbQuerySlow", "DbErrors", "DbPoolSaturated", "DbPoolTimeouts", "QueryTimeRise", "RevalidationFailing",
        "StaleServing", "OptionalBreakerOpen", "TaskFailing", "TaskStale", "ScoreQueueOld", "CacheMissSpike",
        "HitRatioLow",
    )
}

# What hides which alerts. Each pair of which the second is critical says why nobody misses that page.
HIDDEN = {
    # Both are about the score table and the direct query, which are in the primary.
    "CinegraphDatabaseDown": {"CinegraphCircuitBreakerOpen", "CinegraphFallbackShedding", *TICKETS},
    "CinegraphDatabaseRecovering": TICKETS,
    "CinegraphRuntimeStarved": {"CinegraphDbPoolSaturated", "CinegraphDbPoolTimeouts"},
    "CinegraphErrorBudgetBurnFast": {"CinegraphErrorBudgetBurnSlow"},
    "CinegraphErrorBudgetBurnMedium": {"CinegraphErrorBudgetBurnSlow"},
    "CinegraphCachedLatencyBurnFast": {"CinegraphCachedLatencyBurnSlow"},
    "CinegraphDown": {"CinegraphRestarting"},
}


def labels(name, job, which):
    """An alert, of the instance and surface `which`."""
    found = {"alertname": name, "severity": SEVERITIES[name], "team": "cinegraph", "job": job}
    if name in PER_INSTANCE:
        found["instance"] = ("a:9464", "b:9464")[which]
    if name in PER_SURFACE:
        found["surface"] = ("api", "page")[which]
    return found


def pairs():
    """Pairs of alerts that fire together, each pair in a job of its own, and whether the first hides the second."""
    for source in SEVERITIES:
        for target in SEVERITIES:
            for which in (0, 1):
                if source != target:
                    job = f"{source} {target} {which}"
                    first, second = labels(source, job, 0), labels(target, job, which)
                    shared = ("instance", "surface") if source in HIDDEN else ()
                    is_same = all(first.get(name, second.get(name)) == second.get(name) for name in shared)
                    yield first, second, target in HIDDEN.get(source, ()) and is_same
    # Another job has nothing to do with it.
    for source, hidden in HIDDEN.items():
        for target in hidden:
            yield labels(source, f"one {source} {target}", 0), labels(target, f"two {source} {target}", 0), False


def problems(ask):
    """What is hidden and must not be, or the other way round, as sentences."""
    together = list(pairs())
    ask("alerts", [{"labels": each} for first, second, _ in together for each in (first, second)])
    deadline = time.monotonic() + 30
    while True:
        hidden = {key(each["labels"]) for each in ask("alerts") if each["status"]["inhibitedBy"]}
        wrong = [(first, second) for first, second, wanted in together if (key(second) in hidden) != wanted]
        # Alertmanager takes a moment to see them all.
        if not wrong or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for first, second in wrong:
        yield f"{text(first)} {'hides' if key(second) in hidden else 'does not hide'} {text(second)}"


def key(alert):
    """The labels of an alert, to be compared."""
    return tuple(sorted(alert.items()))


def text(alert):
    """An alert as a part of a sentence."""
    return " ".join((alert["alertname"], f"({alert['severity']})", *(alert[name] for name in ("instance", "surface") if name in alert)))


def main():
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if not program:
        return "check-inhibition: Alertmanager is missing: scripts/install.sh test"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def ask(path, body=None):
        data = json.dumps(body).encode() if body else None
        with urlopen(Request(f"http://{address}/api/v2/{path}", data, {"Content-Type": "application/json"}), timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    with tempfile.TemporaryDirectory() as folder:
        arguments = [f"--config.file={CONFIG}", f"--storage.path={folder}", f"--web.listen-address={address}"]
        process = subprocess.Popen([program, *arguments, "--cluster.listen-address="], stderr=subprocess.DEVNULL)
        try:
            for _ in range(300):
                try:
                    ask("status")
                    break
                except URLError:
                    time.sleep(0.1)
            found = list(problems(ask))
        finally:
            process.terminate()
            process.wait()
    return "\n".join(f"config/alertmanager.yml: {problem}" for problem in found) or None


if __name__ == "__main__":
    sys.exit(main())
