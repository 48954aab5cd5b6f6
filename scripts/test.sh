#!/usr/bin/env bash
# Runs all tests on a new private PostgreSQL, or those that the arguments of `cargo test` select. The last line counts
# them.
set -uo pipefail
cd "$(dirname "$0")/.."

# Queries were checked when .sqlx was generated; the tests' cluster is empty while they compile.
export SQLX_OFFLINE=true
# A snapshot that differs is a failure, never a new snapshot.
export INSTA_UPDATE=no INSTA_FORCE_PASS=0
export CARGO_TERM_COLOR=never

# A file, for a pipe that programs under test make non-blocking would lose what is written too fast.
output=$(mktemp)
tail -n +1 -f "$output" &
viewer=$!
trap 'kill "$viewer"; rm -f "$output"' EXIT

# The random faults need root and a machine of their own: `make chaos` runs them. The drills take an hour: `make drills`.
(($# > 0)) || set -- -- --skip chaos:: --skip drills::scenarios::

cargo build --bin cinegraph &&
    target/debug/cinegraph postgres --temporary -- cargo test --no-fail-fast "$@" >"$output" 2>&1
status=$?
# Longer than the viewer takes to show the last of it.
sleep 2

# test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s
read -r passed failed skipped < <(awk '
    /^test result: / { passed += $4; failed += $6; skipped += $8 }
    END { print passed + 0, failed + 0, skipped + 0 }' "$output")

if ((status == 0 && passed + failed == 0)); then
    echo "test: no test ran" >&2
    status=1
elif ((status != 0 && failed == 0)); then
    echo "test: ended with $status, though no test failed: see above" >&2
fi
echo "$passed passed, $failed failed, $skipped skipped"
((status == 0 && failed == 0))
