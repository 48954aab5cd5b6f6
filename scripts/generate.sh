#!/usr/bin/env bash
# Regenerates the generated files: .sqlx from a database with our migrations, the others from the code.
# Needs an empty database in DATABASE_URL; `make generate` brings one.
set -euo pipefail
cd "$(dirname "$0")/.."

# By psql: a statement that does not fit .sqlx keeps `cinegraph migrate` of today from being built.
export PGOPTIONS='-c client_min_messages=warning'
for migration in migrations/*.sql; do
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --output /dev/null --file "$migration" "$DATABASE_URL"
done
unset PGOPTIONS

# The macros write down what they learn of each statement when it is compiled; what looks unchanged is not compiled.
new=$PWD/target/sqlx.new
rm -rf "$new"
mkdir -p "$new"
touch src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$new cargo check --all-targets
rm -rf .sqlx
mv "$new" .sqlx

# What `cinegraph ARGUMENTS…` prints, in a file. Written beside it first: an error leaves the old file.
print_to() {
    SQLX_OFFLINE=true cargo run --quiet --bin cinegraph -- "${@:2}" >target/generated
    mv target/generated "$1"
}
print_to schema.graphql schema
print_to docs/METRICS.md metrics
print_to docs/SETTINGS.md config --markdown
