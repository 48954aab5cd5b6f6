//! Refreshes: only what changed is written, versions tell which decades, and a run can be cut off and repeated.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use cinegraph::services::refresh;
use cinegraph::store::{Changes, ScoreBatch};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Film, TestService, credit, person};

fn film(title: &str) -> Film {
    Film::new(title).released("1994-05-01").rated(7.0, 7.0)
}

async fn scores(service: &TestService) -> Changes {
    refresh::scores(&service.store, &mut |_| ()).await.unwrap()
}

/// Three films of the 1990s, their ids, and their scores as stored.
async fn three_films(pool: PgPool) -> (TestService, [i64; 3]) {
    let service = TestService::on(pool).await;
    let mut ids = [0; 3];
    for id in &mut ids {
        *id = film("Film").insert(&service.pool).await;
    }
    service.refresh().await;
    (service, ids)
}

/// When the scores of each film were stored.
async fn stored(service: &TestService) -> HashMap<i64, DateTime<Utc>> {
    let rows: Vec<(i64, DateTime<Utc>)> =
        sqlx::query_as("SELECT movie_id, computed_at FROM cinegraph.movie_discovery_scores")
            .fetch_all(&service.pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// How often the scores of each decade changed.
async fn versions(service: &TestService) -> BTreeMap<i32, i64> {
    let rows: Vec<(i32, i64)> =
        sqlx::query_as("SELECT decade, version FROM cinegraph.data_versions WHERE scope = 'scores'")
            .fetch_all(&service.pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

async fn change(service: &TestService, statement: &'static str, movie: i64) {
    assert_eq!(sqlx::query(statement).bind(movie).execute(&service.pool).await.unwrap().rows_affected(), 1);
}

async fn error(service: &TestService, query: &str) -> Value {
    service.ask(query, json!({})).await["errors"][0].take()
}

#[sqlx::test(migrations = false)]
async fn a_second_refresh_changes_nothing(pool: PgPool) {
    let (service, [first, ..]) = three_films(pool).await;
    let somebody = person(&service.pool, "Ann").await;
    credit(&service.pool, first, somebody, None).await;
    service.refresh().await;
    let before = (stored(&service).await, versions(&service).await);

    let people = refresh::person_quality(&service.store, &mut |_| ()).await.unwrap();
    let films = scores(&service).await;

    assert_eq!((people, films), (Changes { rows: 1, changed: 0 }, Changes { rows: 3, changed: 0 }));
    assert_eq!((stored(&service).await, versions(&service).await), before);
}

#[sqlx::test(migrations = false)]
async fn a_nan_metric_is_no_change(pool: PgPool) {
    let service = TestService::on(pool).await;
    film("Film").popularity(f64::NAN).insert(&service.pool).await;
    service.refresh().await;
    assert_eq!(scores(&service).await, Changes { rows: 1, changed: 0 });
}

#[sqlx::test(migrations = false)]
async fn a_changed_metric_changes_that_film_alone(pool: PgPool) {
    let (service, [_, changed, _]) = three_films(pool).await;
    let before = stored(&service).await;
    let rating = "UPDATE external_metrics SET value = 8 WHERE source = 'imdb' AND movie_id = $1";
    change(&service, rating, changed).await;

    assert_eq!(scores(&service).await, Changes { rows: 3, changed: 1 });

    let after = stored(&service).await;
    let rewritten: Vec<_> =
        after.iter().filter(|(movie, at)| before[*movie] != **at).map(|(movie, _)| *movie).collect();
    assert_eq!(rewritten, [changed]);
}

#[sqlx::test(migrations = false)]
async fn a_change_of_person_quality_reaches_the_films(pool: PgPool) {
    let (service, [first, ..]) = three_films(pool).await;
    let somebody = person(&service.pool, "Ann").await;
    credit(&service.pool, first, somebody, None).await;

    let people = refresh::person_quality(&service.store, &mut |_| ()).await.unwrap();

    assert_eq!((people.changed, scores(&service).await.changed), (1, 1));
}

#[sqlx::test(migrations = false)]
async fn who_has_no_record_any_more_has_no_quality(pool: PgPool) {
    let (service, [first, ..]) = three_films(pool).await;
    let somebody = person(&service.pool, "Ann").await;
    credit(&service.pool, first, somebody, None).await;
    service.refresh().await;
    change(&service, "DELETE FROM movie_credits WHERE movie_id = $1", first).await;

    let people = refresh::person_quality(&service.store, &mut |_| ()).await.unwrap();

    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM person_metrics").fetch_one(&service.pool).await.unwrap();
    assert_eq!((people.changed, left), (1, 0));
}

#[sqlx::test(migrations = false)]
async fn a_film_that_is_no_longer_full_loses_its_scores(pool: PgPool) {
    let (service, [soft, ..]) = three_films(pool).await;
    let before = versions(&service).await;
    change(&service, "UPDATE movies SET import_status = 'soft' WHERE id = $1", soft).await;

    assert_eq!(scores(&service).await, Changes { rows: 2, changed: 1 });

    assert!(!stored(&service).await.contains_key(&soft));
    assert_eq!(versions(&service).await[&1990], before[&1990] + 1);
}

#[sqlx::test(migrations = false)]
async fn a_deleted_film_loses_its_scores(pool: PgPool) {
    let (service, [.., last]) = three_films(pool).await;
    let before = versions(&service).await;
    change(&service, "DELETE FROM movies WHERE id = $1", last).await;

    assert_eq!(scores(&service).await, Changes { rows: 2, changed: 1 });

    assert!(!stored(&service).await.contains_key(&last));
    assert_eq!(versions(&service).await[&1990], before[&1990] + 1);
}

#[sqlx::test(migrations = false)]
async fn a_film_that_moves_to_another_decade_raises_both_versions_and_no_other(pool: PgPool) {
    let (service, [moved, ..]) = three_films(pool).await;
    film("Elsewhere").released("1980-01-01").insert(&service.pool).await;
    service.refresh().await;
    let mut expected = versions(&service).await;
    for decade in [1990, 2000] {
        *expected.entry(decade).or_default() += 1;
    }
    change(&service, "UPDATE movies SET release_date = '2003-01-01' WHERE id = $1", moved).await;

    scores(&service).await;

    assert_eq!(versions(&service).await, expected);
}

#[sqlx::test(migrations = false)]
async fn an_interrupted_refresh_is_completed_by_the_next(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second", "Third"] {
        film(title).insert(&service.pool).await;
    }
    service.store.refresh_scores(i64::MIN, 1).await.unwrap();
    assert_eq!(stored(&service).await.len(), 1);

    assert_eq!(scores(&service).await, Changes { rows: 3, changed: 2 });
    assert_eq!(stored(&service).await.len(), 3);
}

#[sqlx::test(migrations = false)]
async fn batches_together_are_the_whole(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second", "Third"] {
        film(title).insert(&service.pool).await;
    }
    let (mut after, mut batches) = (i64::MIN, vec![]);
    while let Some(ScoreBatch { batch, .. }) = service.store.refresh_scores(after, 2).await.unwrap() {
        batches.push(batch.rows);
        after = batch.last_id;
    }
    assert_eq!((batches, stored(&service).await.len()), (vec![2, 1], 3));
}

#[sqlx::test(migrations = false)]
async fn validation_without_a_snapshot_says_what_to_run(pool: PgPool) {
    let service = TestService::on(pool).await;
    let error = error(&service, "{ decadeValidation(decade: 1990) { hits } }").await;
    assert_eq!(error["extensions"]["code"], "SERVICE_UNAVAILABLE");
    assert!(error["message"].as_str().unwrap().contains("cinegraph refresh all"), "{error:#}");
}

#[sqlx::test(migrations = false)]
async fn validation_reads_the_snapshot_until_the_next_is_taken(pool: PgPool) {
    let (service, [first, ..]) = three_films(pool).await;
    let query = "{ decadeValidation(decade: 1990) { population } }";
    change(&service, "DELETE FROM movies WHERE id = $1", first).await;
    scores(&service).await;
    let before = service.data(query).await;

    service.refresh().await;

    let population = |films: usize| json!({"decadeValidation": {"population": films}});
    assert_eq!((before, service.data(query).await), (population(3), population(2)));
}

#[sqlx::test(migrations = false)]
async fn without_a_default_profile_the_error_says_how_to_make_one(pool: PgPool) {
    let (service, _) = three_films(pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET is_default = false").execute(&service.pool).await.unwrap();

    let error = error(&service, "{ predictions { totalCount } }").await;

    assert_eq!(error["extensions"]["code"], "SERVICE_UNAVAILABLE");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("set is_default on one row of metric_weight_profiles"), "{message}");
}

#[sqlx::test(migrations = false)]
async fn an_inactive_default_profile_is_none(pool: PgPool) {
    let (service, _) = three_films(pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET active = false WHERE is_default")
        .execute(&service.pool)
        .await
        .unwrap();
    assert_eq!(service.refusal("{ predictions { totalCount } }").await, ("SERVICE_UNAVAILABLE".into(), None));
}

#[sqlx::test(migrations = false)]
async fn a_named_profile_needs_no_default(pool: PgPool) {
    let (service, _) = three_films(pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET is_default = false").execute(&service.pool).await.unwrap();
    let data = service.data(r#"{ predictions(profile: "Balanced", decade: 1990) { totalCount } }"#).await;
    assert_eq!(data["predictions"]["totalCount"], 3);
}
