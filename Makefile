# The commands that a person types; what they do is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help install run test faults soak lint generate bench observe

# Queries are checked against .sqlx, also where DATABASE_URL is set for something else.
export SQLX_OFFLINE ?= true

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: ## Install what is missing (PostgreSQL 15 or newer, a C compiler)
	@scripts/install.sh

# Optimised: it compiles for longer, once, and then loads and scores 20,000 films many times faster.
run: install ## Start the demo. FILMS=N: films to generate; DATA=dir: CSV files to load instead
	cargo run --release --bin cinegraph -- demo $(if $(DATA),--data "$(DATA)") $(if $(FILMS),--films $(FILMS))

test: ## Run all tests on a PostgreSQL of their own. ARGS=…: arguments for cargo test
	@scripts/install.sh test
	@scripts/test.sh $(ARGS)

faults: ## Let servers fail for half a minute each, under 32 clients, and report; takes a quarter of an hour
	@scripts/install.sh test
	@CINEGRAPH_FAULT_SECONDS=30 scripts/test.sh --test it faults:: -- --nocapture --test-threads=1

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
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items

# After a change of a statement nothing builds by .sqlx, so any build serves here: all that it does is to start PostgreSQL.
generate: install ## Make .sqlx and schema.graphql anew
	test -x target/debug/cinegraph || cargo build --bin cinegraph
	target/debug/cinegraph postgres --temporary -- scripts/generate.sh

bench: ## Measure against the budgets and the query that we replace; takes an hour. FILMS="20000 …": sizes
	@scripts/install.sh bench
	@scripts/bench.sh

observe: ## Start the demo under Prometheus and Alertmanager with the shipped rules, and drive load. FILMS=N
	@scripts/install.sh observe
	cargo build --release --bin cinegraph
	@scripts/observe.sh
