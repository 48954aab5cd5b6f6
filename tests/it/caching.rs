//! Caching: TTLs, stale-while-revalidate, soft and hard invalidation, outages.

use std::convert::Infallible;
use std::fs;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::TimeDelta;
use cinegraph::scoring::Decade;
use cinegraph::versions::{Scope, Versions};
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::process::Command;

use crate::cli::Server;
use crate::support::{Movie, RedisServer, TestService, until, url};

const PAGE: &str = "{ predictions(decade: 1990) { nodes { score movie { title } } } }";

/// Three movies of the 1990s.
async fn nineties(pool: PgPool, redis: Option<&str>) -> TestService {
    let service = TestService::sharing(pool, redis).await;
    for (title, rating) in [("First", 9.0), ("Second", 8.0), ("Third", 7.0)] {
        Movie::new(title).released("1994-05-01").metric("imdb", "rating_average", rating).insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

/// Changes the rating of the movie with this title, recomputes its score, and reads the new versions.
async fn rate(service: &TestService, title: &str, rating: f64) {
    sqlx::query(
        "UPDATE external_metrics SET value = $2 WHERE metric_type = 'rating_average'
         AND movie_id = (SELECT id FROM movies WHERE title = $1)",
    )
    .bind(title)
    .bind(rating)
    .execute(&service.pool)
    .await
    .unwrap();
    cinegraph::services::refresh::scores(&service.store, &mut |_| ()).await.unwrap();
    service.see_changes().await;
}

fn first(response: &Value) -> &str {
    response["predictions"]["nodes"][0]["movie"]["title"].as_str().unwrap()
}

async fn sent(service: &TestService, query: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let response = service.send(query, json!({}), headers).await;
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[sqlx::test(migrations = false)]
async fn repeated_request_is_a_cache_hit_without_statements(pool: PgPool) {
    let service = nineties(pool, None).await;
    let (_, headers, body) = sent(&service, PAGE, &[]).await;
    let statements = service.statements();
    assert!(header(&headers, "cache-status").starts_with("cinegraph; fwd=miss; stored"), "{headers:?}");

    service.later(TimeDelta::seconds(7));
    let (_, again, same) = sent(&service, PAGE, &[]).await;

    assert_eq!((service.statements(), same), (statements, body));
    assert_eq!(header(&again, "age"), "7");
    assert_eq!(header(&again, "etag"), header(&headers, "etag"));
    assert!(header(&again, "cache-status").starts_with("cinegraph; hit"), "{again:?}");
    assert!(header(&again, "cache-control").starts_with("public, max-age="), "{again:?}");
    // A hit counts as an operation, a root field and a prediction.
    assert_eq!(service.counted("graphql_server_request_duration_seconds_count", &[("outcome", "ok")]), 2);
    let field = [("field", "predictions"), ("outcome", "ok")];
    assert_eq!(service.counted("cinegraph_graphql_field_requests_total", &field), 2);
    assert_eq!(service.counted("cinegraph_prediction_duration_seconds_count", &[("source", "cache_fresh")]), 1);
    assert_eq!(service.counted("cinegraph_prediction_duration_seconds_count", &[]), 2);
}

#[sqlx::test(migrations = false)]
async fn identical_request_hits_regardless_of_transfer_and_headers(pool: PgPool) {
    let service = nineties(pool, None).await;
    let json = ("content-type", "application/json");
    let words = json!({ "query": PAGE }).to_string();
    // Once with a content length, once in chunks without one.
    let whole = async |headers: &[(&str, &str)]| service.post(Body::from(words.clone()), headers).await;
    let pieces = words.as_bytes().chunks(20).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
    let pieces = Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()));
    let address = "/graphql?query=%7Bgenres%7Bname%7D%7D&unknown=1";
    let parse = [("graphql_processing_type", "parse")];
    let parsed = || service.counted("graphql_server_processing_duration_seconds_count", &parse);
    let hits = || service.counted("cinegraph_cache_lookups_total", &[("cache", "responses"), ("result", "hit_l1")]);

    let first = whole(&[json]).await;
    let same = whole(&[json, ("origin", "https://films.example"), ("x-request-id", "mine")]).await;
    let other_type = whole(&[json, ("accept", "application/graphql-response+json")]).await;
    let in_pieces = service.post(pieces, &[json]).await;
    let (by_get, again) = (service.get(address).await, service.get(address).await);

    let status = |response: &Response| header(response.headers(), "cache-status").split(';').nth(1).map(str::to_owned);
    let all = [&first, &same, &other_type, &in_pieces, &by_get, &again].map(status);
    let (miss, hit) = (Some(" fwd=miss".to_owned()), Some(" hit".to_owned()));
    assert_eq!(all, [&miss, &hit, &hit, &hit, &miss, &hit].map(Clone::clone));
    assert_eq!((parsed(), hits()), (2, 4));
    let content_type = |response: &Response| header(response.headers(), "content-type").to_owned();
    assert_eq!(content_type(&same), "application/json; charset=utf-8");
    assert_eq!(content_type(&other_type), "application/graphql-response+json; charset=utf-8");
    assert_eq!(header(same.headers(), "x-request-id"), "mine");

    // Invalid requests are rejected, even if a response is cached for the same bytes.
    let as_text = whole(&[("content-type", "text/plain")]).await;
    let for_html = whole(&[json, ("accept", "text/html")]).await;
    let query = address.split_once('?').unwrap().1;
    let address_by_post = service.post(Body::from(query), &[json]).await;
    assert_eq!([as_text, for_html, address_by_post].map(|response| response.status().as_u16()), [415, 406, 400]);
    assert_eq!(hits(), 4);
}

#[sqlx::test(migrations = false)]
async fn matching_etag_returns_304(pool: PgPool) {
    let service = nineties(pool, None).await;
    let (_, headers, _) = sent(&service, PAGE, &[]).await;
    let etag = header(&headers, "etag");

    for known in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let (status, headers, body) = sent(&service, PAGE, &[("if-none-match", &known)]).await;
        assert_eq!((status, body.len(), header(&headers, "etag")), (StatusCode::NOT_MODIFIED, 0, etag), "{known}");
    }
    let (status, ..) = sent(&service, PAGE, &[("if-none-match", "\"other\"")]).await;
    assert_eq!(status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn curl_gets_304_until_the_response_changes(pool: PgPool) {
    let service = nineties(pool.clone(), None).await;
    let server = Server::start(&url(&pool));
    let folder = tempfile::tempdir().unwrap();
    let fetch = async || {
        let mut curl = Command::new("curl");
        curl.current_dir(&folder).args(["--silent", "--get", &format!("http://{}/graphql", server.public)]);
        curl.args(["--data-urlencode", &format!("query={PAGE}"), "--compressed", "--output", "answer"]);
        // curl stores the ETag and sends it with the next request.
        curl.args(["--etag-save", "tag", "--etag-compare", "tag", "--write-out", "%{http_code}"]);
        String::from_utf8(curl.output().await.unwrap().stdout).unwrap()
    };
    let response = || serde_json::from_slice::<Value>(&fs::read(folder.path().join("answer")).unwrap()).unwrap();

    assert_eq!(fetch().await, "200");
    assert_eq!((fetch().await, first(&response()["data"])), ("304".into(), "First"));
    rate(&service, "Second", 10.0).await;
    until("curl gets the changed response", async || fetch().await == "200").await;
    assert_eq!(first(&response()["data"]), "Second");
}

#[sqlx::test(migrations = false)]
async fn errors_and_status_are_never_cached(pool: PgPool) {
    let service = nineties(pool, None).await;
    for query in [
        "{ predictions(decade: 1995) { totalCount } }",
        "{ predictions(profile: \"Missing\") { totalCount } }",
        "{ status { version } }",
        "{ status { version } genres { name } }",
        "{ __typename }",
        "{ __schema { queryType { name } } }",
        "{ nonsense }",
        "{",
    ] {
        for _ in 0..2 {
            let (_, headers, _) = sent(&service, query, &[]).await;
            assert_eq!(header(&headers, "cache-control"), "no-store", "{query}");
            assert_eq!(header(&headers, "etag"), "", "{query}");
        }
    }
    let lookups = [("cache", "responses"), ("result", "hit_l1")];
    assert_eq!(service.counted("cinegraph_cache_lookups_total", &lookups), 0);
}

#[sqlx::test(migrations = false)]
async fn soft_invalidation_serves_stale_while_revalidating(pool: PgPool) {
    let service = nineties(pool, None).await;
    assert_eq!(first(&service.data(PAGE).await), "First");
    rate(&service, "Third", 10.0).await;

    // Within five seconds of its load an entry counts as fresh despite a soft invalidation.
    assert_eq!(first(&service.data(PAGE).await), "First");
    service.later(TimeDelta::seconds(6));
    let (_, headers, body) = sent(&service, PAGE, &[]).await;
    assert!(header(&headers, "cache-status").contains("detail=stale"), "{headers:?}");
    assert_eq!(first(&serde_json::from_slice::<Value>(&body).unwrap()["data"]), "First");
    until("the new score is served", async || first(&service.data(PAGE).await) == "Third").await;

    let revalidated = [("cache", "responses")];
    let stale = [("cache", "responses"), ("result", "stale")];
    until("the refresh of every stale response has ended", async || {
        service.counted("cinegraph_cache_revalidations_total", &revalidated)
            == service.counted("cinegraph_cache_lookups_total", &stale)
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn drain_reloads_only_the_decades_it_changed(pool: PgPool) {
    let service = nineties(pool, None).await;
    Movie::new("Old").released("1955-05-01").insert(&service.pool).await;
    service.refresh().await;
    let fifties = PAGE.replace("1990", "1950");
    service.data(PAGE).await;
    service.data(&fifties).await;
    let loads =
        || service.counted("db_client_operation_duration_seconds_count", &[("query_name", "columns_from_table")]);
    let before = loads();
    rate(&service, "Third", 10.0).await;
    service.later(TimeDelta::seconds(6));

    until("the new score is served", async || first(&service.data(PAGE).await) == "Third").await;
    service.data(&fifties).await;
    assert_eq!(loads() - before, 1);
}

#[sqlx::test(migrations = false)]
async fn changed_profile_is_visible_to_the_next_request_on_every_instance(pool: PgPool) {
    for redis in [None, Some(RedisServer::start().await)] {
        let url = redis.as_ref().map(RedisServer::url);
        let one = nineties(pool.clone(), url.as_deref()).await;
        let other = TestService::sharing(pool.clone(), url.as_deref()).await;
        other.follow_versions();
        let query = "{ predictions(decade: 1990) { nodes { profile { name } } } }";
        let name = |response: Value| response["predictions"]["nodes"][0]["profile"]["name"].clone();
        assert_eq!(name(other.data(query).await), "Balanced");

        for default in ["Cult Classic", "Balanced"] {
            let mut transaction = one.pool.begin().await.unwrap();
            for is_default in [false, true] {
                sqlx::query("UPDATE metric_weight_profiles SET is_default = $2 WHERE (name = $1) = $2")
                    .bind(default)
                    .bind(is_default)
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
            sqlx::query("SELECT cinegraph.raise_version('profiles', '', 0, true)")
                .execute(&mut *transaction)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            until("the other instance serves the new default", async || name(other.data(query).await) == default).await;
        }
        sqlx::query("TRUNCATE movies CASCADE").execute(&one.pool).await.unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn thousand_concurrent_requests_share_one_load(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(500).await;
    let request = |i: usize| {
        let (first, selection) = (1 + i % 100, ["score", "rank score", "score movie { title }", "coverage"][i % 4]);
        let query = format!("{{ predictions(decade: 2010, first: {first}) {{ nodes {{ {selection} }} }} }}");
        let service = &service;
        async move { service.data(&query).await }
    };

    let responses = join_all((0..1_000).map(request)).await;

    for (i, response) in responses.iter().enumerate() {
        let nodes = response["predictions"]["nodes"].as_array().unwrap();
        assert!(nodes.len() <= 1 + i % 100 && !nodes.is_empty());
        assert_eq!(nodes[0]["score"].is_null(), i % 4 == 3);
    }
    let columns = [("query_name", "columns_from_table")];
    assert_eq!(service.counted("db_client_operation_duration_seconds_count", &columns), 1);
    let leaders = [("cache", "predictions"), ("role", "leader")];
    assert_eq!(service.counted("cinegraph_cache_single_flight_total", &leaders), 1);
}

#[sqlx::test(migrations = false)]
async fn instances_share_results_through_redis(pool: PgPool) {
    let redis = RedisServer::start().await;
    let one = nineties(pool.clone(), Some(&redis.url())).await;
    let response = one.data(PAGE).await;
    until("the result is stored in Redis", async || redis.command(&["DBSIZE"]) != "0").await;

    let other = TestService::sharing(pool, Some(&redis.url())).await;
    assert_eq!(other.data(PAGE).await, response);
    let shared = [("cache", "predictions"), ("result", "hit_l2")];
    assert_eq!(other.counted("cinegraph_cache_lookups_total", &shared), 1);
    let columns = [("query_name", "columns_from_table")];
    assert_eq!(other.counted("db_client_operation_duration_seconds_count", &columns), 0);
}

#[sqlx::test(migrations = false)]
async fn invalid_redis_values_are_misses(pool: PgPool) {
    let redis = RedisServer::start().await;
    let one = nineties(pool.clone(), Some(&redis.url())).await;
    let response = one.data(PAGE).await;
    until("the result is stored in Redis", async || redis.command(&["DBSIZE"]) != "0").await;
    for nonsense in ["", "nonsense", "\u{1}nonsense", "\u{1}"] {
        for key in redis.command(&["KEYS", "*"]).lines() {
            redis.command(&["SET", key, nonsense]);
        }
        let other = TestService::sharing(pool.clone(), Some(&redis.url())).await;
        assert_eq!(other.data(PAGE).await, response, "{nonsense:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn cache_metrics_are_consistent(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(300).await;
    let request = |i: usize| {
        let decade = 1980 + 10 * (i % 5);
        let query = match i % 7 {
            0 => format!("{{ decadeValidation(decade: {decade}) {{ hits }} }}"),
            1 => format!(
                "{{ predictions(decade: {decade}, weights: {{ popularOpinion: {i}, criticalAcclaim: 1, \
                 industryRecognition: 1, culturalImpact: 1, peopleQuality: 1 }}) {{ nodes {{ movie {{ title }} }} }} }}"
            ),
            2 => "{ lists { key } genres { name } profiles { name } }".to_owned(),
            _ => {
                format!("{{ predictions(decade: {decade}, first: {}) {{ nodes {{ movie {{ title }} }} }} }}", 1 + i % 9)
            }
        };
        let service = &service;
        async move { service.execute(&query, json!({})).await }
    };
    for _ in 0..3 {
        join_all((0..200).map(request)).await;
        rate(&service, "nothing", 1.0).await;
        sqlx::query("SELECT cinegraph.raise_version('scores', '', 2010, false)").execute(&service.pool).await.unwrap();
        service.see_changes().await;
        service.later(TimeDelta::seconds(200));
    }

    for cache in ["responses", "columns", "predictions", "validation", "profiles", "films"] {
        let count = |name: &str, label: &str, value: &str| service.counted(name, &[("cache", cache), (label, value)]);
        let all = |name: &str| service.counted(name, &[("cache", cache)]);
        let (lookups, loads) = ("cinegraph_cache_lookups_total", "cinegraph_cache_single_flight_total");
        until("refreshes have ended", async || {
            all("cinegraph_cache_revalidations_total") == count(lookups, "result", "stale")
        })
        .await;
        assert_eq!(count(lookups, "result", "miss"), all(loads), "{cache}");
        assert_eq!(all(lookups), count("cinegraph_cache_layer_requests_total", "layer", "l1"), "{cache}");
        assert!(all(lookups) > 0, "{cache}");
    }
    assert_eq!(service.counted("cinegraph_slo_requests_total", &[]), 600);
    assert_eq!(service.counted("graphql_server_request_duration_seconds_count", &[]), 600);
}

/// Makes every statement on Cinegraph's schema fail, as during a restore of the database.
const OUTAGE: &str = "ALTER SCHEMA cinegraph RENAME TO away";

#[sqlx::test(migrations = false)]
async fn cached_responses_are_served_as_stale_during_outages_regardless_of_age(pool: PgPool) {
    let service = nineties(pool, None).await;
    let before = service.data(PAGE).await;
    sqlx::query(OUTAGE).execute(&service.pool).await.unwrap();
    service.later(TimeDelta::days(30));

    for _ in 0..2 {
        let (status, headers, body) = sent(&service, PAGE, &[]).await;
        assert_eq!(
            (status, serde_json::from_slice::<Value>(&body).unwrap()["data"].take()),
            (StatusCode::OK, before.clone())
        );
        assert!(header(&headers, "cache-status").contains("detail=stale"), "{headers:?}");
    }
    // An uncached query is derived from stale cached columns.
    let uncached = "{ predictions(decade: 1990, first: 1) { nodes { score } } }";
    let (_, headers, body) = sent(&service, uncached, &[]).await;
    let score = &before["predictions"]["nodes"][0]["score"];
    assert_eq!(&serde_json::from_slice::<Value>(&body).unwrap()["data"]["predictions"]["nodes"][0]["score"], score);
    assert!(header(&headers, "cache-status").contains("detail=stale"), "{headers:?}");

    sqlx::query("ALTER SCHEMA away RENAME TO cinegraph").execute(&service.pool).await.unwrap();
    until("the response is fresh", async || {
        let (_, headers, _) = sent(&service, PAGE, &[]).await;
        !header(&headers, "cache-status").contains("stale")
    })
    .await;
    let count = |name: &str, result: &str| service.counted(name, &[("result", result)]);
    until("refreshes have ended", async || {
        count("cinegraph_cache_lookups_total", "stale") == service.counted("cinegraph_cache_revalidations_total", &[])
    })
    .await;
    assert_eq!(
        count("cinegraph_cache_lookups_total", "miss"),
        service.counted("cinegraph_cache_single_flight_total", &[])
    );
}

#[sqlx::test(migrations = false)]
async fn failed_lookups_are_counted(pool: PgPool) {
    let service = nineties(pool, None).await;
    service.data("{ predictions(decade: 1990) { nodes { score } } }").await;
    for away in [OUTAGE, "ALTER TABLE external_metrics RENAME TO elsewhere"] {
        sqlx::query(away).execute(&service.pool).await.unwrap();
    }
    // Movie details fail. The first root field that fails cancels the others, which wait for the same outage.
    let details = "{ predictions(decade: 1990) { nodes { movie { metrics { source } } } } }";
    for query in [details, "{ lists { films } profiles { name } genres { name } }"] {
        let response = service.execute(query, json!({})).await;
        assert!(response["errors"].is_array(), "{response:#}");
    }

    let [lookups, loads] = ["cinegraph_cache_lookups_total", "cinegraph_cache_single_flight_total"];
    let l1_requests = service.counted("cinegraph_cache_layer_requests_total", &[("layer", "l1")]);
    assert!(l1_requests > 0);
    assert_eq!(service.counted(lookups, &[]), l1_requests);
    assert_eq!(service.counted(lookups, &[("result", "miss")]), service.counted(loads, &[]));
}

#[sqlx::test(migrations = false)]
async fn hard_invalidated_entries_are_not_served_during_outages(pool: PgPool) {
    let service = nineties(pool, None).await;
    service.data(PAGE).await;
    service.store.invalidate(&Scope::Scores(Decade::starting(1990).unwrap()), &Versions::default()).await.unwrap();
    service.see_changes().await;
    sqlx::query(OUTAGE).execute(&service.pool).await.unwrap();

    let response = service.execute(PAGE, json!({})).await;

    assert!(response["errors"].is_array(), "{response:#}");
}

#[sqlx::test(migrations = false)]
async fn shared_results_are_served_during_outages(pool: PgPool) {
    let redis = RedisServer::start().await;
    let first = nineties(pool.clone(), Some(&redis.url())).await;
    let page = "{ predictions(decade: 1990) { nodes { score } } }";
    let shared = first.data(page).await;
    until("the result is stored in Redis", async || redis.command(&["DBSIZE"]) != "0").await;
    let second = TestService::sharing(pool, Some(&redis.url())).await;
    second.data("{ profiles { name } lists { key } genres { name } }").await;
    // A soft invalidation, so that the shared entry is stale.
    sqlx::query("SELECT cinegraph.raise_version('scores', '', 1990, false)").execute(&first.pool).await.unwrap();
    second.see_changes().await;
    second.later(TimeDelta::days(1) + TimeDelta::seconds(10));
    sqlx::query(OUTAGE).execute(&first.pool).await.unwrap();

    assert_eq!(second.data(page).await, shared);
}
