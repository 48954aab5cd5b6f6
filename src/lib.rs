//! Cinegraph: which movies of a decade are most likely to join a canonical list, and how accurate such predictions are.
//!
//! Layers, top to bottom; imports point down, never up:
//!
//! | layer | contains |
//! |---|---|
//! | [`cli`] | arguments, exit codes, printing |
//! | [`app`] | builds the parts, starts and stops them |
//! | [`http`] | routes, limits, health, `/metrics` |
//! | [`graphql`] | schema types, resolvers, loaders, client errors |
//! | [`jobs`] | background tasks and their schedules |
//! | [`services`] | use cases: predict, validate, refresh, import |
//! | [`cache`] | versioned caches: tiers, freshness, single flight |
//! | [`store`] | every SQL statement, rows to domain values |
//! | [`scoring`] | weights, decades, scores, accuracy: pure domain, in a crate of its own |
//!
//! Modules outside the layers: [`config`], [`clock`], [`digest`], [`proof`] and [`telemetry`] import no other module of
//! this crate, [`breaker`] only the metrics of `telemetry`, and [`versions`] only the decades of `scoring`. The
//! generated catalogue (`cinegraph_datagen`) and the embedded PostgreSQL (`cinegraph_embedded_postgres`) are crates of
//! their own.

pub mod app;
pub mod breaker;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod digest;
pub mod graphql;
pub mod http;
pub mod jobs;
pub mod proof;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod versions;

pub use cinegraph_scoring as scoring;
