#!/usr/bin/env bash
# Checks and tests alerts, recording rules, dashboards, runbooks and the example for Alertmanager.
# Needs promtool, amtool, Alertmanager and python3.
set -euo pipefail
cd "$(dirname "$0")/.."

for program in promtool amtool; do
    command -v "$program" >/dev/null || {
        echo "check-alerts: $program is missing: scripts/install.sh test" >&2
        exit 1
    }
done

scripts/generate-monitoring.py --check
# Every series that they ask for is one that the service has.
scripts/generate-monitoring.py --names src/telemetry/catalogue.rs
promtool check rules alerts/recording-rules.yml alerts/alert-rules.yml
promtool test rules alerts/tests/*.yml
amtool check-config config/alertmanager.yml
# No page is hidden by an alert of another cause.
scripts/check-inhibition.py
# A page in the night names a section that is there, and the section names panels that are there.
scripts/check-runbooks.py

# Grafana's types come from PyPI. Without a network this check is left out, and says so.
types=target/tools/grafana-$(sed -n 's/^grafana-foundation-sdk==\([0-9.]*\).*/\1/p' scripts/monitoring/requirements.txt)
if [[ -d $types ]] || python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --root-user-action ignore --target "$types" --requirement scripts/monitoring/requirements.txt; then
    scripts/check-dashboard-types.py "$types"
else
    echo "check-alerts: dashboards are not checked against Grafana's types: pip could not install them" >&2
fi
