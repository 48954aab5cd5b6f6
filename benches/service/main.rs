//! Measures the performance budgets of the design on the running service.
//!
//! Needs a server in DATABASE_URL that permits CREATE DATABASE, and `wrk`; `make bench` provides both. PARTS: what to
//! measure: `original`, `cached`, `mixed`, `telemetry` and `subscriptions`; or `soak`, see `make soak`. FILMS: sizes of
//! the catalogues for the original query. CACHED_FILMS: size of that for cached responses and the mixed load.
//! MIXED_SECONDS: duration of each mixed load. SUBSCRIPTIONS_FILMS: size of the catalogue for subscriptions;
//! SUBSCRIPTIONS_DATABASE: URL of an existing database instead, whose ratings the benchmark changes. Prints Markdown.

mod cached;
mod harness;
mod original;
mod soak;
mod subscriptions;
mod telemetry;

use std::env;
use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let url: String = env::var("DATABASE_URL").context("DATABASE_URL is not set: use `make bench`")?;
    let parts: String = setting("PARTS", "original cached mixed telemetry subscriptions")?;
    let runtime = tokio::runtime::Runtime::new()?;
    std::fs::create_dir_all("target/bench")?;
    if parts.contains("original") {
        for movies in setting::<String>("FILMS", "20000 200000 1000000")?.split_whitespace() {
            runtime.block_on(original::measure(&url, movies.parse().context("FILMS")?))?;
        }
    }
    if parts.contains("cached") {
        cached::measure(&runtime, &url, setting("CACHED_FILMS", "20000")?)?;
    }
    if parts.contains("mixed") {
        cached::measure_mixed(&runtime, &url, setting("CACHED_FILMS", "20000")?, setting("MIXED_SECONDS", "600")?)?;
    }
    if parts.contains("telemetry") {
        telemetry::measure(&runtime, &url, setting("CACHED_FILMS", "20000")?)?;
    }
    if parts.contains("subscriptions") {
        runtime.block_on(subscriptions::measure(&url, setting("SUBSCRIPTIONS_FILMS", "200000")?))?;
    }
    if parts == "soak" {
        soak::run(&runtime, &url)?;
    }
    Ok(())
}

/// The environment variable `name`, or `default`.
fn setting<T>(name: &'static str, default: &str) -> Result<T>
where
    T: FromStr<Err: Display>,
{
    let text = env::var(name).unwrap_or_else(|_| default.to_owned());
    text.parse().map_err(|error| anyhow::anyhow!("{name}: {error}"))
}
