//! `atLeast`: a client that knows of a data version sees no older data.

use cinegraph::services::refresh;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::cli::Server;
use crate::support::{Movie, PostgresServer, RedisServer, TestService, store_of, until};

const FIELDS: [&str; 2] = ["predictions", "confirmedAdditions"];

/// Movies of the 1990s, each second one listed; scored. Their equal reviews and awards are further criteria with data, so
/// that no two selections of weights are the same.
async fn nineties(pool: &PgPool, redis: Option<&str>) -> TestService {
    let service = TestService::sharing(pool.clone(), redis).await;
    for number in 0..8_u8 {
        let movie = Movie::new(&format!("Film {number}")).released("1994-05-01").rated(f64::from(number), 5.0);
        let movie = movie.reviewed(50.0, 50.0).nominated(1, 0);
        let movie = if number % 2 == 0 { movie.on(&["1001_movies"]) } else { movie };
        movie.insert(pool).await;
    }
    service.refresh().await;
    service
}

/// Reverses the ranking. The service is not told.
async fn reverse(pool: &PgPool) {
    let ratings =
        "UPDATE external_metrics SET value = 7 - value WHERE source = 'tmdb' AND metric_type = 'rating_average'";
    sqlx::query(ratings).execute(pool).await.unwrap();
    refresh::scores(&store_of(pool), &mut |_| ()).await.unwrap();
}

async fn version_in(pool: &PgPool) -> i64 {
    let version = "SELECT version FROM cinegraph.data_versions WHERE scope = 'scores' AND decade = 1990";
    sqlx::query_scalar(version).fetch_one(pool).await.unwrap()
}

fn query(field: &str, arguments: &str) -> String {
    format!("{{ {field}(decade: 1990{arguments}) {{ dataVersion nodes {{ score movie {{ title }} }} }} }}")
}

/// The version of a response and its first title.
fn summary(data: &Value, field: &str) -> (i64, String) {
    let connection = &data[field];
    let title = connection["nodes"][0]["movie"]["title"].as_str().unwrap().to_owned();
    (connection["dataVersion"].as_i64().unwrap(), title)
}

#[sqlx::test(migrations = false)]
async fn the_response_has_the_version_although_an_older_one_is_cached_and_fresh(pool: PgPool) {
    for redis in [None, Some(RedisServer::start().await)] {
        let redis = redis.as_ref().map(RedisServer::url);
        let service = nineties(&pool, redis.as_deref()).await;
        for field in FIELDS {
            let custom =
                ", weights: { popularOpinion: 1, criticalAcclaim: 2, industryRecognition: 4, culturalImpact: 1,
                           peopleQuality: 2 }";
            let variants = ["", ", profile: \"Critics Choice\"", custom];
            for variant in variants {
                let (known, title) = summary(&service.data(&query(field, variant)).await, field);
                reverse(&pool).await;
                let newer = version_in(&pool).await;
                assert!(newer > known);

                let wanted = query(field, &format!("{variant}, atLeast: {newer}"));
                let (version, other) = summary(&service.data(&wanted).await, field);
                assert_eq!(version, newer, "{wanted}");
                assert_ne!(other, title, "{wanted}");
                // Other documents are served as before: from the cached page, for its five seconds.
                assert_eq!(summary(&service.data(&query(field, variant)).await, field), (known, title));
                let statements = service.statements();
                assert_eq!(summary(&service.data(&wanted).await, field), (newer, other));
                let lower = query(field, &format!("{variant}, atLeast: {known}"));
                assert!(summary(&service.data(&lower).await, field).0 >= known);
                assert_eq!(service.statements(), statements, "both are served from memory");
                service.later(chrono::TimeDelta::days(1));
            }
        }
        sqlx::query("DELETE FROM movies").execute(&pool).await.unwrap();
        service.refresh().await;
    }
}

#[sqlx::test(migrations = false)]
async fn without_a_minimum_the_response_is_the_usual_one(pool: PgPool) {
    let service = nineties(&pool, None).await;
    for field in FIELDS {
        let usual = service.data(&query(field, "")).await;
        for minimum in [", atLeast: null", ", atLeast: 0", ", atLeast: 1"] {
            assert_eq!(service.data(&query(field, minimum)).await, usual, "{minimum}");
        }
        let with_variable = format!("query ($known: Int) {}", query(field, ", atLeast: $known"));
        for variables in [json!({}), json!({ "known": null }), json!({ "known": 1 })] {
            assert_eq!(service.execute(&with_variable, variables.clone()).await["data"], usual, "{variables}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn numbers_that_are_no_version_of_this_data_are_errors(pool: PgPool) {
    let service = nineties(&pool, None).await;
    let at_least = || Some("atLeast".to_owned());
    for field in FIELDS {
        for (number, code, of) in [
            ("-1", "BAD_USER_INPUT", at_least()),
            ("-9223372036854775808", "BAD_USER_INPUT", at_least()),
            ("1000", "CONFLICT", at_least()),
            ("2147483648", "CONFLICT", at_least()),
            ("9223372036854775807", "CONFLICT", at_least()),
            ("1.5", "GRAPHQL_VALIDATION_FAILED", None),
            ("\"7\"", "GRAPHQL_VALIDATION_FAILED", None),
        ] {
            let refusal = service.refusal(&query(field, &format!(", atLeast: {number}"))).await;
            assert_eq!(refusal, (code.to_owned(), of), "{number}");
        }
        // The version of this decade is none of an empty decade.
        let version = version_in(&pool).await;
        let empty = query(field, &format!(", atLeast: {version}")).replace("1990", "1950");
        assert_eq!(service.refusal(&empty).await, ("CONFLICT".to_owned(), at_least()));
    }
}

#[sqlx::test(migrations = false)]
async fn a_version_of_a_database_that_was_replaced_is_a_conflict(pool: PgPool) {
    let service = nineties(&pool, None).await;
    reverse(&pool).await;
    let lost = version_in(&pool).await;
    service.data(&query("predictions", &format!(", atLeast: {lost}"))).await;
    sqlx::raw_sql(
        "UPDATE cinegraph.data_versions SET version = version - 1 WHERE version > 1;
         UPDATE cinegraph.data_versions SET floor = least(floor, version);
         UPDATE cinegraph.installation SET identity = gen_random_uuid()",
    )
    .execute(&pool)
    .await
    .unwrap();
    service.see_changes().await;
    let refusal = service.refusal(&query("predictions", &format!(", atLeast: {lost}"))).await;
    assert_eq!(refusal, ("CONFLICT".to_owned(), Some("atLeast".to_owned())));
    assert_eq!(summary(&service.data(&query("predictions", "")).await, "predictions").0, lost - 1);
}

#[tokio::test]
async fn in_an_outage_a_page_below_the_minimum_is_not_served() {
    let mut server = PostgresServer::start().await;
    let pool = PgPool::connect(&server.url("postgres")).await.unwrap();
    drop(nineties(&pool, None).await);
    let service = TestService::impatient(pool.clone()).await;
    let (cached, _) = summary(&service.data(&query("predictions", "")).await, "predictions");
    reverse(&pool).await;
    let newer = version_in(&pool).await;
    service.see_changes().await;
    server.kill();

    assert_eq!(summary(&service.data(&query("predictions", "")).await, "predictions").0, cached);
    let enough = query("predictions", &format!(", atLeast: {cached}"));
    assert_eq!(summary(&service.data(&enough).await, "predictions").0, cached);
    for minimum in [newer, newer + 1] {
        let query = query("predictions", &format!(", atLeast: {minimum}"));
        let response = service.execute(&query, json!({})).await;
        let extensions = &response["errors"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["retryAfter"]), (&json!("SERVICE_UNAVAILABLE"), &json!(1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lacks_the_version_does_not_respond() {
    let primary = PostgresServer::start().await;
    let pool = PgPool::connect(&primary.url("postgres")).await.unwrap();
    drop(nineties(&pool, None).await);
    let replica = primary.replica().await;
    let settings =
        [("CINEGRAPH_REPLICA_URL", replica.url("postgres")), ("CINEGRAPH_REPLICA_MAX_LAG_SECONDS", "60".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::configured(
        &primary.url("postgres"),
        &["serve", "--no-jobs", "--http-addr", "127.0.0.1:0"],
        &settings,
        "serving",
    );
    let reads = || {
        let (_, metrics) = crate::cli::get(&server.admin, "/metrics");
        let of_replica = |line: &str| {
            line.starts_with("db_client_connection_wait_time_seconds_count") && line.contains("pool=\"replica\"")
        };
        metrics.lines().find(|line| of_replica(line)).and_then(|line| line.rsplit_once(' ')?.1.parse::<u32>().ok())
    };
    let at_least = |version: i64| {
        let (_, _, body) =
            server.execute(&json!({ "query": query("predictions", &format!(", atLeast: {version}")) }).to_string());
        summary(&serde_json::from_str::<Value>(&body).unwrap()["data"], "predictions")
    };
    // The identity of a replica is that of its primary, so it is used.
    until("the replica is used", async || {
        let before = reads();
        reverse(&pool).await;
        at_least(version_in(&pool).await);
        reads() > before
    })
    .await;
    replica.run("SELECT pg_wal_replay_pause()").await;
    let (_, title) = at_least(version_in(&pool).await);
    reverse(&pool).await;
    let newer = version_in(&pool).await;
    let (version, other) = at_least(newer);
    assert_eq!(version, newer);
    assert_ne!(other, title);
}
