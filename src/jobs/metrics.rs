//! Metrics of background tasks and of the freshness of data: instruments, the guard of a run, and label values.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::store::Task;
use crate::telemetry::{ByLabel, Counter, Gauge, Histogram, Label as _, Recorder, Status, catalogue, label, number};

label! {
    /// How a background task ended; `skipped`: another instance held the lock.
    TaskOutcome { Ok = "ok", Error = "error", Skipped = "skipped" }
}

/// Metrics of background tasks. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct TaskMetrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    tasks: ByLabel<Task, TaskInstruments>,
    queue_movies: Gauge,
    queue_age: Gauge,
    snapshot_age: Gauge,
    reconcile_differences: Gauge,
}

#[derive(Debug)]
struct TaskInstruments {
    duration: Histogram,
    runs: ByLabel<TaskOutcome, Counter>,
    items: ByLabel<Status, Counter>,
    running: Gauge,
    last_success: Gauge,
    interval: Gauge,
}

impl TaskMetrics {
    /// The instruments of all tasks.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self(Arc::new(Instruments {
            tasks: ByLabel::of(|task: Task| TaskInstruments::new(recorder, task.as_str())),
            queue_movies: recorder.gauge(&catalogue::SCORE_QUEUE_FILMS, &[]),
            queue_age: recorder.gauge(&catalogue::SCORE_QUEUE_AGE, &[]),
            snapshot_age: recorder.gauge(&catalogue::SNAPSHOT_AGE, &[]),
            reconcile_differences: recorder.gauge(&catalogue::RECONCILE_DIFFERENCES, &[]),
        }))
    }

    /// Starts measuring a run of a background task.
    #[must_use]
    pub fn start(&self, task: Task) -> TaskGuard {
        self.0.tasks.at(task).running.increment(1.0);
        TaskGuard { metrics: self.clone(), started: Instant::now(), task, outcome: TaskOutcome::Error }
    }

    /// Sets the planned time between two runs of `task` on this instance.
    pub fn set_interval(&self, task: Task, interval: Duration) {
        self.0.tasks.at(task).interval.set(interval.as_secs_f64());
    }

    /// Sets the time of the last success of `task`.
    pub fn succeeded(&self, task: Task, at: DateTime<Utc>) {
        #[expect(clippy::cast_precision_loss, reason = "exact to the millisecond for thousands of years")]
        let at_seconds = at.timestamp_millis() as f64 / 1000.0;
        self.0.tasks.at(task).last_success.set(at_seconds);
    }

    /// Sets the number of movies that wait for new scores, and the time that the oldest of them has waited.
    pub fn score_queue(&self, movies: u64, oldest: Duration) {
        self.0.queue_movies.set(number(movies));
        self.0.queue_age.set(oldest.as_secs_f64());
    }

    /// Sets the age of the validation snapshot.
    pub fn snapshot_age(&self, age: Duration) {
        self.0.snapshot_age.set(age.as_secs_f64());
    }

    /// Sets the number of movies whose score the last full check corrected.
    pub fn reconcile_differences(&self, movies: u64) {
        self.0.reconcile_differences.set(number(movies));
    }
}

impl TaskInstruments {
    fn new(recorder: &Recorder, task: &str) -> Self {
        let interval = recorder.gauge(&catalogue::TASK_INTERVAL, &[task]);
        // Until the task runs here: alerts must not report it as overdue because of an instance that does not run it.
        interval.set(f64::INFINITY);
        Self {
            duration: recorder.histogram(&catalogue::TASK_DURATION, &[task]),
            runs: recorder.counters(&catalogue::TASK_RUNS, &[task]),
            items: recorder.counters(&catalogue::TASK_ITEMS, &[task]),
            running: recorder.gauge(&catalogue::TASK_RUNNING, &[task]),
            last_success: recorder.gauge(&catalogue::TASK_LAST_SUCCESS, &[task]),
            interval,
        }
    }
}

/// A run of a background task. If it is dropped unfinished, it counts as an error.
#[derive(Debug)]
pub struct TaskGuard {
    metrics: TaskMetrics,
    started: Instant,
    task: Task,
    outcome: TaskOutcome,
}

impl TaskGuard {
    /// Counts processed rows or keys.
    pub fn items(&self, status: Status, count: u64) {
        self.metrics.0.tasks.at(self.task).items.at(status).increment(count);
    }

    /// Ends the run with this outcome, which the drop of the guard then records. Returns the time since the start.
    #[must_use = "the end of a task is logged with it"]
    pub fn finish(mut self, outcome: TaskOutcome) -> Duration {
        self.outcome = outcome;
        self.started.elapsed()
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let handles = self.metrics.0.tasks.at(self.task);
        handles.running.decrement(1.0);
        handles.duration.record(self.started.elapsed());
        handles.runs.at(self.outcome).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> (TaskMetrics, Recorder) {
        let recorder = Recorder::new().unwrap();
        (TaskMetrics::new(&recorder), recorder)
    }

    fn assert_has(recorder: &Recorder, lines: &[&str]) {
        let text = recorder.render();
        for line in lines {
            assert!(text.lines().any(|have| have == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_run_is_counted_while_it_runs_and_under_its_outcome() {
        let (metrics, recorder) = metrics();

        let run = metrics.start(Task::ScoreRefresh);
        run.items(Status::Ok, 3);
        assert_has(&recorder, &[r#"cinegraph_task_running{task="score_refresh"} 1"#]);
        let _ = run.finish(TaskOutcome::Skipped);

        assert_has(
            &recorder,
            &[
                r#"cinegraph_task_runs_total{task="score_refresh",outcome="skipped"} 1"#,
                r#"cinegraph_task_items_total{task="score_refresh",outcome="ok"} 3"#,
                r#"cinegraph_task_running{task="score_refresh"} 0"#,
            ],
        );
    }
}
