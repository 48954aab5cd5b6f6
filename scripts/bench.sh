#!/usr/bin/env bash
# Measures scoring, then the service beside the query that it replaces, on a new private PostgreSQL. FILMS: catalogue sizes.
set -euo pipefail
cd "$(dirname "$0")/.."

# Queries were checked when .sqlx was generated; the cluster is empty while the benchmarks compile.
export SQLX_OFFLINE=true

cargo bench --no-run
cargo bench --bench scoring
target/release/cinegraph postgres --temporary -- cargo bench --bench service
