//! Learned rankings over the API: what ranks, what a response says about it, and what follows a training.

use std::collections::HashSet;

use chrono::TimeDelta;
use cinegraph::services::learned::refresh_codes;
use cinegraph::store::Task;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::learned::{learnable, train};
use crate::support::{Socket, TestService};

/// Fields of a prediction that a learned ranking fills.
const LEARNED: &str =
    "learnedScore learnedBase probability knownGroups totalGroups modelVersion reasons { group points sentence }";

async fn page(service: &TestService, arguments: &str) -> Value {
    let fields = format!("id rank score likelihood status breakdown {{ contribution }} movie {{ id title }} {LEARNED}");
    let query = format!(
        "{{ predictions(decade: 1990, {arguments}) {{
             ranking modelVersion totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }} }} }}"
    );
    service.data(&query).await["predictions"].take()
}

fn numbers(page: &Value, field: &str) -> Vec<f64> {
    nodes(page).iter().map(|node| node[field].as_f64().unwrap()).collect()
}

fn nodes(page: &Value) -> &[Value] {
    page["nodes"].as_array().unwrap()
}

#[sqlx::test(migrations = false)]
async fn a_learned_ranking_orders_and_explains(pool: PgPool) {
    let service = learnable(pool).await;
    let without = page(&service, "first: 5, ranking: LEARNED").await;
    assert_eq!(without["ranking"], "FORMULA", "nothing is trained yet");
    assert_eq!(nodes(&without)[0]["learnedScore"], Value::Null);
    assert_eq!(nodes(&without), nodes(&page(&service, "first: 5").await));

    let version = train(&service, 1).await;
    service.see_changes().await;
    let learned = page(&service, "first: 100, ranking: LEARNED").await;
    assert_eq!((&learned["ranking"], &learned["modelVersion"]), (&json!("LEARNED"), &json!(version.id)));
    assert!(numbers(&learned, "learnedScore").is_sorted_by(|a, b| a >= b));
    assert!(nodes(&learned).iter().zip(1..).all(|(node, rank)| node["rank"] == json!(rank)));
    for node in nodes(&learned) {
        let reasons = node["reasons"].as_array().unwrap();
        let sum: f64 = reasons.iter().map(|reason| reason["points"].as_f64().unwrap()).sum();
        let (base, score) = (node["learnedBase"].as_f64().unwrap(), node["learnedScore"].as_f64().unwrap());
        assert!((base + sum - score).abs() < 1e-6, "{node}");
        assert!(
            reasons.is_sorted_by(|a, b| a["points"].as_f64().unwrap().abs() >= b["points"].as_f64().unwrap().abs())
        );
        let odds = 2_f64.powf(score / 10.0);
        match node["probability"].as_f64() {
            Some(probability) => assert!((probability - odds / (1.0 + odds)).abs() < 1e-9, "{node}"),
            None => assert!(node["knownGroups"].as_u64().unwrap() < 4, "{node}"),
        }
        assert_eq!((&node["status"], &node["totalGroups"]), (&json!("CANDIDATE"), &json!(9)));
    }

    // The values of the formula are those of the default profile.
    let by_formula = page(&service, "first: 100").await;
    for node in nodes(&by_formula) {
        assert!(node["learnedScore"].is_null() && node["reasons"].is_null() && node["modelVersion"].is_null());
        let same = nodes(&learned).iter().find(|other| other["movie"] == node["movie"]);
        assert!(same.is_none_or(|same| same["score"] == node["score"] && same["likelihood"] == node["likelihood"]));
        assert!(same.is_none_or(|same| same["id"] != node["id"]), "clients would mix the two rankings");
    }
}

#[sqlx::test(migrations = false)]
async fn pages_filters_and_single_movies_agree(pool: PgPool) {
    let service = learnable(pool).await;
    train(&service, 1).await;
    service.see_changes().await;
    let whole = page(&service, "first: 100, ranking: LEARNED").await;
    let (mut walked, mut after) = (vec![], String::new());
    while walked.len() < nodes(&whole).len() {
        let next = page(&service, &format!("first: 7, ranking: LEARNED{after}")).await;
        walked.extend(nodes(&next).to_vec());
        after = format!(", after: {}", next["pageInfo"]["endCursor"]);
        if next["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    walked.truncate(nodes(&whole).len());
    assert_eq!(walked, nodes(&whole));
    // A cursor belongs to its ranking.
    let first = page(&service, "first: 7, ranking: LEARNED").await;
    let query = format!("{{ predictions(decade: 1990, after: {}) {{ totalCount }} }}", first["pageInfo"]["endCursor"]);
    assert_eq!(service.refusal(&query).await.1.as_deref(), Some("after"));

    let probable: Vec<_> =
        nodes(&whole).iter().filter(|node| node["probability"].as_f64().is_some_and(|p| p >= 0.3)).cloned().collect();
    let filtered = page(&service, "first: 100, ranking: LEARNED, filter: { minProbability: 0.3 }").await;
    assert_eq!(nodes(&filtered), probable);

    let third = &nodes(&whole)[2];
    let query =
        format!("{{ prediction(by: {{ id: {} }}, ranking: LEARNED) {{ rank {LEARNED} }} }}", third["movie"]["id"]);
    let alone = service.data(&query).await["prediction"].take();
    for field in ["rank", "learnedScore", "probability", "reasons"] {
        assert_eq!(alone[field], third[field], "{field}");
    }
    let query =
        format!("{{ confirmedAdditions(decade: 1990, ranking: LEARNED) {{ nodes {{ rank status {LEARNED} }} }} }}");
    let listed = service.data(&query).await["confirmedAdditions"].take();
    assert!(numbers(&listed, "learnedScore").is_sorted_by(|a, b| a >= b));
    assert!(nodes(&listed).iter().all(|node| node["status"] == "LISTED" && node["rank"].is_null()));
}

#[sqlx::test(migrations = false)]
async fn the_formula_ranks_a_decade_whose_codes_are_lost_until_they_are_computed(pool: PgPool) {
    let service = learnable(pool).await;
    let version = train(&service, 1).await;
    let first = "first: 3, ranking: LEARNED";
    for damage in [
        "DELETE FROM cinegraph.model_codes WHERE decade = 1990",
        "UPDATE cinegraph.model_codes SET codes = substring(codes FROM 2) WHERE decade = 1990",
    ] {
        service.store.record_success(Task::ModelTrain).await.unwrap();
        sqlx::query(damage).execute(&service.pool).await.unwrap();
        service.see_changes().await;
        service.later(TimeDelta::days(1));
        service.data("{ predictions(decade: 1850, ranking: LEARNED) { totalCount } }").await;
        assert!(service.store.jobs().await.unwrap().is_empty(), "a decade without movies needs no codes");

        let without = page(&service, first).await;
        assert_eq!((&without["ranking"], &without["modelVersion"]), (&json!("FORMULA"), &Value::Null), "{damage}");
        let jobs = service.store.jobs().await.unwrap();
        assert_eq!(jobs.iter().map(|job| job.task.as_str()).collect::<Vec<_>>(), ["model_train"], "{damage}");

        refresh_codes(&service.store).await.unwrap();
        sqlx::query("DELETE FROM cinegraph_jobs._private_jobs").execute(&service.pool).await.unwrap();
        service.see_changes().await;
        service.later(TimeDelta::days(1));
        assert_eq!(page(&service, first).await["modelVersion"], json!(version.id), "{damage}");
    }
}

#[sqlx::test(migrations = false)]
async fn arguments_that_do_not_fit_the_ranking_are_refused_by_name(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.refresh().await;
    let weights =
        "{ popularOpinion: 1, criticalAcclaim: 1, industryRecognition: 1, culturalImpact: 1, peopleQuality: 1 }";
    for (query, field) in [
        ("predictions(ranking: LEARNED, profile: \"Balanced\") { totalCount }".to_owned(), "ranking"),
        (format!("predictions(ranking: LEARNED_WITHOUT_LISTS, weights: {weights}) {{ totalCount }}"), "ranking"),
        ("predictions(ranking: LEARNED, filter: { minScore: 1 }) { totalCount }".to_owned(), "filter.minScore"),
        ("predictions(filter: { minProbability: 0.5 }) { totalCount }".to_owned(), "filter.minProbability"),
        (
            "predictions(ranking: LEARNED, filter: { minProbability: 0.5 }) { totalCount }".to_owned(),
            "filter.minProbability",
        ),
        ("validation(ranking: LEARNED, basis: AS_PUBLISHED) { basis }".to_owned(), "basis"),
        ("model(ranking: FORMULA) { list }".to_owned(), "ranking"),
        ("model(list: \"none\") { list }".to_owned(), "list"),
    ] {
        let (code, refused) = service.refusal(&format!("{{ {query} }}")).await;
        assert_eq!(refused.as_deref(), Some(field), "{query}: {code}");
    }
    assert_eq!(service.data("{ model { list } }").await, json!({"model": null}));
}

#[sqlx::test(migrations = false)]
async fn a_training_is_seen_at_once_by_responses_and_subscriptions(pool: PgPool) {
    let service = learnable(pool).await;
    let first = train(&service, 1).await;
    service.see_changes().await;
    service.follow_versions();
    let served = async || page(&service, "first: 3, ranking: LEARNED").await["modelVersion"].clone();
    assert_eq!(served().await, json!(first.id));
    let mut socket = Socket::open(service.listen().await).await;
    socket
        .subscribe(
            "1",
            "subscription { predictionUpdates(decade: 1990, top: 20, initial: true, ranking: LEARNED) {
             kind prediction { rank learnedScore modelVersion movie { id } } } }",
        )
        .await;
    let mut followed = vec![];
    while followed.len() < 20 {
        followed.push(socket.next("1").await["data"]["predictionUpdates"]["prediction"].take());
    }
    assert!(followed.iter().all(|one| one["modelVersion"] == json!(first.id)));

    let second = train(&service, 2).await;
    service.see_changes().await;
    assert_eq!(served().await, json!(second.id), "a response with the version before is invalid");
    let update = socket.next("1").await["data"]["predictionUpdates"].take();
    assert_eq!(update["prediction"]["modelVersion"], json!(second.id), "{update}");
}

#[sqlx::test(migrations = false)]
async fn the_model_card_tells_what_the_validation_finds(pool: PgPool) {
    let service = learnable(pool).await;
    let version = train(&service, 1).await;
    service.see_changes().await;
    let query = "{ model {
        served versionNumber refusal seed members otherLists trainedAt
        validation { hits listed recall interval { low high } expectedCalibrationError }
        decades { decade hits } temporal { recall } baselines { kind recall } randomHits leakCheck { collection votes }
        calibration { movies probability listed }
        features { key name group monotone missingPoints bins { above upTo points } } } }";
    let model = service.data(query).await["model"].take();
    assert_eq!((&model["served"], &model["versionNumber"]), (&json!(true), &json!(version.id)));
    let query = "{ validation(ranking: LEARNED) { ranking overall { hits listed } decades { decade hits } } }";
    let validation = service.data(query).await["validation"].take();
    assert_eq!(validation["ranking"], "LEARNED");
    for field in ["hits", "listed"] {
        assert_eq!(validation["overall"][field], model["validation"][field], "{field}");
    }
    for decade in model["decades"].as_array().unwrap() {
        assert!(validation["decades"].as_array().unwrap().contains(decade), "{decade}");
    }
    let keys: HashSet<_> =
        model["features"].as_array().unwrap().iter().map(|feature| feature["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 87, "all but those of two lists that the database does not have");
    for feature in model["features"].as_array().unwrap() {
        let bins = feature["bins"].as_array().unwrap();
        let (first, last) = (bins.first().unwrap(), bins.last().unwrap());
        assert!(first["above"].is_null() && last["upTo"].is_null(), "{feature}");
        assert!(bins.windows(2).all(|pair| pair[0]["upTo"] == pair[1]["above"]), "{feature}");
        let points = |bin: &Value| bin["points"].as_f64().unwrap();
        assert!(feature["monotone"] == false || bins.is_sorted_by(|a, b| points(a) < points(b)), "{feature}");
    }
}
