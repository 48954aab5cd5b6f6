//! What an operation costs the database, gathered while its statements run, for its log line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

tokio::task_local! {
    static CURRENT: Arc<Spent>;
}

/// Statements and their time, so far.
#[derive(Debug, Default)]
pub struct Spent {
    statements: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Spent {
    /// Runs `work`, whose statements are counted here.
    pub async fn on<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Statements so far.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Their time, summed: several may run at once.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// Counts a statement for whatever this task works for.
    pub(super) fn note(took: Duration) {
        // Work for nobody in particular is not counted.
        let _ = CURRENT.try_with(|spent| {
            spent.statements.fetch_add(1, Ordering::Relaxed);
            spent.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        });
    }
}

/// `work` for a task of its own that works for the same operation as this one.
pub fn charged<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.try_with(Arc::clone).unwrap_or_default().on(work)
}
