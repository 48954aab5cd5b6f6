#!/usr/bin/env python3
"""Checks docs/runbooks.md: a complete section for each alert, none without an alert, and links that lead somewhere."""

import re
import sys
from pathlib import Path

from monitoring import dashboards, rules
from monitoring.variables import Variables

RUNBOOKS = Path(__file__).resolve().parent.parent / "docs/runbooks.md"
PARTS = ("Means", "Users feel", "Confirm", "Do", "Find the cause", "Undo", "Close")


def anchor(heading):
    """The address of a heading within the page."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


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
    found = list(problems(RUNBOOKS.read_text()))
    sys.exit("\n".join(f"docs/runbooks.md: {problem}" for problem in found) or None)
