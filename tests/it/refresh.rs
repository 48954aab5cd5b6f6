//! Refreshes write only changed rows, raise the versions of changed decades, and can be interrupted and repeated.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use cinegraph::services::refresh;
use cinegraph::store::{Changes, ScoreBatch};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TestService, credit, person};

fn movie(title: &str) -> Movie {
    Movie::new(title).released("1994-05-01").rated(7.0, 7.0)
}

async fn scores(service: &TestService) -> Changes {
    refresh::scores(&service.store, &mut |_| ()).await.unwrap()
}

/// Three movies of the 1990s with stored scores, and their ids.
async fn three_movies(pool: PgPool) -> (TestService, [i64; 3]) {
    let service = TestService::on(pool).await;
    let mut ids = [0; 3];
    for id in &mut ids {
        *id = movie("Film").insert(&service.pool).await;
    }
    service.refresh().await;
    (service, ids)
}

/// When the scores of each movie were computed.
async fn stored(service: &TestService) -> HashMap<i64, DateTime<Utc>> {
    let rows: Vec<(i64, DateTime<Utc>)> =
        sqlx::query_as("SELECT movie_id, computed_at FROM cinegraph.movie_discovery_scores")
            .fetch_all(&service.pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// The score version of each decade.
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
    service.execute(query, json!({})).await["errors"][0].take()
}

#[sqlx::test(migrations = false)]
async fn a_second_refresh_changes_nothing(pool: PgPool) {
    let (service, [first, ..]) = three_movies(pool).await;
    let person_id = person(&service.pool, "Ann").await;
    credit(&service.pool, first, person_id, None).await;
    service.refresh().await;
    let before = (stored(&service).await, versions(&service).await);

    let people = refresh::person_quality(&service.store, &mut |_| ()).await.unwrap();
    let movies = scores(&service).await;

    assert_eq!((people, movies), (Changes { rows: 1, changed: 0 }, Changes { rows: 3, changed: 0 }));
    assert_eq!((stored(&service).await, versions(&service).await), before);
}

#[sqlx::test(migrations = false)]
async fn a_nan_metric_is_no_change(pool: PgPool) {
    let service = TestService::on(pool).await;
    movie("Film").popularity(f64::NAN).insert(&service.pool).await;
    service.refresh().await;
    assert_eq!(scores(&service).await, Changes { rows: 1, changed: 0 });
}

#[sqlx::test(migrations = false)]
async fn changed_metric_changes_only_that_movie(pool: PgPool) {
    let (service, [_, changed, _]) = three_movies(pool).await;
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
async fn change_of_person_quality_reaches_the_movies(pool: PgPool) {
    let (service, [first, ..]) = three_movies(pool).await;
    let person_id = person(&service.pool, "Ann").await;
    credit(&service.pool, first, person_id, None).await;

    let people = refresh::person_quality(&service.store, &mut |_| ()).await.unwrap();

    assert_eq!((people.changed, scores(&service).await.changed), (1, 1));
}

#[sqlx::test(migrations = false)]
async fn person_without_a_record_loses_the_quality(pool: PgPool) {
    let (service, [first, ..]) = three_movies(pool).await;
    let person_id = person(&service.pool, "Ann").await;
    credit(&service.pool, first, person_id, None).await;
    service.refresh().await;
    change(&service, "DELETE FROM movie_credits WHERE movie_id = $1", first).await;

    let people = refresh::person_quality(&service.store, &mut |_| ()).await.unwrap();

    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM person_metrics").fetch_one(&service.pool).await.unwrap();
    assert_eq!((people.changed, left), (1, 0));
}

#[sqlx::test(migrations = false)]
async fn movie_that_is_no_longer_full_loses_its_scores(pool: PgPool) {
    let (service, [soft, ..]) = three_movies(pool).await;
    let before = versions(&service).await;
    change(&service, "UPDATE movies SET import_status = 'soft' WHERE id = $1", soft).await;

    assert_eq!(scores(&service).await, Changes { rows: 2, changed: 1 });

    assert!(!stored(&service).await.contains_key(&soft));
    assert_eq!(versions(&service).await[&1990], before[&1990] + 1);
}

#[sqlx::test(migrations = false)]
async fn deleted_movie_loses_its_scores(pool: PgPool) {
    let (service, [.., last]) = three_movies(pool).await;
    let before = versions(&service).await;
    change(&service, "DELETE FROM movies WHERE id = $1", last).await;

    assert_eq!(scores(&service).await, Changes { rows: 2, changed: 1 });

    assert!(!stored(&service).await.contains_key(&last));
    assert_eq!(versions(&service).await[&1990], before[&1990] + 1);
}

#[sqlx::test(migrations = false)]
async fn movie_that_changes_decade_raises_only_both_versions(pool: PgPool) {
    let (service, [moved, ..]) = three_movies(pool).await;
    movie("Elsewhere").released("1980-01-01").insert(&service.pool).await;
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
async fn next_refresh_completes_an_interrupted_one(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second", "Third"] {
        movie(title).insert(&service.pool).await;
    }
    service.store.refresh_scores(i64::MIN, 1).await.unwrap();
    assert_eq!(stored(&service).await.len(), 1);

    assert_eq!(scores(&service).await, Changes { rows: 3, changed: 2 });
    assert_eq!(stored(&service).await.len(), 3);
}

#[sqlx::test(migrations = false)]
async fn batched_refresh_equals_a_full_one(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["First", "Second", "Third"] {
        movie(title).insert(&service.pool).await;
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
    let (service, [first, ..]) = three_movies(pool).await;
    let query = "{ decadeValidation(decade: 1990) { population } }";
    change(&service, "DELETE FROM movies WHERE id = $1", first).await;
    scores(&service).await;
    let before = service.data(query).await;

    service.refresh().await;

    let population = |movies: usize| json!({"decadeValidation": {"population": movies}});
    assert_eq!((before, service.data(query).await), (population(3), population(2)));
}

#[sqlx::test(migrations = false)]
async fn missing_default_profile_error_says_how_to_create_one(pool: PgPool) {
    let (service, _) = three_movies(pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET is_default = false").execute(&service.pool).await.unwrap();

    let error = error(&service, "{ predictions { totalCount } }").await;

    assert_eq!(error["extensions"]["code"], "SERVICE_UNAVAILABLE");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("set is_default on one row of metric_weight_profiles"), "{message}");
}

#[sqlx::test(migrations = false)]
async fn inactive_default_profile_counts_as_missing(pool: PgPool) {
    let (service, _) = three_movies(pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET active = false WHERE is_default")
        .execute(&service.pool)
        .await
        .unwrap();
    assert_eq!(service.refusal("{ predictions { totalCount } }").await, ("SERVICE_UNAVAILABLE".into(), None));
}

#[sqlx::test(migrations = false)]
async fn a_named_profile_needs_no_default(pool: PgPool) {
    let (service, _) = three_movies(pool).await;
    sqlx::query("UPDATE metric_weight_profiles SET is_default = false").execute(&service.pool).await.unwrap();
    let data = service.data(r#"{ predictions(profile: "Balanced", decade: 1990) { totalCount } }"#).await;
    assert_eq!(data["predictions"]["totalCount"], 3);
}
