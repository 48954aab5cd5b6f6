//! Cinegraph: which films of a decade are most likely to join a canonical list, and how far that can be trusted.
//!
//! The house, top to bottom; an import points down, never up:
//!
//! | storey | holds |
//! |---|---|
//! | [`cli`] | arguments, exit codes, printing |
//! | [`app`] | builds the parts, starts and stops them |
//! | [`http`] | routes, limits, health, `/metrics` |
//! | [`graphql`] | schema types, resolvers, loaders, client errors |
//! | [`jobs`] | what runs by itself, and when |
//! | [`services`] | use cases: predict, validate, refresh, import |
//! | [`cache`] | values kept in memory, by version |
//! | [`store`] | every SQL statement, rows to domain values |
//! | [`scoring`] | weights, decades, scores, accuracy: pure |
//!
//! [`config`], [`clock`], [`telemetry`] and [`embedded_postgres`] stand beside it and import nothing of ours; so does
//! [`breaker`], but for its settings and measurements.

pub mod app;
pub mod breaker;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod embedded_postgres;
pub mod graphql;
pub mod http;
pub mod jobs;
pub mod proof;
pub mod scoring;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod versions;
