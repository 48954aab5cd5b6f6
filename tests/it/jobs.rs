//! Background jobs: run once across instances, retried, adopted from dead workers, measured.

use std::sync::Arc;
use std::time::Duration;

use cinegraph::app::Metrics;
use cinegraph::cache::CacheContext;
use cinegraph::clock::Clock;
use cinegraph::config::{Config, Overrides};
use cinegraph::jobs::warming::Warming;
use cinegraph::jobs::{FreshnessGauges, Jobs, PollIntervals};
use cinegraph::scoring::{Basis, Decade};
use cinegraph::services::validation::TestedWeights;
use cinegraph::services::warming::warm;
use cinegraph::services::{Services, refresh};
use cinegraph::store::{Job, Task};
use cinegraph::telemetry::Label;
use cinegraph::versions::{Scope, Versions};
use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::{Movie, TestService, metrics, open};

/// Maximum wait for a condition.
const PATIENCE: Duration = Duration::from_secs(30);

/// Intervals short enough for tests.
const QUICK: PollIntervals = PollIntervals {
    poll_every: Duration::from_millis(100),
    alive_every: Duration::from_millis(200),
    dead_after: Duration::from_secs(2),
};

/// An instance that runs background jobs.
pub(crate) struct Instance {
    metrics: Metrics,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn jobs(options: &PgConnectOptions, metrics: &Metrics) -> Jobs {
    Jobs {
        store: open(options, metrics.clone()).with_dedicated_pool(6, PATIENCE),
        metrics: metrics.tasks.clone(),
        clock: Clock::system(),
        target_lists: vec!["1001_movies".to_owned()],
        person_quality: true,
        model_training: true,
        grace: Duration::from_millis(100),
        intervals: QUICK,
    }
}

impl Instance {
    pub(crate) fn start(pool: &PgPool) -> Self {
        Self::with(pool, |jobs| jobs)
    }

    pub(crate) fn with(pool: &PgPool, change: impl FnOnce(Jobs) -> Jobs) -> Self {
        let metrics = metrics();
        let (jobs, stop) = (change(jobs(&pool.connect_options(), &metrics)), CancellationToken::new());
        Self { metrics, running: tokio::spawn(jobs.run(stop.clone())), stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("it stops in time").unwrap();
    }

    fn metric(&self, series: &str) -> f64 {
        metric(&self.metrics, series)
    }

    pub(crate) fn is_running(&self, task: &str) -> bool {
        self.metric(&format!("cinegraph_task_running{{task=\"{task}\"}}")) > 0.0
    }

    /// Number of runs of a task with this outcome.
    pub(crate) fn runs(&self, task: &str, outcome: &str) -> f64 {
        self.metric(&format!("cinegraph_task_runs_total{{task=\"{task}\",outcome=\"{outcome}\"}}"))
    }
}

pub(crate) fn metric(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.recorder.render();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} is missing")).parse().unwrap()
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}

/// A service on a database without overdue tasks.
async fn service(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    // Enough data that no two profiles rank by the same weights.
    let movie = Movie::new("Film").released("1994-05-01").rated(7.0, 7.0).reviewed(70.0, 70.0).nominated(1, 0);
    movie.popularity(9.0).on(&["1001_movies"]).insert(&service.pool).await;
    service.refresh().await;
    for task in [Task::PersonQuality, Task::ScoreRefresh, Task::SnapshotRefresh, Task::ModelTrain] {
        service.store.record_success(task).await.unwrap();
    }
    service
}

async fn only_job(service: &TestService) -> Job {
    let mut jobs = service.store.jobs().await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

/// Blocks snapshot refreshes until dropped.
pub(crate) async fn held(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut held = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE cinegraph.movie_blind_scores").execute(&mut *held).await.unwrap();
    held
}

async fn run(service: &TestService, statement: &'static str) {
    sqlx::query(statement).execute(&service.pool).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn two_workers_run_a_job_once(pool: PgPool) {
    let service = service(pool).await;
    let held = held(&service.pool).await;
    let (one, other) = (Instance::start(&service.pool), Instance::start(&service.pool));
    let running = r#"cinegraph_task_running{task="snapshot_refresh"}"#;
    // Three requests before the job can start.
    for _ in 0..3 {
        service.store.request_task(Task::SnapshotRefresh).await.unwrap();
    }
    until("one instance starts the job", async || one.metric(running) + other.metric(running) > 0.0).await;
    held.rollback().await.unwrap();
    until("the job is done", async || service.store.jobs().await.unwrap().is_empty()).await;

    let runs = one.runs("snapshot_refresh", "ok") + other.runs("snapshot_refresh", "ok");

    // A request during a run causes a second run.
    assert!((1.0..=2.0).contains(&runs), "{runs} runs for three requests");
    assert_eq!(one.runs("snapshot_refresh", "error") + other.runs("snapshot_refresh", "error"), 0.0);
    tokio::join!(one.stop(), other.stop());
}

#[sqlx::test(migrations = false)]
async fn waiting_job_is_enqueued_once(pool: PgPool) {
    let service = service(pool).await;
    for _ in 0..3 {
        service.store.request_task(Task::ScoreRefresh).await.unwrap();
    }
    let job = only_job(&service).await;
    assert_eq!((job.task.as_str(), job.attempts, job.max_attempts), ("score_refresh", 0, 3));

    let (one, other) = (Instance::start(&service.pool), Instance::start(&service.pool));
    until("the job is done", async || service.store.jobs().await.unwrap().is_empty()).await;

    assert_eq!(one.runs("score_refresh", "ok") + other.runs("score_refresh", "ok"), 1.0);
    tokio::join!(one.stop(), other.stop());
}

#[sqlx::test(migrations = false)]
async fn overdue_jobs_run_at_start(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Film").released("1994-05-01").rated(7.0, 7.0).insert(&service.pool).await;
    refresh::snapshot(&service.store, &["1001_movies".to_owned()], &mut |_| ()).await.unwrap();
    run(&service, "UPDATE cinegraph.tasks SET last_success_at = now() - interval '2 hours'").await;

    let instance = Instance::start(&service.pool);
    for task in ["snapshot_refresh", "score_refresh", "person_quality", "model_train"] {
        until(task, async || instance.runs(task, "ok") == 1.0).await;
        assert!(instance.metric(&format!("cinegraph_task_last_success_timestamp_seconds{{task=\"{task}\"}}")) > 1e9);
    }

    assert_eq!(instance.metric(r#"cinegraph_task_interval_seconds{task="snapshot_refresh"}"#), 3600.0);
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn job_of_a_dead_worker_is_run_by_another(pool: PgPool) {
    let service = service(pool).await;
    let held = held(&service.pool).await;
    let options = service.pool.connect_options();
    // A separate runtime, which can be shut down together with all its tasks.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    doomed.spawn(async move { Box::pin(jobs(&options, &metrics()).run(CancellationToken::new())).await });
    service.store.request_task(Task::SnapshotRefresh).await.unwrap();
    until("the job runs", async || only_job(&service).await.running_since.is_some()).await;

    doomed.shutdown_background();
    let other = Instance::start(&service.pool);
    held.rollback().await.unwrap();

    until("the job is done", async || other.runs("snapshot_refresh", "ok") == 1.0).await;
    until("the queue is empty", async || service.store.jobs().await.unwrap().is_empty()).await;
    other.stop().await;
}

#[sqlx::test(migrations = false)]
async fn failing_job_is_attempted_three_times_and_can_be_retried(pool: PgPool) {
    let service = service(pool).await;
    run(&service, "ALTER TABLE cinegraph.movie_blind_scores RENAME TO gone").await;
    let instance = Instance::start(&service.pool);
    service.store.request_task(Task::SnapshotRefresh).await.unwrap();
    for attempt in 1..=3 {
        until("the job fails", async || instance.runs("snapshot_refresh", "error") == f64::from(attempt)).await;
        until("the job is returned to the queue", async || only_job(&service).await.running_since.is_none()).await;
        let pause = sqlx::query_scalar::<_, f64>(
            "SELECT extract(epoch FROM run_at - now())::double precision FROM cinegraph_jobs.jobs",
        );
        assert!(pause.fetch_one(&service.pool).await.unwrap() > 1.0, "it waits before it is tried again");
        run(&service, "UPDATE cinegraph_jobs._private_jobs SET run_at = now()").await;
    }
    let job = only_job(&service).await;
    assert_eq!((job.attempts, job.max_attempts), (3, 3));
    assert!(job.last_error.unwrap().contains("movie_blind_scores"));
    // A later job still runs; the failed one does not.
    service.store.request_task(Task::PersonQuality).await.unwrap();
    until("the later one is done", async || instance.runs("person_quality", "ok") == 1.0).await;
    assert_eq!(instance.runs("snapshot_refresh", "error"), 3.0);
    run(&service, "ALTER TABLE cinegraph.gone RENAME TO movie_blind_scores").await;

    assert_eq!(service.store.retry_jobs(None).await.unwrap(), [job.id]);

    until("the job is done", async || instance.runs("snapshot_refresh", "ok") == 1.0).await;
    until("the queue is empty", async || service.store.jobs().await.unwrap().is_empty()).await;
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn running_job_is_returned_when_its_worker_stops(pool: PgPool) {
    let service = service(pool).await;
    let held = held(&service.pool).await;
    let instance = Instance::start(&service.pool);
    service.store.request_task(Task::SnapshotRefresh).await.unwrap();
    until("the job runs", async || only_job(&service).await.running_since.is_some()).await;

    instance.stop().await;

    let job = only_job(&service).await;
    assert_eq!((job.running_since, job.attempts), (None, 0), "it costs no attempt");
    held.rollback().await.unwrap();
    let other = Instance::start(&service.pool);
    until("the job is done", async || other.runs("snapshot_refresh", "ok") == 1.0).await;
    other.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_changed_rating_is_scored_and_announced_within_a_second(pool: PgPool) {
    let service = service(pool).await;
    let instance = Instance::start(&service.pool);
    until("the drain polls", async || {
        instance.metric(r#"cinegraph_task_last_success_timestamp_seconds{task="score_drain"}"#) > 0.0
    })
    .await;
    let mut listener = PgListener::connect_with(&service.pool).await.unwrap();
    listener.listen("cinegraph_events").await.unwrap();

    run(&service, "UPDATE external_metrics SET value = 9").await;
    let announced = tokio::time::timeout(Duration::from_secs(1), async {
        while listener.recv().await.unwrap().payload() != "scores::1990" {}
    });

    assert!(announced.await.is_ok());
    let score: f64 = sqlx::query_scalar("SELECT popular_opinion_score FROM cinegraph.movie_discovery_scores")
        .fetch_one(&service.pool)
        .await
        .unwrap();
    assert_eq!(score, 0.9);
    // A run that folds titles may come first.
    until("the run is counted", async || {
        instance.metric(r#"cinegraph_task_items_total{task="score_drain",outcome="ok"}"#) > 0.0
    })
    .await;
    assert_eq!(instance.metric(r#"cinegraph_task_items_total{task="score_drain",outcome="ok"}"#), 1.0);
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn queue_age_and_snapshot_age_are_metrics(pool: PgPool) {
    let service = service(pool).await;
    run(
        &service,
        "INSERT INTO cinegraph.score_refresh_queue (reason, enqueued_at) VALUES ('movies', now() - interval '1 minute')",
    )
    .await;
    run(&service, "UPDATE cinegraph.snapshot SET taken_at = now() - interval '1 hour'").await;
    let before = service.store.task_successes().await.unwrap();

    let metrics = metrics();
    let gauges = FreshnessGauges {
        store: open(&service.pool.connect_options(), metrics.clone()).with_dedicated_pool(1, PATIENCE),
        metrics: metrics.tasks.clone(),
        models: metrics.models.clone(),
        clock: Clock::system(),
    };
    let running = AbortOnDropHandle::new(tokio::spawn(gauges.run()));

    let reported = |series: &str| metric(&metrics, series);
    until("the queue age is reported", async || reported("cinegraph_score_queue_oldest_age_seconds") >= 60.0).await;
    assert!(reported("cinegraph_score_queue_films") >= 1.0);
    until("the snapshot age is reported", async || reported("cinegraph_snapshot_age_seconds") >= 3600.0).await;
    for (task, at) in before {
        let series = format!("cinegraph_task_last_success_timestamp_seconds{{task=\"{}\"}}", task.as_str());
        let expected = f64::from(u32::try_from(at.timestamp()).unwrap());
        until(&series, async || reported(&series).floor() == expected).await;
    }
    drop(running);
}

#[sqlx::test(migrations = false)]
async fn full_refresh_reports_corrected_scores(pool: PgPool) {
    let service = service(pool).await;
    run(&service, "UPDATE cinegraph.movie_discovery_scores SET people_quality_score = 1").await;
    let instance = Instance::start(&service.pool);
    for corrected in [1.0, 0.0] {
        let done = instance.runs("score_refresh", "ok");
        service.store.request_task(Task::ScoreRefresh).await.unwrap();
        until("the refresh has run", async || instance.runs("score_refresh", "ok") > done).await;
        assert_eq!(instance.metric("cinegraph_score_reconcile_differences"), corrected);
    }
    instance.stop().await;
}

/// Separate services with cold caches.
async fn cold(service: &TestService) -> (Arc<Services>, Metrics) {
    let metrics = metrics();
    let (versions, clock) = (Versions::default(), Clock::system());
    let cache_context =
        CacheContext { versions: versions.clone(), clock, metrics: metrics.caches.clone(), redis: None };
    let store = open(&service.pool.connect_options(), metrics.clone());
    store.read_versions(&versions).await.unwrap();
    let config = Config::from_layers(None, [], &Overrides::default()).unwrap();
    (Arc::new(Services::new(&store, &cache_context, &config, &metrics.breakers)), metrics)
}

#[sqlx::test(migrations = false)]
async fn warmed_queries_need_no_database(pool: PgPool) {
    let service = service(pool).await;
    let (services, metrics) = cold(&service).await;

    let warmed = warm(&services).await.unwrap();

    let profiles = services.profiles.all().await.unwrap();
    assert_eq!((profiles.len(), warmed.ready, warmed.failed), (5, 10, 0));
    let stored = |cache| {
        metric(&metrics, &format!(r#"cinegraph_cache_writes_total{{cache="{cache}",layer="l1",reason="warm"}}"#))
    };
    assert_eq!(stored("predictions"), 5.0);
    let statements = || {
        metrics.recorder.upkeep();
        let text = metrics.recorder.render();
        let counts = text.lines().filter_map(|line| line.strip_prefix("db_client_operation_duration_seconds_count"));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = statements();
    let criteria = services.reference.names().await.unwrap().criteria;
    for profile in profiles.iter() {
        let weights = TestedWeights { weights: profile.weights.among(criteria), custom: false, model: None };
        let decade = Decade::starting(1990).unwrap();
        Box::pin(services.validation.of_decade("1001_movies", decade, weights, Basis::Blind)).await.unwrap();
    }
    assert_eq!(statements(), before);
    assert_eq!(warm(&services).await.unwrap().ready, warmed.ready);
    assert_eq!(stored("predictions"), 5.0, "what is fresh is not made again");
}

#[sqlx::test(migrations = false)]
async fn an_invalidation_is_followed_by_warming(pool: PgPool) {
    let service = service(pool).await;
    let (services, metrics) = cold(&service).await;
    let warming = Warming {
        services: Arc::clone(&services),
        store: service.store.clone(),
        metrics: metrics.tasks.clone(),
        clock: Clock::system(),
    };
    warming.first_page().await;
    let (stop, runs) = (CancellationToken::new(), r#"cinegraph_task_runs_total{task="cache_warm",outcome="ok"}"#);
    let warming = tokio::spawn(warming.run(stop.clone()));
    until("caches are warm", async || metric(&metrics, runs) == 1.0).await;

    service.store.invalidate(&Scope::List("1001_movies".into(), Decade::CURRENT), &Versions::default()).await.unwrap();
    service.store.read_versions(&services.versions).await.unwrap();

    until("caches are warm again", async || metric(&metrics, runs) == 2.0).await;
    stop.cancel();
    warming.await.unwrap();
}
