#!/usr/bin/env python3
"""Checks docs/runbooks.md: a complete section for each alert, none without an alert, and links, those of the dashboards
included, that lead somewhere.
"""

import re
import sys
from pathlib import Path

from monitoring import dashboards, rules
from monitoring.panels import SERIES
from monitoring.variables import Variables

ROOT = Path(__file__).resolve().parent.parent
RUNBOOKS = ROOT / "docs/runbooks.md"
PARTS = ("Means", "Users feel", "Confirm", "Do", "Find the cause", "Undo", "Close")


def anchor(heading):
    """The address of a heading within the page."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def dead_links():
    """Links of dashboards that lead nowhere: those that a browser would look for beside the dashboard."""
    for site in (Variables(), Variables(runbooks="https://wiki.example/runbooks")):
        for uid in dashboards.PANELS:
            board = dashboards.dashboard(uid, site)
            address = next(each["current"]["value"] for each in board["templating"]["list"] if each["name"] == "runbooks")
            if address not in ("", site.runbooks) or (address and "://" not in address):
                yield f"the variable runbooks of {uid} is {address}"
            for item in (board, *board["panels"]):
                for link in item.get("links", []):
                    if not re.match(r"/|https?://|\$\{runbooks\}", link["url"]):
                        yield f"{uid}: {link['title']} leads to {link['url']}"


def outdated_tests():
    """Expressions that are tested as those of panels, which no panel has any more."""
    drawn = {re.sub(r"\$(job|instance)\b", ".*", each) for each in dashboards.expressions()}
    # Folded over some lines, as YAML allows.
    for folded in re.findall(r"- expr: >-\n((?: {10}.*\n)+)", (ROOT / "alerts/tests/panels.yml").read_text()):
        tested = " ".join(folded.split())
        if tested not in drawn:
            yield f"alerts/tests/panels.yml tests {tested}, which no panel draws"


def read(expression):
    """The metrics that an expression reads, by recorded series too."""
    recorded = {record: each for _, group in rules.recording_groups(Variables()) for record, each in group}
    for match in SERIES.finditer(expression):
        if match[1] in recorded:
            yield from read(recorded[match[1]])
        elif match[1]:
            yield re.sub("_(bucket|count|sum)$", "", match[1])


def undrawn():
    """Alerts whose dashboard does not draw what they read, and panels that may be empty and do not say why."""
    marks = {name for each in dashboards.ANNOTATIONS for name in read(each["expr"])}
    for alert in (alert for _, group in rules.alert_groups(Variables()) for alert in group):
        drawn = {name for each in dashboards.PANELS[alert.dashboard] for target in each.get("targets", []) for name in read(target["expr"])}
        for name in sorted(set(read(alert.expression)) - drawn - marks - {"up"}):
            yield f"{alert.dashboard} does not draw {name}, which {alert.name} reads"
    for item in dashboards.all_panels():
        divides = any(re.search(r"quantile| / (?!0)|:ratio|:p95", target["expr"]) for target in item["targets"])
        if divides and "Empty: " not in item["description"] and item["title"] != "Runtime busy":
            yield f"*{item['title']}* does not say why it may be empty"


def problems(text):
    """What is missing, as sentences."""
    sections = dict(re.findall(r"^## (Cinegraph\w+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    alerts = {alert.name for _, group in rules.alert_groups(Variables()) for alert in group}
    for name in sorted(alerts - sections.keys()):
        yield f"{name} has no section"
    for name in sorted(sections.keys() - alerts):
        yield f"the section {name} belongs to no alert"
    for name, section in sections.items():
        for part in PARTS:
            if not re.search(rf"^- \*\*{part}\*\*", section, re.MULTILINE):
                yield f"{name} does not say: {part}"
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for link in re.findall(r"\]\(#([^)]*)\)", text):
        if link not in anchors:
            yield f"a link leads to #{link}, which is no heading"
    panels = {item["title"] for item in dashboards.all_panels()}
    # A panel is named in italics; so are words of the service's own output.
    for name in sorted(set(re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", text)) - panels - {"Do", "Movies with scores", "Movies waiting for scores"}):
        yield f"*{name}* is no panel of a dashboard"


if __name__ == "__main__":
    found = [*dead_links(), *outdated_tests(), *undrawn(), *(f"docs/runbooks.md: {each}" for each in problems(RUNBOOKS.read_text()))]
    sys.exit("\n".join(found) or None)
