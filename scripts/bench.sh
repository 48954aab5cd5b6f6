#!/usr/bin/env bash
# Measures scoring, the service beside the query that it replaces, and kept answers, on a new private PostgreSQL. FILMS:
# catalogue sizes; CACHED_FILMS and MIXED_SECONDS: see benches/service/main.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

# Queries were checked when .sqlx was generated; the cluster is empty while the benchmarks compile.
export SQLX_OFFLINE=true

cargo bench --no-run
cargo bench --bench scoring
target/release/cinegraph postgres --temporary -- cargo bench --bench service
