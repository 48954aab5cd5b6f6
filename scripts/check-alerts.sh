#!/usr/bin/env bash
# Checks and tests the alerts and recording rules, and that the dashboards are current. Needs promtool and python3.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v promtool >/dev/null || {
    echo 'check-alerts: promtool is missing: scripts/install.sh test' >&2
    exit 1
}

promtool check rules alerts/recording-rules.yml alerts/alert-rules.yml
promtool test rules alerts/tests/*.yml
scripts/dashboards.py --check
# Every series that they ask for is one that the service has.
scripts/dashboards.py --names src/telemetry/catalogue.rs

# A page in the night names a section that is there.
for alert in $(sed -n 's/^ *- alert: //p' alerts/alert-rules.yml); do
    grep -qx "## $alert" docs/runbooks.md || {
        echo "check-alerts: $alert has no section in docs/runbooks.md" >&2
        exit 1
    }
done
