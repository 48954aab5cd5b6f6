//! Integration tests: what a client or an operator sees, through the public API.

#![expect(clippy::unwrap_used, reason = "a panic in a helper fails its test")]

mod architecture;
mod at_least;
mod attach;
mod caching;
mod catalogue;
mod chaos;
mod cli;
mod client_connections;
mod columns;
mod connections;
mod contract;
mod demo;
mod documents;
#[cfg(feature = "download")]
mod download;
mod drills;
mod faults;
mod formula;
mod fuzz;
mod generate;
mod graphql;
mod half_open;
mod hosts;
mod http;
mod identity;
mod import;
mod import_faults;
mod import_ids;
mod import_imdb;
mod incremental;
mod jobs;
mod limits;
mod list_import;
mod live_list;
mod logs;
mod mutations;
mod otlp;
mod page;
mod plans;
mod predictions;
mod refresh;
mod rolling;
mod subscriptions;
mod support;
mod target_lists;
mod titles;
mod tls;
mod traces;
mod validation;
