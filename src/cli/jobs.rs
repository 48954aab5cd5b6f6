//! `cinegraph jobs`

use chrono::SecondsFormat;
use clap::{Args, Subcommand};

use super::output::{print, print_json};
use super::table::{Column, table};
use crate::app::{App, JobStatus};

#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print running, waiting and failed jobs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Retry failed jobs; each gets its full number of attempts again
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RetryArgs {
    /// Number of the job, as `cinegraph jobs list` prints it
    id: Option<i64>,
    /// All failed jobs
    #[arg(long)]
    failed: bool,
}

pub(super) async fn run(app: &App, args: JobsArgs) -> anyhow::Result<()> {
    // Fails if migrations are missing.
    app.store.installation().await?;
    match args.what {
        What::List { json } => {
            let rows: Vec<JobStatus> = app.store.jobs().await?.into_iter().map(JobStatus::from).collect();
            if json { print_json(&rows) } else { print(&printed(&rows)) }
        }
        What::Retry(RetryArgs { id, .. }) => {
            // Without an id, the flag `--failed` is given: all failed jobs are retried.
            let retried = app.store.retry_jobs(id).await?;
            anyhow::ensure!(id.is_none() || !retried.is_empty(), "no failed job has this number");
            let jobs: Vec<_> = retried.iter().map(ToString::to_string).collect();
            print(&match jobs.as_slice() {
                [] => "No failed jobs.\n".to_owned(),
                jobs => format!("Retrying: {}\n", jobs.join(", ")),
            })
        }
    }
}

/// The jobs as a table.
pub(super) fn printed(rows: &[JobStatus]) -> String {
    if rows.is_empty() {
        return "No jobs.\n".to_owned();
    }
    let row = |row: &JobStatus| {
        let due = row.run_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let attempts = format!("{} of {}", row.attempts, row.max_attempts);
        let error = row.last_error.clone().unwrap_or_default();
        [row.id.to_string(), row.task.clone(), row.state.to_owned(), attempts, due, error]
    };
    // Nothing is cut: the error is what one looks for.
    let columns = [
        Column::number("Job"),
        Column::text("Task"),
        Column::text("State"),
        Column::text("Attempts"),
        Column::text("Due").left_out(0),
        Column::text("Last error"),
    ];
    format!("{}\n", table(columns, rows.iter().map(row).collect()))
}
