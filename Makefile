# The commands that a person types; what they do is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help install explorer run test faults chaos fuzz drills soak lint audit generate schema mixin bench observe

# Queries are checked against .sqlx, also where DATABASE_URL is set for something else.
export SQLX_OFFLINE ?= true

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: ## Install what is missing: PostgreSQL 15 or newer, a C compiler, and the API explorer where npm is there
	@scripts/install.sh
	@scripts/graphiql.sh || echo "install: continuing without the API explorer" >&2

explorer: ## Fetch GraphiQL, the API explorer, with npm
	@scripts/graphiql.sh

# Its own profile, which compiles in a third of the time of a release build; without the features that take long to build.
run: install ## Start the demo. FILMS=N: movies to generate; DATA=dir: CSV files to load instead
	@test -x target/demo/cinegraph || echo "run: the first build takes 4 to 6 minutes on two cores; later starts take seconds" >&2
	cargo run --profile demo --no-default-features --bin cinegraph -- demo $(if $(DATA),--data "$(DATA)") $(if $(FILMS),--films $(FILMS))

test: ## Run all tests on a PostgreSQL of their own. ARGS=…: arguments for cargo test
	@scripts/install.sh test
	@scripts/test.sh $(ARGS)

faults: ## Let servers fail for half a minute each, under 32 clients, and report; takes a quarter of an hour
	@scripts/install.sh test
	@CINEGRAPH_FAULT_SECONDS=30 scripts/test.sh --test it faults:: -- --nocapture --test-threads=1

chaos: ## Let servers, links and clocks fail at random for ten minutes, and judge what clients see. CHAOS_SECONDS=…, CHAOS_SEED=…
	@scripts/install.sh test
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} CHAOS_SEED=$${CHAOS_SEED:-$$(date +%s)} \
		scripts/test.sh --test it chaos:: -- --nocapture

fuzz: ## Damage lists of every format at random, 10,000 times each in the parser and 100 times each on the way to the database
	@scripts/install.sh test
	FUZZ_DAMAGES=10000 cargo test --package cinegraph-list-formats damaged
	@FUZZ_IMPORTS=100 scripts/test.sh --test it list_import::damaged

drills: ## Let a fault happen under a real Prometheus, and report which alert fires when; takes an hour. DRILL=…: those of this name
	@scripts/install.sh test
	@scripts/test.sh --test it drills::scenarios::$(DRILL) -- --nocapture --test-threads=1

soak: ## Run under load for an hour while servers fail in turn, and report. SOAK_SECONDS=…, SOAK_RATE=…, FAULT_EVERY=…
	@scripts/install.sh test
	cargo build --release --bin cinegraph
	cargo bench --no-run --bench service
	@target/release/cinegraph postgres --temporary -- scripts/soak.sh

lint: install ## Check format, dependencies, alerts, lints and documentation
	cargo fmt --check
	scripts/check-dependencies.py
	scripts/check-alerts.sh
	cargo clippy --all-targets -- -D warnings
	cargo clippy --no-default-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items

# Not part of CI: advisories appear without a change of ours, and the database has to be fetched.
audit: ## Check dependencies against the RustSec advisories. ADVISORIES=dir: a copy of the database, not fetched
	test -x target/tools/bin/cargo-audit || cargo install --locked --root target/tools cargo-audit
	target/tools/bin/cargo-audit audit --deny warnings $(if $(ADVISORIES),--db "$(ADVISORIES)" --no-fetch --stale)

# After a change of a statement nothing builds by .sqlx, so any build serves here: all that it does is to start PostgreSQL.
generate: install ## Regenerate .sqlx, schema.graphql, docs/METRICS.md and docs/SETTINGS.md
	test -x target/debug/cinegraph || cargo build --bin cinegraph
	target/debug/cinegraph postgres --temporary -- scripts/generate.sh

schema: ## Print how the GraphQL schema has changed since the last release; fail on a breaking change that CHANGELOG.md does not list
	@scripts/check-schema.sh

mixin: ## Write a mixin, a ServiceMonitor and a PrometheusRule to target/mixin. JOB=…: name or selector, RUNBOOKS=URL
	@scripts/generate-monitoring.py --mixin target/mixin $(if $(JOB),--job '$(JOB)') $(if $(RUNBOOKS),--runbooks '$(RUNBOOKS)')

bench: ## Measure against the budgets and the query that we replace; takes an hour. FILMS="20000 …": sizes
	@scripts/install.sh bench
	@scripts/bench.sh

observe: ## Start the demo under Prometheus and Alertmanager with the shipped rules, and drive load. FAULT=redis|database|invalidate|starve, FASTER=N, FILMS=N
	@scripts/install.sh observe
	cargo build --release --bin cinegraph
	@scripts/observe.sh
