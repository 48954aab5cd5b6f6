#!/usr/bin/env bash
# Measures scoring, the service beside the query that it replaces, cached responses, telemetry and subscriptions, on a new private
# PostgreSQL. PARTS, FILMS, CACHED_FILMS, MIXED_SECONDS, SUBSCRIPTIONS_FILMS: see benches/service/main.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

# Queries were checked when .sqlx was generated; the cluster is empty while the benchmarks compile.
export SQLX_OFFLINE=true

cargo bench --no-run
cargo bench --bench scoring
target/release/cinegraph postgres --temporary -- cargo bench --bench service
