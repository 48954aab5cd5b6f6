#!/usr/bin/env python3
"""Runs every expression of every dashboard and of every rule on a Prometheus that scrapes the service and has the rules
loaded: scripts/check-dashboards.py http://127.0.0.1:9090

Prints each that errs or finds no series, and fails if there is one. An alert may be silent, but each series that it
reads must be there. Those that find series and no measurements (NaN, as quantiles of nothing are) are printed as well,
and are no failure: the load decides.
"""

import json
import re
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from monitoring.panels import SERIES

ROOT = Path(__file__).resolve().parent.parent


def ask(server, path, **parameters):
    """The `data` of an answer of Prometheus; ValueError with its message when it refuses."""
    try:
        with urlopen(f"{server.rstrip('/')}/api/v1/{path}?{urlencode(parameters)}") as answer:
            return json.load(answer)["data"]
    except HTTPError as refusal:
        raise ValueError(json.load(refusal)["error"]) from refusal


def panels():
    """Where each expression of the dashboards stands, and the expression with Grafana's variables filled in."""
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                filled = target["expr"].replace("$__rate_interval", "1m")
                # There are none as long as no alert fires.
                if "ALERTS{" in filled:
                    continue
                yield f"{board['uid']}, {panel['title']}", re.sub(r"\$(job|instance)\b", ".*", filled)


def rules(server):
    """What each rule asks: a recording rule its expression, an alert each of the series that it reads."""
    for group in ask(server, "rules")["groups"]:
        for rule in group["rules"]:
            if rule.get("lastError"):
                yield rule["name"], rule["query"]
            elif rule["type"] == "recording":
                yield rule["name"], rule["query"]
                yield rule["name"], rule["name"]
            else:
                for series in SERIES.finditer(rule["query"]):
                    if series[1]:
                        yield rule["name"], f"count({series[0]})"


def fault(server, expression):
    """What is wrong with the expression, if anything, and whether that is a failure."""
    try:
        values = [sample["value"][1] for sample in ask(server, "query", query=expression)["result"]]
    except ValueError as error:
        return str(error), True
    if not values:
        return "finds no series", True
    if all(value == "NaN" for value in values):
        return "has no measurements", False
    return None


def main(server):
    asked = [*panels(), *rules(server)]
    if not any(":" in name and "," not in name for name, _ in asked):
        return f"{server} has no recording rules loaded"
    faults = [(name, expression, fault(server, expression)) for name, expression in asked]
    for name, expression, found in faults:
        if found:
            print(f"{name}: {found[0]}: {expression}")
    failures = sum(1 for *_, found in faults if found and found[1])
    print(f"{len(asked)} expressions, {failures} fail")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
