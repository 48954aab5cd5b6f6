//! Administrative mutations: authentication, profiles, invalidation, score refreshes.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;

use axum::body::to_bytes;
use axum::http::StatusCode;
use chrono::TimeDelta;
use cinegraph::versions::{Scope, Versions};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::http::Log;
use crate::support::{Movie, RedisServer, TestService, until};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const NEW_TOKEN: &str = "fedcba9876543210fedcba9876543210";

const CREATE: &str = "mutation ($input: ProfileInput!) { createProfile(input: $input) { id name updatedAt } }";
const UPDATE: &str = "mutation ($id: ID!, $input: ProfileInput!, $expected: DateTime) {
    updateProfile(id: $id, input: $input, expectedUpdatedAt: $expected) { id updatedAt } }";
const DELETE: &str = "mutation ($id: ID!) { deleteProfile(id: $id) }";
pub(crate) const SET_DEFAULT: &str = "mutation ($id: ID!) { setDefaultProfile(id: $id) { id isDefault } }";
const INVALIDATE: &str = "mutation ($scope: InvalidateScope!) {
    invalidateCache(scope: $scope) { all list decade profile { name } versions entries } }";
pub(crate) const SET_TARGET: &str = "mutation ($key: String!, $target: Boolean!) {
    setTargetList(key: $key, target: $target) { key isTarget } }";
pub(crate) const DELETE_LIST: &str = "mutation ($key: String!, $expected: DateTime) {
    deleteList(key: $key, expectedUpdatedAt: $expected) }";
const REFRESH: &str = "mutation ($ids: [ID!]) { refreshScores(movieIds: $ids) { id films all queuedAt } }";

const STATE_A: &[&str] = &[include_str!("fixtures/state_a.sql")];
const STATE_H: &[&str] = &[include_str!("fixtures/state_a.sql"), include_str!("fixtures/state_h.sql")];

/// A service with an administrator.
pub(crate) struct Office {
    pub(crate) service: TestService,
    folder: TempDir,
}

impl Office {
    pub(crate) async fn on(pool: PgPool) -> Self {
        Self::sharing(pool, None).await
    }

    /// The same, with Redis as the shared cache.
    async fn sharing(pool: PgPool, redis: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokens"), format!("ops={TOKEN}\n")).unwrap();
        let service = TestService::administered(pool, redis, &folder.path().join("tokens")).await;
        Self { service, folder }
    }

    /// A second instance on the same database.
    pub(crate) async fn twin(&self) -> Self {
        Self::on(self.service.pool.clone()).await
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    pub(crate) async fn execute(&self, query: &str, variables: Value) -> Value {
        execute_as(&self.service, Some(&format!("Bearer {TOKEN}")), query, variables).await
    }

    /// Executes a mutation that must succeed; returns its data.
    pub(crate) async fn change(&self, query: &str, variables: Value) -> Value {
        let mut response = self.execute(query, variables).await;
        assert_eq!(response.get("errors"), None, "{response:#}");
        response["data"].take()
    }

    /// Executes a mutation that must be rejected; returns the code and field of the error.
    pub(crate) async fn refusal(&self, query: &str, variables: Value) -> (String, String) {
        refusal(&self.execute(query, variables).await)
    }

    /// The id of an existing profile.
    async fn id(&self, name: &str) -> Value {
        let data = self.service.data(&format!("{{ profile(name: \"{name}\") {{ id }} }}")).await;
        data["profile"]["id"].clone()
    }

    async fn create(&self, name: &str) -> Value {
        self.change(CREATE, json!({ "input": profile(name) })).await["createProfile"]["id"].clone()
    }

    /// Everything that a rejected mutation must leave unchanged.
    async fn contents(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT p::text FROM metric_weight_profiles AS p UNION ALL SELECT w::text FROM cinegraph.profile_weights AS w
             UNION ALL SELECT v::text FROM cinegraph.data_versions AS v
             UNION ALL SELECT q::text FROM cinegraph.score_refresh_queue AS q ORDER BY 1",
        )
        .fetch_all(&self.service.pool)
        .await
        .unwrap()
    }
}

async fn execute_as(service: &TestService, authorization: Option<&str>, query: &str, variables: Value) -> Value {
    let header: Vec<_> = authorization.into_iter().map(|value| ("authorization", value)).collect();
    let response = service.send(query, variables, &header).await;
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[track_caller]
fn refusal(response: &Value) -> (String, String) {
    let extensions = &response["errors"][0]["extensions"];
    assert_ne!(extensions["code"], Value::Null, "{response:#}");
    let text = |key: &str| extensions[key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("field"))
}

pub(crate) fn pair(code: &str, field: &str) -> (String, String) {
    (code.to_owned(), field.to_owned())
}

fn weights(shares: [f64; 5]) -> Value {
    let [popular, critical, industry, cultural, people] = shares;
    json!({ "popularOpinion": popular, "criticalAcclaim": critical, "industryRecognition": industry,
            "culturalImpact": cultural, "peopleQuality": people })
}

/// A profile input with weights that no category weights can express.
fn profile(name: &str) -> Value {
    json!({ "name": name, "weights": weights([0.4, 0.1, 0.2, 0.2, 0.1]) })
}

/// Each mutation, with valid variables.
async fn every_change(office: &Office) -> Vec<(&'static str, Value)> {
    let (system, other) = (office.id("Cult Classic").await, office.create("Mine").await);
    Movie::new("Film").on(&["criterion"]).insert(&office.service.pool).await;
    office.service.refresh().await;
    vec![
        (CREATE, json!({ "input": profile("Another") })),
        (UPDATE, json!({ "id": other, "input": profile("Renamed") })),
        (SET_DEFAULT, json!({ "id": system })),
        (DELETE, json!({ "id": other })),
        (INVALIDATE, json!({ "scope": { "all": true } })),
        (REFRESH, json!({})),
        (SET_TARGET, json!({ "key": "criterion", "target": true })),
        (DELETE_LIST, json!({ "key": "criterion" })),
    ]
}

#[sqlx::test(migrations = false)]
async fn mutations_without_a_valid_token_are_unauthenticated(pool: PgPool) {
    let office = Office::on(pool).await;
    let changes = every_change(&office).await;
    let before = office.contents().await;
    let wrong = [
        None,
        Some(TOKEN.to_owned()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Basic {TOKEN}")),
        Some(format!("Bearer {}", &TOKEN[1..])),
        Some(format!("Bearer {TOKEN}0")),
        Some(format!("Bearer ops={TOKEN}")),
        Some(format!("Bearer {NEW_TOKEN}")),
    ];
    for (query, variables) in &changes {
        for authorization in &wrong {
            let response = execute_as(&office.service, authorization.as_deref(), query, variables.clone()).await;
            assert_eq!(refusal(&response), pair("UNAUTHENTICATED", ""), "{authorization:?} {query}");
            assert!(!response.to_string().contains(&TOKEN[1..]), "{response}");
        }
    }
    assert_eq!(office.contents().await, before);
    for (query, variables) in changes {
        office.change(query, variables).await;
    }
}

#[sqlx::test(migrations = false)]
async fn without_a_token_file_mutations_are_forbidden(pool: PgPool) {
    let service = TestService::on(pool).await;
    for authorization in [None, Some(format!("Bearer {TOKEN}"))] {
        let response = execute_as(&service, authorization.as_deref(), REFRESH, json!({})).await;
        assert_eq!(refusal(&response), pair("FORBIDDEN", ""));
        let message = response["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("no admin token is configured"), "{message}");
    }
}

#[sqlx::test(migrations = false)]
async fn tokens_are_rotated_without_a_restart(pool: PgPool) {
    let office = Office::on(pool).await;
    let with =
        async |token: &str| execute_as(&office.service, Some(&format!("bearer {token}")), REFRESH, json!({})).await;
    let is_admitted = async |token: &str| with(token).await.get("errors").is_none();
    assert_eq!((is_admitted(TOKEN).await, is_admitted(NEW_TOKEN).await), (true, false));

    fs::write(office.tokens(), format!("{TOKEN}\nnext={NEW_TOKEN}\n")).unwrap();
    assert_eq!((is_admitted(TOKEN).await, is_admitted(NEW_TOKEN).await), (true, true));

    fs::write(office.tokens(), format!("next={NEW_TOKEN}\n")).unwrap();
    assert_eq!((is_admitted(TOKEN).await, is_admitted(NEW_TOKEN).await), (false, true));

    fs::write(office.tokens(), "# no tokens\n").unwrap();
    assert_eq!(refusal(&with(NEW_TOKEN).await), pair("FORBIDDEN", ""));

    fs::write(office.tokens(), format!("{NEW_TOKEN}\nshort-secret\n")).unwrap();
    let damaged = with(NEW_TOKEN).await;
    assert_eq!(refusal(&damaged), pair("SERVICE_UNAVAILABLE", ""));
    assert!(!damaged.to_string().contains("short-secret"), "{damaged}");

    fs::remove_file(office.tokens()).unwrap();
    assert_eq!(refusal(&with(NEW_TOKEN).await), pair("SERVICE_UNAVAILABLE", ""));
}

#[sqlx::test(migrations = false)]
async fn created_profile_stores_exact_weights_and_is_usable_at_once(pool: PgPool) {
    let office = Office::on(pool).await;
    let fields = "{ id name description weights { popularOpinion criticalAcclaim industryRecognition culturalImpact
                    peopleQuality } categoryWeights isDefault isSystem active }";
    let all = format!("{{ profiles {{ name }} new: profile(name: \"Mine\") {fields} }}");
    assert_eq!(office.service.data(&all).await["new"], Value::Null);

    let query = format!("mutation ($input: ProfileInput!) {{ createProfile(input: $input) {fields} }}");
    let input = json!({ "name": "Mine", "description": "What I like", "weights": weights([3.0, 1.0, 0.0, 2.0, 1.0]) });
    let created = office.change(&query, json!({ "input": input })).await["createProfile"].take();

    let shares = [3.0, 1.0, 0.0, 2.0, 1.0].map(|weight| weight / 7.0);
    let expected = json!({
        "id": created["id"], "name": "Mine", "description": "What I like", "weights": weights(shares),
        "categoryWeights": null, "isDefault": false, "isSystem": false, "active": true,
    });
    assert_eq!(created, expected);
    assert_eq!(office.service.data(&all).await["new"], expected);
    let predictions = office.service.data("{ predictions(profile: \"Mine\") { totalCount } }").await;
    assert_eq!(predictions["predictions"]["totalCount"], 0);

    let stored: Value = sqlx::query_scalar("SELECT category_weights FROM metric_weight_profiles WHERE name = 'Mine'")
        .fetch_one(&office.service.pool)
        .await
        .unwrap();
    assert_eq!(stored["ratings"], json!(shares[0] + shares[1]));
    assert_eq!(stored["cultural"], json!(shares[3]));
}

#[sqlx::test(migrations = false)]
async fn invalid_profile_input_is_rejected_with_its_field(pool: PgPool) {
    let office = Office::on(pool).await;
    let id = office.create("Mine").await;
    let before = office.contents().await;
    let long = |length| "é".repeat(length);
    let mut cases = vec![
        (json!({ "name": "", "weights": weights([1.0; 5]) }), "input.name"),
        (json!({ "name": " \t", "weights": weights([1.0; 5]) }), "input.name"),
        (json!({ "name": "a\0b", "weights": weights([1.0; 5]) }), "input.name"),
        (json!({ "name": long(256), "weights": weights([1.0; 5]) }), "input.name"),
        (json!({ "name": "A", "description": "\0", "weights": weights([1.0; 5]) }), "input.description"),
        (json!({ "name": "A", "description": long(2001), "weights": weights([1.0; 5]) }), "input.description"),
        (json!({ "name": "A", "weights": weights([0.0; 5]) }), "input.weights"),
    ];
    for (place, field) in
        ["popularOpinion", "criticalAcclaim", "industryRecognition", "culturalImpact", "peopleQuality"]
            .into_iter()
            .enumerate()
    {
        for bad in [-0.1, 1_000_001.0] {
            let mut shares = [1.0; 5];
            shares[place] = bad;
            let field: &str = format!("input.weights.{field}").leak();
            cases.push((json!({ "name": "A", "weights": weights(shares) }), field));
        }
    }
    for (input, field) in cases {
        let expected = pair("BAD_USER_INPUT", field);
        assert_eq!(office.refusal(CREATE, json!({ "input": input })).await, expected, "{input}");
        assert_eq!(office.refusal(UPDATE, json!({ "id": id, "input": input })).await, expected, "{input}");
    }
    assert_eq!(office.contents().await, before);

    let longest = json!({ "name": long(255), "description": long(2000), "weights": weights([1e6; 5]) });
    office.change(CREATE, json!({ "input": longest })).await;
}

#[sqlx::test(migrations = false)]
async fn profile_names_are_unique(pool: PgPool) {
    let office = Office::on(pool).await;
    let id = office.create("Mine").await;
    let before = office.contents().await;
    for name in ["Balanced", "Mine"] {
        assert_eq!(office.refusal(CREATE, json!({ "input": profile(name) })).await, pair("CONFLICT", "input.name"));
    }
    let renamed = office.refusal(UPDATE, json!({ "id": id, "input": profile("Balanced") })).await;
    assert_eq!(renamed, pair("CONFLICT", "input.name"));
    assert_eq!(office.contents().await, before);
    // A profile may be updated without changing its name.
    office.change(UPDATE, json!({ "id": id, "input": profile("Mine") })).await;

    let twin = office.twin().await;
    let input = json!({ "input": profile("Both") });
    let responses = [office.execute(CREATE, input.clone()), twin.execute(CREATE, input)];
    let refused: Vec<_> =
        join_all(responses).await.into_iter().filter(|response| response.get("errors").is_some()).collect();
    assert_eq!(refused.iter().map(refusal).collect::<Vec<_>>(), [pair("CONFLICT", "input.name")]);
}

#[sqlx::test(migrations = false)]
async fn system_profiles_and_the_default_are_protected(pool: PgPool) {
    let office = Office::on(pool).await;
    let (default, mine) = (office.id("Balanced").await, office.create("Mine").await);
    let inactive = json!({ "name": "Mine", "weights": weights([1.0; 5]), "active": false });
    office.change(UPDATE, json!({ "id": mine, "input": inactive })).await;
    let before = office.contents().await;

    for (query, variables, field) in [
        (DELETE, json!({ "id": office.id("Cult Classic").await }), "id"),
        (DELETE, json!({ "id": default }), "id"),
        (UPDATE, json!({ "id": default, "input": inactive }), "input.active"),
        (SET_DEFAULT, json!({ "id": mine }), "id"),
    ] {
        assert_eq!(office.refusal(query, variables).await, pair("FORBIDDEN", field), "{query}");
    }
    assert_eq!(office.contents().await, before);

    office.change(UPDATE, json!({ "id": mine, "input": profile("Mine") })).await;
    let made = office.change(SET_DEFAULT, json!({ "id": mine })).await;
    assert_eq!(made["setDefaultProfile"], json!({ "id": mine, "isDefault": true }));
    assert_eq!(office.refusal(DELETE, json!({ "id": mine })).await, pair("FORBIDDEN", "id"));
    office.change(SET_DEFAULT, json!({ "id": default })).await;
    assert_eq!(office.change(DELETE, json!({ "id": mine })).await["deleteProfile"], mine);
    assert_eq!(office.id("Mine").await, Value::Null);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM cinegraph.profile_weights")
        .fetch_one(&office.service.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrations = false)]
async fn unknown_profile_id_is_an_error(pool: PgPool) {
    let office = Office::on(pool).await;
    let gone = office.create("Gone").await;
    office.change(DELETE, json!({ "id": gone })).await;
    let movie = Movie::new("Film").insert(&office.service.pool).await;
    let movie = office.service.data(&format!("{{ movie(by: {{ tmdbId: {movie} }}) {{ id }} }}")).await;
    for (query, name) in [(UPDATE, "New"), (DELETE, ""), (SET_DEFAULT, "")] {
        let with = |id: &Value| json!({ "id": id, "input": profile(name) });
        assert_eq!(office.refusal(query, with(&gone)).await, pair("NOT_FOUND", "id"), "{query}");
        for id in [json!("nonsense"), movie["movie"]["id"].clone()] {
            assert_eq!(office.refusal(query, with(&id)).await, pair("BAD_USER_INPUT", "id"), "{query}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn of_concurrent_updates_of_one_version_exactly_one_succeeds(pool: PgPool) {
    let office = Office::on(pool).await;
    let twin = office.twin().await;
    let id = office.create("Mine").await;
    for round in 0..5 {
        let read = office.service.data("{ profiles { id updatedAt } }").await;
        let mut profiles = read["profiles"].as_array().unwrap().iter();
        let read = profiles.find(|profile| profile["id"] == id).unwrap()["updatedAt"].clone();
        let write = |name: String| json!({ "id": id, "input": profile(&name), "expected": read });

        let responses = (0..6).map(|writer| {
            let office = if writer % 2 == 0 { &office } else { &twin };
            office.execute(UPDATE, write(format!("Round {round} by {writer}")))
        });
        let responses = join_all(responses).await;

        let (lost, won): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.get("errors").is_some());
        assert_eq!(won.len(), 1, "{responses:#?}");
        assert!(lost.into_iter().all(|response| refusal(response) == pair("CONFLICT", "expectedUpdatedAt")));
        let before = office.contents().await;
        assert_eq!(office.refusal(UPDATE, write("Late".into())).await, pair("CONFLICT", "expectedUpdatedAt"));
        assert_eq!(office.contents().await, before);
        // The next update must send the winner's `updatedAt`.
        let updated_at = won[0]["data"]["updateProfile"]["updatedAt"].clone();
        let next = json!({ "id": id, "input": profile("Mine"), "expected": updated_at });
        office.change(UPDATE, next).await;
        twin.service.see_changes().await;
    }
}

#[sqlx::test(migrations = false)]
async fn exactly_one_active_default_profile_remains(pool: PgPool) {
    let office = Office::on(pool).await;
    let twin = office.twin().await;
    let names = ["Balanced", "Award Winner", "Critics Choice", "Crowd Pleaser", "Cult Classic"];
    let ids = join_all(names.map(|name| office.id(name))).await;
    for _ in 0..5 {
        let chosen = ids.iter().enumerate().map(|(place, id)| {
            let office = if place % 2 == 0 { &office } else { &twin };
            office.execute(SET_DEFAULT, json!({ "id": id }))
        });
        let deactivated = ids.iter().zip(names).map(|(id, name)| {
            let inactive = json!({ "name": name, "weights": weights([1.0; 5]), "active": false });
            twin.execute(UPDATE, json!({ "id": id, "input": inactive }))
        });
        let (chosen, deactivated) = tokio::join!(join_all(chosen), join_all(deactivated));

        for response in chosen.iter().chain(&deactivated).filter(|response| response.get("errors").is_some()) {
            assert_eq!(refusal(response).0, "FORBIDDEN", "{response:#}");
        }
        let defaults: Vec<Option<bool>> =
            sqlx::query_scalar("SELECT active FROM metric_weight_profiles WHERE is_default")
                .fetch_all(&office.service.pool)
                .await
                .unwrap();
        assert_eq!(defaults, [Some(true)]);
        for (id, name) in ids.iter().zip(names) {
            office.change(UPDATE, json!({ "id": id, "input": profile(name) })).await;
        }
    }
}

#[sqlx::test(migrations = false)]
async fn profile_change_is_visible_to_the_next_request_on_every_instance(pool: PgPool) {
    for redis in [None, Some(RedisServer::start().await)] {
        let url = redis.as_ref().map(RedisServer::url);
        let office = Office::sharing(pool.clone(), url.as_deref()).await;
        Movie::new("Loved").released("1994-01-01").rated(9.0, 9.0).insert(&pool).await;
        Movie::new("Praised").released("1995-01-01").reviewed(90.0, 90.0).insert(&pool).await;
        office.service.refresh().await;
        let twin = Office::sharing(pool.clone(), url.as_deref()).await;
        twin.service.follow_versions();
        let predictions = async |office: &Office, profile: &str| {
            let query = format!(
                "{{ predictions({profile} decade: 1990) {{ nodes {{ profile {{ name }} movie {{ title }} }} }} }}"
            );
            office.service.execute(&query, json!({})).await
        };
        let first = async |office: &Office| {
            let response = predictions(office, "profile: \"Mine\"").await;
            response["data"]["predictions"]["nodes"][0]["movie"]["title"].clone()
        };
        let is_gone = async |office: &Office| {
            let response = predictions(office, "profile: \"Mine\"").await;
            response["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        };
        let default = async |office: &Office| {
            let response = predictions(office, "").await;
            response["data"]["predictions"]["nodes"][0]["profile"]["name"].clone()
        };
        let mine = |shares| json!({ "name": "Mine", "weights": weights(shares) });

        let loved = json!({ "input": mine([1.0, 0.0, 0.0, 0.0, 0.0]) });
        let id = office.change(CREATE, loved).await["createProfile"]["id"].clone();
        assert_eq!(first(&office).await, "Loved");
        until("the other instance serves the profile", async || first(&twin).await == "Loved").await;

        office.change(UPDATE, json!({ "id": id, "input": mine([0.0, 1.0, 0.0, 0.0, 0.0]) })).await;
        assert_eq!(first(&office).await, "Praised");
        until("the other instance serves the new weights", async || first(&twin).await == "Praised").await;

        assert_eq!([default(&office).await, default(&twin).await], ["Balanced", "Balanced"]);
        office.change(SET_DEFAULT, json!({ "id": id })).await;
        assert_eq!(default(&office).await, "Mine");
        until("the other instance serves the new default", async || default(&twin).await == "Mine").await;
        office.change(SET_DEFAULT, json!({ "id": office.id("Balanced").await })).await;
        assert_eq!(default(&office).await, "Balanced");
        until("the other instance serves the old default", async || default(&twin).await == "Balanced").await;

        office.change(DELETE, json!({ "id": id })).await;
        assert!(is_gone(&office).await);
        until("the other instance rejects the deleted profile", async || is_gone(&twin).await).await;
        sqlx::query("TRUNCATE movies CASCADE").execute(&pool).await.unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn unchanged_weights_keep_their_category_weights(pool: PgPool) {
    let office = Office::on(pool).await;
    let read = "{ profile(name: \"Crowd Pleaser\") { id categoryWeights weights { popularOpinion criticalAcclaim
                  industryRecognition culturalImpact peopleQuality } } }";
    let before = office.service.data(read).await["profile"].take();
    let input = json!({ "name": "Crowd Pleaser", "description": "New words", "weights": before["weights"] });
    office.change(UPDATE, json!({ "id": before["id"], "input": input })).await;
    assert_eq!(office.service.data(read).await["profile"], before);

    let input = json!({ "name": "Crowd Pleaser", "weights": weights([0.5, 0.5, 0.0, 0.0, 0.0]) });
    office.change(UPDATE, json!({ "id": before["id"], "input": input })).await;
    let after = office.service.data(read).await["profile"].take();
    assert_eq!(after["weights"], weights([0.5, 0.5, 0.0, 0.0, 0.0]));
    assert_eq!(after["categoryWeights"], Value::Null);

    // A later write of category weights by the host takes effect.
    sqlx::query("UPDATE metric_weight_profiles SET category_weights = '{\"awards\": 1, \"ratings\": 0, \"cultural\": 0, \"people\": 0}'
                 WHERE name = 'Crowd Pleaser'")
        .execute(&office.service.pool)
        .await
        .unwrap();
    let again = office.twin().await.service.data(read).await["profile"].take();
    assert_eq!(again["weights"], weights([0.0, 0.0, 1.0, 0.0, 0.0]));
    assert_eq!(again["categoryWeights"]["awards"], 1);
}

/// Runs all profile mutations on a host database; returns the row of the new profile.
async fn on_attached(pool: PgPool, state: &[&'static str]) -> Value {
    for file in state {
        sqlx::raw_sql(*file).execute(&pool).await.unwrap();
    }
    let office = Office::on(pool).await;
    let id = office.create("Mine").await;
    let row: Value = sqlx::query_scalar("SELECT to_jsonb(p) FROM metric_weight_profiles AS p WHERE name = 'Mine'")
        .fetch_one(&office.service.pool)
        .await
        .unwrap();
    let input = json!({ "name": "Ours", "description": "Words", "weights": weights([1.0; 5]) });
    office.change(UPDATE, json!({ "id": id, "input": input })).await;
    let default = office.id("Balanced").await;
    office.change(SET_DEFAULT, json!({ "id": id })).await;
    assert_eq!(office.refusal(DELETE, json!({ "id": id })).await, pair("FORBIDDEN", "id"));
    assert_eq!(office.refusal(DELETE, json!({ "id": default })).await, pair("FORBIDDEN", "id"));
    office.change(SET_DEFAULT, json!({ "id": default })).await;
    assert_eq!(office.refusal(CREATE, json!({ "input": profile("Ours") })).await, pair("CONFLICT", "input.name"));
    office.change(DELETE, json!({ "id": id })).await;
    row
}

#[sqlx::test(migrations = false)]
async fn profile_changes_match_the_2025_host_schema(pool: PgPool) {
    let row = on_attached(pool, STATE_A).await;
    let keys: Vec<_> = row["category_weights"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["awards", "cultural", "financial", "people", "ratings"]);
    assert_eq!((&row["weights"], &row["usage_count"]), (&json!({}), &json!(0)));
}

#[sqlx::test(migrations = false)]
async fn profile_changes_match_the_2026_host_schema(pool: PgPool) {
    let row = on_attached(pool, STATE_H).await;
    let lenses = json!({ "mob": 0.4, "critics": 0.1, "festival_recognition": 0.2, "time_machine": 0.2, "auteurs": 0.1,
                         "box_office": 0.0 });
    assert_eq!(row["category_weights"], lenses);
}

/// Whether the response was a cache hit.
async fn is_cached(service: &TestService, query: &str) -> bool {
    let response = service.send(query, json!({}), &[]).await;
    let status = response.headers().get("cache-status").unwrap().to_str().unwrap();
    status.starts_with("cinegraph; hit")
}

#[sqlx::test(migrations = false)]
async fn invalidation_recomputes_only_its_scope(pool: PgPool) {
    let office = Office::on(pool).await;
    for year in [1994, 2004] {
        let movie = Movie::new("Film").released(&format!("{year}-01-01")).rated(7.0, 7.0).popularity(9.0);
        movie.insert(&office.service.pool).await;
        movie.on(&["1001_movies"]).insert(&office.service.pool).await;
    }
    office.service.refresh().await;
    let twin = office.twin().await;
    let (nineties, noughties, cult, genres) = (
        "{ predictions(decade: 1990) { totalCount } }",
        "{ predictions(decade: 2000) { totalCount } }",
        "{ predictions(decade: 2000, profile: \"Cult Classic\") { totalCount } }",
        "{ genres { name } }",
    );
    let cached = async |service: &TestService| {
        let mut cached = Vec::new();
        for query in [nineties, noughties, cult, genres] {
            cached.push(is_cached(service, query).await);
        }
        cached
    };
    assert_eq!(cached(&office.service).await, [false; 4]);
    assert_eq!(cached(&office.service).await, [true; 4]);
    cached(&twin.service).await;

    let decade = json!({ "scope": { "decade": { "list": "1001_movies", "decade": 1990 } } });
    let done = office.change(INVALIDATE, decade).await["invalidateCache"].take();
    let expected =
        json!({ "all": false, "list": "1001_movies", "decade": 1990, "profile": null, "versions": 1, "entries": 1 });
    assert_eq!(done, expected);
    assert_eq!(cached(&office.service).await, [false, true, true, true]);
    twin.service.see_changes().await;
    assert_eq!(cached(&twin.service).await, [false, true, true, true]);

    let done =
        office.change(INVALIDATE, json!({ "scope": { "profile": "Cult Classic" } })).await["invalidateCache"].take();
    let expected = json!({ "all": false, "list": null, "decade": null, "profile": { "name": "Cult Classic" }, "versions": 1,
                           "entries": 1 });
    assert_eq!(done, expected);
    assert_eq!(cached(&office.service).await, [true, true, false, true]);

    let done = office.change(INVALIDATE, json!({ "scope": { "all": true } })).await["invalidateCache"].take();
    assert_eq!((&done["all"], &done["list"], &done["profile"]), (&json!(true), &Value::Null, &Value::Null));
    // Two decades of columns and three rankings.
    assert_eq!(done["entries"], 5);
    assert_eq!(cached(&office.service).await, [false; 4]);
    twin.service.see_changes().await;
    assert_eq!(cached(&twin.service).await, [false; 4]);

    let rows: Vec<(String, String, i32, bool)> = sqlx::query_as(
        "SELECT scope, list_key, decade, floor = version FROM cinegraph.data_versions ORDER BY scope, list_key, decade",
    )
    .fetch_all(&office.service.pool)
    .await
    .unwrap();
    assert_eq!(done["versions"], rows.len());
    assert!(rows.iter().all(|(.., is_hard)| *is_hard), "{rows:?}");
    for (scope, list, decade) in [
        ("list", "1001_movies", 1990),
        ("list", "1001_movies", 2000),
        ("profiles", "", 0),
        ("reference", "", 0),
        ("scores", "", 1990),
        ("scores", "", 2000),
        ("snapshot", "", 0),
    ] {
        assert!(rows.contains(&(scope.to_owned(), list.to_owned(), decade, true)), "{scope} {list} {decade}: {rows:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn invalidating_all_does_not_deadlock_with_concurrent_version_raises(pool: PgPool) {
    let office = Office::on(pool).await;
    office.service.fill(200).await;
    let twin = office.twin().await;
    let all = || async { drop(office.change(INVALIDATE, json!({ "scope": { "all": true } })).await) };
    let raise = || async {
        // Locks several rows in one transaction, in the reverse order of `invalidateCache`.
        sqlx::query(
            "SELECT cinegraph.raise_version(scope, list_key, decade, false)
             FROM (SELECT * FROM cinegraph.data_versions ORDER BY scope DESC, decade DESC) AS v",
        )
        .execute(&twin.service.pool)
        .await
        .unwrap();
    };
    for _ in 0..5 {
        tokio::join!(all(), raise(), all(), raise());
    }
}

#[sqlx::test(migrations = false)]
async fn invalid_invalidation_scope_is_rejected_with_its_field(pool: PgPool) {
    let office = Office::on(pool).await;
    let before = office.contents().await;
    let decade = |list: &str, decade: i32| json!({ "decade": { "list": list, "decade": decade } });
    for (scope, code, field) in [
        (json!({ "all": false }), "BAD_USER_INPUT", "scope.all"),
        (decade("1001_movies", 1995), "BAD_USER_INPUT", "scope.decade.decade"),
        (decade("no_list", 1990), "NOT_FOUND", "scope.decade.list"),
        (json!({ "profile": "Missing" }), "NOT_FOUND", "scope.profile"),
    ] {
        assert_eq!(office.refusal(INVALIDATE, json!({ "scope": scope })).await, pair(code, field), "{scope}");
    }
    assert_eq!(office.contents().await, before);
}

async fn queue(office: &Office) -> Vec<(Option<i64>, String)> {
    sqlx::query_as("DELETE FROM cinegraph.score_refresh_queue RETURNING movie_id, reason")
        .fetch_all(&office.service.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = false)]
async fn refresh_scores_queues_movies_by_id_or_all(pool: PgPool) {
    let office = Office::on(pool).await;
    let mut movies = Vec::new();
    for title in ["A", "B", "C"] {
        movies.push(Movie::new(title).insert(&office.service.pool).await);
    }
    let data = office
        .service
        .data("{ movies(titleContains: \"b\") { nodes { id } } a: movie(by: { tmdbId: 1 }) { id } }")
        .await;
    let (a, b) = (&data["a"]["id"], &data["movies"]["nodes"][0]["id"]);
    queue(&office).await;

    let job = office.change(REFRESH, json!({ "ids": [b, a, b] })).await["refreshScores"].take();
    assert_eq!((&job["films"], &job["all"]), (&json!(2), &json!(false)));
    let mut queued = queue(&office).await;
    queued.sort();
    assert_eq!(queued, [movies[0], movies[1]].map(|movie| (Some(movie), "request".to_owned())));

    let all = office.change(REFRESH, json!({ "ids": null })).await["refreshScores"].take();
    assert_eq!((&all["films"], &all["all"]), (&Value::Null, &json!(true)));
    assert_ne!(all["id"], job["id"]);
    assert_eq!(queue(&office).await, [(None, "request".to_owned())]);

    sqlx::query("DELETE FROM movies WHERE title = 'B'").execute(&office.service.pool).await.unwrap();
    queue(&office).await;
    for (ids, code, field) in [
        (json!([a, b]), "NOT_FOUND", "movieIds[1]"),
        (json!([a, "nonsense"]), "BAD_USER_INPUT", "movieIds[1]"),
        (json!([]), "BAD_USER_INPUT", "movieIds"),
        (json!(vec![a; 10_001]), "BAD_USER_INPUT", "movieIds"),
    ] {
        assert_eq!(office.refusal(REFRESH, json!({ "ids": ids })).await, pair(code, field));
    }
    assert_eq!(queue(&office).await, []);
    assert_eq!(office.change(REFRESH, json!({ "ids": vec![a; 10_000] })).await["refreshScores"]["films"], 1);
}

#[sqlx::test(migrations = false)]
async fn mutations_are_not_cached_and_are_counted_by_field(pool: PgPool) {
    let office = Office::on(pool).await;
    let authorization = format!("Bearer {TOKEN}");
    for name in ["One", "Two"] {
        let variables = json!({ "input": profile(name) });
        let response = office.service.send(CREATE, variables, &[("authorization", &authorization)]).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers().get("etag"), None);
    }
    office.execute(CREATE, json!({ "input": profile("Two") })).await;
    let count = |outcome| {
        let labels = [("field", "createProfile"), ("outcome", outcome)];
        office.service.counted("cinegraph_graphql_field_requests_total", &labels)
    };
    assert_eq!((count("ok"), count("error")), (2, 1));
}

#[sqlx::test(migrations = false)]
async fn mutations_are_logged_with_the_administrator_and_without_the_token(pool: PgPool) {
    let office = Office::on(pool).await;
    let id = office.id("Cult Classic").await;
    let log = Log::start();
    let mine = office.create("Mine").await;
    let input =
        json!({ "name": "Yours", "description": "Private words", "weights": weights([1.0; 5]), "active": false });
    office.change(UPDATE, json!({ "id": mine, "input": input })).await;
    office.change(DELETE, json!({ "id": mine })).await;
    office.change(SET_DEFAULT, json!({ "id": id })).await;
    office.change(INVALIDATE, json!({ "scope": { "profile": "Balanced" } })).await;
    office.change(REFRESH, json!({})).await;
    execute_as(&office.service, Some(&format!("Bearer {NEW_TOKEN}")), REFRESH, json!({})).await;

    let lines = log.lines();
    let changes: Vec<_> = lines.iter().filter(|line| line.get("admin").is_some()).collect();
    let messages: Vec<_> = changes.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "profile created",
            "profile updated",
            "profile deleted",
            "profile made the default",
            "cached results invalidated",
            "score recomputation requested"
        ]
    );
    assert!(changes.iter().all(|line| line["admin"] == "ops" && line["level"] == "INFO"), "{changes:?}");
    assert_eq!(
        changes[1]["changed"],
        "name: \"Mine\" -> \"Yours\"; description; weights: [0.4, 0.1, 0.2, 0.2, 0.1] -> [0.2, 0.2, 0.2, 0.2, 0.2]; \
         active: true -> false"
    );
    let text = json!(lines).to_string();
    assert!(!text.contains(TOKEN) && !text.contains(NEW_TOKEN) && !text.contains("Private words"), "{text}");
}

/// Queues all movies by a connection from this address of the machine; returns the response.
async fn refresh_from(client: &str, service: SocketAddr, token: &str) -> Value {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    let mut connection = socket.connect(service).await.unwrap();
    let body = json!({ "query": REFRESH }).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {service}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[sqlx::test(migrations = false)]
async fn invalid_tokens_are_logged_counted_and_limited_by_address(pool: PgPool) {
    let office = Office::on(pool).await;
    let address = office.service.listen().await;
    let log = Log::start();
    for attempt in 0..10 {
        let response = refresh_from("127.0.0.7", address, &format!("{NEW_TOKEN}{attempt}")).await;
        assert_eq!(refusal(&response), pair("UNAUTHENTICATED", ""));
    }
    // Neither further guesses nor the right token are checked. No peer is trusted here, so the header is ignored.
    for token in [NEW_TOKEN, TOKEN, NEW_TOKEN] {
        assert_eq!(refusal(&refresh_from("127.0.0.7", address, token).await), pair("RATE_LIMITED", ""));
    }
    assert_eq!(refresh_from("127.0.0.8", address, TOKEN).await.get("errors"), None);
    office.service.later(TimeDelta::minutes(1));
    assert_eq!(refresh_from("127.0.0.7", address, TOKEN).await.get("errors"), None);

    let rejected = |reason| office.service.counted("cinegraph_admin_tokens_rejected_total", &[("reason", reason)]);
    assert_eq!((rejected("invalid"), rejected("rate_limit")), (10, 3));
    let lines = log.lines();
    let invalid: Vec<_> = lines.iter().filter(|line| line["message"] == "invalid admin token").collect();
    assert_eq!(invalid.len(), 10);
    assert!(invalid.iter().all(|line| line["client_address"] == "127.0.0.7" && line["level"] == "WARN"), "{invalid:?}");
    let limited = lines.iter().filter(|line| line["message"].as_str().unwrap().starts_with("too many invalid")).count();
    assert_eq!(limited, 1);
    assert!(!json!(lines).to_string().contains(NEW_TOKEN));
}

#[sqlx::test(migrations = false)]
async fn mutation_that_deadlocks_with_the_host_application_is_repeated(pool: PgPool) {
    let office = Office::on(pool.clone()).await;
    let id = office.create("Deadlocked").await;
    // The host's session never gives up, so the mutation does, after a second.
    let mut host = pool.begin().await.unwrap();
    sqlx::query("SET LOCAL deadlock_timeout = '60s'").execute(&mut *host).await.unwrap();
    sqlx::query("UPDATE metric_weight_profiles SET description = 'host' WHERE name = 'Deadlocked'")
        .execute(&mut *host)
        .await
        .unwrap();
    let host_writes = async {
        until("the mutation waits for the host", async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            waiting > 0
        })
        .await;
        sqlx::query("SELECT cinegraph.raise_version('profiles', '', 0, true)").execute(&mut *host).await.unwrap();
        host.commit().await.unwrap();
    };

    let ((), changed) = tokio::join!(host_writes, office.change(SET_DEFAULT, json!({ "id": id })));

    assert_eq!(changed["setDefaultProfile"]["isDefault"], true);
    let errors = office.service.counted("cinegraph_db_errors_total", &[("error_type", "serialization")]);
    assert_eq!(errors, 1, "it deadlocked");
}

#[sqlx::test(migrations = false)]
async fn change_is_known_even_if_the_database_is_gone_after_its_commit(pool: PgPool) {
    let service = TestService::on(pool).await;
    let versions = Versions::default();
    service.store.read_versions(&versions).await.unwrap();
    let known = versions.of(&Scope::Profiles);
    let changes = service.store.change_profiles().await.unwrap();
    // From now on, no further statement gets a connection.
    let mut closing = pin!(service.store.close());
    assert!(futures_util::poll!(&mut closing).is_pending());

    changes.commit(&versions).await.unwrap();

    closing.await;
    assert!(service.store.read_versions(&versions).await.is_err());
    assert_eq!(versions.of(&Scope::Profiles), known + 1);
}
