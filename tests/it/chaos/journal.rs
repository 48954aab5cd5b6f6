//! The record of a run: every action with its time, and every broken invariant.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use tempfile::TempDir;

/// Number of cases of one invariant that are printed as they occur.
const SHOWN: usize = 10;

/// What must hold, whatever fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Invariant {
    /// `dataVersion` never goes back for a client of one instance, within one history of the database.
    MonotonicReads,
    /// A response that is not marked stale lacks no change that is older than the promised bound.
    NothingStaleAsFresh,
    /// A response never shows a version that the database does not have.
    NothingOfAnotherHistory,
    /// A successful mutation is visible.
    OwnWrites,
    /// Nothing is served that was cached before a hard invalidation.
    HardFloor,
    /// A cached response equals a fresh computation, after ten seconds of quiet.
    CachedEqualsFresh,
    /// Scores equal the formula, computed from the tables of the host application.
    ScoresEqualFormula,
    /// The events of a subscription add up to the list.
    SubscriptionsAddUp,
    /// Instances become ready, process the queue and stop, without help.
    Liveness,
    /// The host application's statements never fail because of Cinegraph.
    HostWrites,
    /// Connections, open files and memory return to normal.
    Resources,
    /// No panic is in the logs.
    NoPanic,
}

/// Printed as it grows, which the test harness shows if the run fails.
pub(super) struct Journal {
    began: Instant,
    /// Logs of the instances. Kept if the run fails.
    pub(super) directory: PathBuf,
    broken: Mutex<BTreeMap<Invariant, Vec<String>>>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), directory: TempDir::new().unwrap().keep(), broken: Mutex::default() }
    }

    /// Records an action.
    pub(super) fn note(&self, action: impl Display) {
        eprintln!("{:8.3} s  {action}", self.began.elapsed().as_secs_f64());
    }

    /// Records a broken invariant. The run goes on, because others may break too.
    pub(super) fn broken(&self, invariant: Invariant, how: impl Display) {
        let text = format!("{:.3} s: {how}", self.began.elapsed().as_secs_f64());
        let mut broken = self.broken.lock().unwrap();
        let cases = broken.entry(invariant).or_default();
        if cases.len() < SHOWN {
            self.note(format_args!("BROKEN {invariant:?}: {how}"));
        }
        cases.push(text);
    }

    /// Ends the run; keeps the logs if an invariant is broken.
    ///
    /// # Errors
    /// A report of the broken invariants and the path of the logs.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let broken = self.broken.lock().unwrap();
        if broken.is_empty() {
            let _ = std::fs::remove_dir_all(&self.directory);
            return Ok(());
        }
        let of_one = |(invariant, cases): (&Invariant, &Vec<String>)| {
            format!("{invariant:?}: broken {} times, first at {}\n", cases.len(), cases[0])
        };
        let report: String = broken.iter().map(of_one).collect();
        Err(format!("{report}logs of the instances: {}", self.directory.display()))
    }
}
