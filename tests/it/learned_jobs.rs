//! Learned rankings as background work: when they are trained, and what the metrics say about them.

use std::time::Duration;

use cinegraph::clock::Clock;
use cinegraph::jobs::{FreshnessGauges, Jobs};
use cinegraph::services::learned;
use cinegraph::store::{ModelVersion, Store, Task};
use sqlx::PgPool;
use tokio_util::task::AbortOnDropHandle;

use crate::jobs::{Instance, metric, until};
use crate::support::{TestService, metrics, open};

const LIST: &str = "1001_movies";

/// A service with generated movies and a snapshot, on which only trainings are overdue.
async fn filled(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    service.fill(300).await;
    service
}

async fn versions(store: &Store) -> Vec<ModelVersion> {
    store.model_versions(Some(LIST)).await.unwrap()
}

async fn run(service: &TestService, statement: &'static str) {
    sqlx::query(statement).execute(&service.pool).await.unwrap();
}

/// Waits until no job is left, those for later included.
async fn all_done(service: &TestService) {
    until("all jobs are done", async || {
        run(service, "UPDATE cinegraph_jobs._private_jobs SET run_at = now() WHERE run_at > now()").await;
        service.store.jobs().await.unwrap().is_empty()
    })
    .await;
}

/// Takes a snapshot, and waits for what follows from it.
async fn snapshot(service: &TestService, instance: &Instance) {
    let before = instance.runs("snapshot_refresh", "ok");
    service.store.request_task(Task::SnapshotRefresh).await.unwrap();
    until("the snapshot is taken", async || instance.runs("snapshot_refresh", "ok") > before).await;
    all_done(service).await;
}

#[sqlx::test(migrations = false)]
async fn a_changed_list_is_trained_again_and_an_unchanged_one_is_not(pool: PgPool) {
    let service = filled(pool).await;
    let instance = Instance::start(&service.pool);
    until("overdue trainings run", async || instance.runs("model_train", "ok") == 1.0).await;
    let first = versions(&service.store).await;
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().all(|version| version.report.refusal.is_some()), "so few movies are not learnable");

    snapshot(&service, &instance).await;
    assert_eq!(versions(&service.store).await, first);

    run(
        &service,
        "UPDATE movies SET canonical_sources = canonical_sources - '1001_movies'
         WHERE id = (SELECT id FROM movies WHERE canonical_sources ? '1001_movies' AND import_status = 'full' LIMIT 1)",
    )
    .await;
    until("the list is trained again", async || {
        all_done(&service).await;
        versions(&service.store).await.len() == 4
    })
    .await;
    let second = versions(&service.store).await;
    assert_eq!(second[0].report.members, first[0].report.members - 1);

    snapshot(&service, &instance).await;
    assert_eq!(versions(&service.store).await, second);
    assert_eq!(instance.runs("model_train", "error"), 0.0);
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn all_lists_are_trained_once_a_night(pool: PgPool) {
    let service = filled(pool).await;
    let configured = [LIST.to_owned()];
    let now = service.store.database_time().await.unwrap();
    assert_eq!(learned::keep_current(&service.store, &configured, now).await.unwrap(), Some(2));
    assert_eq!(learned::keep_current(&service.store, &configured, now).await.unwrap(), Some(0));

    let later = service.store.database_time().await.unwrap();
    assert_eq!(learned::keep_current(&service.store, &configured, later).await.unwrap(), Some(2));
}

#[sqlx::test(migrations = false)]
async fn one_instance_trains_at_a_time(pool: PgPool) {
    let service = filled(pool).await;
    let lock = service.store.model_training().await.unwrap();
    assert!(lock.is_some());
    let instance = Instance::start(&service.pool);
    until("the run is skipped", async || instance.runs("model_train", "skipped") == 1.0).await;
    assert_eq!(versions(&service.store).await, []);
    drop(lock);

    // What was skipped follows the next snapshot.
    snapshot(&service, &instance).await;
    until("the list is trained", async || versions(&service.store).await.len() == 2).await;
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn an_instance_can_leave_trainings_to_others(pool: PgPool) {
    let service = filled(pool).await;
    let instance = Instance::with(&service.pool, |jobs| Jobs { model_training: false, ..jobs });
    snapshot(&service, &instance).await;
    assert_eq!(instance.runs("model_train", "ok"), 0.0);
    assert_eq!(versions(&service.store).await, []);
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_database_without_movies_is_no_failure(pool: PgPool) {
    let service = TestService::on(pool).await;
    let instance = Instance::start(&service.pool);
    until("overdue trainings run", async || instance.runs("model_train", "ok") > 0.0).await;
    snapshot(&service, &instance).await;
    assert_eq!(instance.runs("model_train", "error"), 0.0);
    assert_eq!(versions(&service.store).await.len(), 2);
    instance.stop().await;
}

#[sqlx::test(migrations = false)]
async fn learned_rankings_are_measured(pool: PgPool) {
    let service = filled(pool).await;
    let metrics = metrics();
    let model = |name: &str| {
        let series = format!("cinegraph_model_{name}{{list=\"{LIST}\",ranking=\"learned_without_lists\"}}");
        let rendered = metrics.recorder.render();
        rendered.contains(&series).then(|| metric(&metrics, &series))
    };
    // Each polls at once.
    let polled = async |name: &str, expected: &dyn Fn(f64) -> bool| {
        let gauges = FreshnessGauges {
            store: open(&service.pool.connect_options(), metrics.clone())
                .with_dedicated_pool(1, Duration::from_secs(30)),
            metrics: metrics.tasks.clone(),
            models: metrics.models.clone(),
            clock: Clock::system(),
        };
        let _running = AbortOnDropHandle::new(tokio::spawn(gauges.run()));
        until(name, async || model(name).is_some_and(expected)).await;
    };
    polled("served", &|served| served == 0.0).await;
    assert_eq!(model("refusals"), Some(0.0));

    for refused in [1.0, 2.0] {
        learned::train_all(&service.store, &[LIST.to_owned()], &mut |_| ()).await.unwrap();
        polled("refusals", &|refusals| refusals == refused).await;
    }
    assert_eq!((model("served"), model("age_seconds")), (Some(0.0), Some(0.0)));
    assert!(model("training_seconds").unwrap() > 0.0);
    let report = &versions(&service.store).await[0].report;
    assert_eq!(model("recall_ratio"), report.validation.pooled.at_n.share());
    assert_eq!(model("log_loss"), Some(report.validation.pooled.log_loss));

    run(
        &service,
        "UPDATE cinegraph.model_versions SET status = 'accepted', model = '', trained_at = now() - interval '1 hour'
         WHERE id = (SELECT min(id) FROM cinegraph.model_versions WHERE variant = 'without_lists')",
    )
    .await;
    polled("served", &|served| served == 1.0).await;
    assert_eq!(model("refusals"), Some(1.0));
    assert!((3600.0..3700.0).contains(&model("age_seconds").unwrap()));

    run(&service, "DELETE FROM cinegraph.target_lists").await;
    polled("served", &|served| served == 0.0).await;
    assert_eq!((model("refusals"), model("age_seconds"), model("log_loss")), (Some(0.0), Some(0.0), Some(0.0)));
}
