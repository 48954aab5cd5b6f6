//! The budgets of the design, measured on the running service.
//!
//! Needs a server in DATABASE_URL on which databases can be made, and `wrk`; `make bench` brings both. PARTS: what to
//! measure, `original`, `cached`, `mixed`, `telemetry` and `subscriptions`; or `soak`, see `make soak`. FILMS: sizes of the
//! catalogues beside the original query. CACHED_FILMS: size of that for kept answers and the mixed load. MIXED_SECONDS: how
//! long each mixed load runs. SUBSCRIPTIONS_FILMS: size of that for subscriptions; SUBSCRIPTIONS_DATABASE: the URL of one
//! that is there already, whose ratings may be changed. Prints Markdown.

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
        for films in setting::<String>("FILMS", "20000 200000 1000000")?.split_whitespace() {
            runtime.block_on(original::measure(&url, films.parse().context("FILMS")?))?;
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

/// What the environment says, or this.
fn setting<T>(name: &'static str, default: &str) -> Result<T>
where
    T: FromStr<Err: Display>,
{
    let text = env::var(name).unwrap_or_else(|_| default.to_owned());
    text.parse().map_err(|error| anyhow::anyhow!("{name}: {error}"))
}
