#!/usr/bin/env bash
# Prints the changes of the GraphQL schema since the last release, and fails on a breaking one that is not announced.
# Arguments: those of scripts/schema/changes.mjs.
set -euo pipefail

directory=$(dirname "$0")/schema
command -v npm >/dev/null || {
    echo "check-schema: npm is missing" >&2
    exit 1
}
[[ -d $directory/node_modules ]] || npm ci --prefix "$directory" --silent
exec node "$directory/changes.mjs" "$@"
