//! Two instances, Redis and a PostgreSQL with a standby under random faults, judged by clients that trust the
//! documentation.
//!
//! `make chaos` runs it for ten minutes, CI for one. It is not part of `make test`, because it needs root and judges by
//! time limits, which a machine that runs other tests would exceed. CHAOS_SECONDS is the duration, CHAOS_SEED decides
//! which faults occur in which order, CHAOS_BINARY is another program to test. The output of a failed run has the seed,
//! every action with its time and the path of the logs.

mod actors;
mod client;
mod faults;
mod instance;
mod journal;
mod judge;
mod network;
mod quiet;
mod relay;
mod stage;
mod subscriber;

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::faults::TURN;

/// The seed of a run without CHAOS_SEED: detached with a wrong clock, then a failover that loses changes while a link is down.
const SEED: u64 = 487;

fn variable(name: &str, default: u64) -> u64 {
    let parse = |text: String| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}"));
    std::env::var(name).map_or(default, parse)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_keep_what_the_documentation_promises() {
    let _turn = TURN.lock().await;
    let (seed, duration) = (variable("CHAOS_SEED", SEED), Duration::from_secs(variable("CHAOS_SECONDS", 60)));
    let mut stage = stage::Stage::start().await;
    let shared = std::sync::Arc::clone(&stage.shared);
    shared.journal.note(format_args!("seed {seed}, {duration:?}; logs in {}", shared.journal.directory.display()));
    shared.start_readers(seed);
    quiet::settle(&mut stage).await;
    shared.start_writers(seed);
    let began = Instant::now();
    for round in faults::Plan::new(ChaCha8Rng::seed_from_u64(seed)) {
        if began.elapsed() >= duration {
            break;
        }
        shared.journal.note(format_args!("{round:?}"));
        stage.run(&round).await;
        quiet::settle(&mut stage).await;
    }
    quiet::finish(&mut stage).await;
    drop(stage);
    shared.journal.verdict().unwrap_or_else(|report| panic!("seed {seed}:\n{report}"));
}
