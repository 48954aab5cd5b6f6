//! Lists over the API: target lists chosen while the service runs, deletion, and the movies of a list.

use cinegraph::store::Task;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::http::Log;
use crate::jobs::{Instance, held};
use crate::mutations::{DELETE_LIST, Office, SET_TARGET, pair};
use crate::support::{Movie, credit, person, until};

/// Movies of two decades on the lists `1001_movies` and `criterion`, which share people with others.
async fn two_lists(pool: &PgPool) {
    let people = [person(pool, "Director").await, person(pool, "Star").await];
    for number in 0..24 {
        let lists: &[&str] = match number % 4 {
            0 => &["1001_movies"],
            1 => &["criterion"],
            2 => &["1001_movies", "criterion"],
            _ => &[],
        };
        let rating = f64::from(number % 9) + 0.5;
        let movie =
            Movie::new(&format!("Film {number}")).released(if number < 12 { "1984-05-01" } else { "1995-05-01" });
        let id = movie.rated(rating, rating).popularity(f64::from(number)).on(lists).insert(pool).await;
        credit(pool, id, people[usize::from(number % 3 == 0)], Some("Director")).await;
    }
    Movie::new("Undated").on(&["criterion"]).insert(pool).await;
    Movie::new("Incomplete").released("1995-01-01").soft().on(&["criterion"]).insert(pool).await;
}

const VALIDATION: &str =
    "{ validation(list: \"criterion\") { overall { listed hits } decades { decade listed hits population
    missedFilms(first: 100) { nodes { rank score movie { title } } } } } }";

impl Office {
    async fn with_lists(pool: PgPool) -> Self {
        let office = Self::on(pool).await;
        two_lists(&office.service.pool).await;
        office.service.refresh().await;
        for task in [Task::PersonQuality, Task::ScoreRefresh, Task::SnapshotRefresh, Task::ModelTrain] {
            office.service.store.record_success(task).await.unwrap();
        }
        office.service.follow_versions();
        office
    }

    async fn target(&self, key: &str, target: bool) -> Value {
        self.change(SET_TARGET, json!({ "key": key, "target": target })).await["setTargetList"].take()
    }

    /// State of a target list; null if it is none.
    async fn state(&self, key: &str) -> Value {
        let status = self.service.data("{ status { targets { key state } } }").await;
        let mut targets = status["status"]["targets"].as_array().unwrap().iter();
        targets.find(|target| target["key"] == key).map_or(Value::Null, |target| target["state"].clone())
    }

    /// Code of the error of the blind validation of `criterion`; null if it succeeds.
    async fn validation_error(&self) -> Value {
        let response = self.service.execute(VALIDATION, json!({})).await;
        response["errors"][0]["extensions"]["code"].clone()
    }

    /// Everything that a rejected change of lists must leave as it is.
    async fn lists(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT (id, canonical_sources, updated_at)::text FROM movies UNION ALL SELECT l::text FROM movie_lists AS l
             UNION ALL SELECT list_key FROM cinegraph.chosen_target_lists
             UNION ALL SELECT v::text FROM cinegraph.data_versions AS v
             UNION ALL SELECT task_identifier FROM cinegraph_jobs.jobs ORDER BY 1",
        )
        .fetch_all(&self.service.pool)
        .await
        .unwrap()
    }

    async fn blind_scores(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT b::text FROM cinegraph.movie_blind_scores AS b ORDER BY list_key, movie_id")
            .fetch_all(&self.service.pool)
            .await
            .unwrap()
    }
}

#[sqlx::test(migrations = false)]
async fn a_chosen_list_is_validated_like_one_of_the_setting(pool: PgPool) {
    let office = Office::with_lists(pool).await;
    let twin = office.twin().await;
    twin.service.follow_versions();
    let only_configured = office.blind_scores().await;
    assert_eq!(office.validation_error().await, "BAD_USER_INPUT");
    let worker = Instance::start(&office.service.pool);

    // Chosen while a snapshot is taken, which does not have it: another one follows.
    let lock = held(&office.service.pool).await;
    office.service.store.request_task(Task::SnapshotRefresh).await.unwrap();
    let is_computing = async || office.state("1001_movies").await == "READY" && worker.is_running("snapshot_refresh");
    until("a snapshot is being taken", is_computing).await;
    assert_eq!(office.target("criterion", true).await, json!({ "key": "criterion", "isTarget": true }));
    assert_eq!(office.target("criterion", true).await["isTarget"], true);
    assert_eq!(office.state("criterion").await, "COMPUTING");
    assert_eq!(office.validation_error().await, "SERVICE_UNAVAILABLE");
    until("the other instance says so", async || twin.validation_error().await == "SERVICE_UNAVAILABLE").await;
    lock.rollback().await.unwrap();
    until("the list is ready", async || office.state("criterion").await == "READY").await;
    until("the list is validated", async || office.validation_error().await.is_null()).await;
    until("the other instance validates it", async || twin.validation_error().await.is_null()).await;
    let targets =
        office.service.data("{ lists { key isTarget } status { targetLists targets { key configured } } }").await;
    let expected = json!({
        "lists": [{ "key": "1001_movies", "isTarget": true }, { "key": "criterion", "isTarget": true }],
        "status": { "targetLists": ["1001_movies", "criterion"], "targets": [
            { "key": "1001_movies", "configured": true }, { "key": "criterion", "configured": false }] },
    });
    assert_eq!(targets, expected);
    let (validation, blind) = (office.service.data(VALIDATION).await, office.blind_scores().await);
    assert_eq!(twin.service.data(VALIDATION).await, validation);

    office.target("criterion", false).await;
    assert_eq!(office.state("criterion").await, Value::Null);
    until("the list is not validated", async || office.validation_error().await == "BAD_USER_INPUT").await;
    until("nor on the other instance", async || twin.validation_error().await == "BAD_USER_INPUT").await;
    assert_eq!(office.blind_scores().await, only_configured);
    worker.stop().await;

    // As if the setting had named both from the start.
    let configured = ["1001_movies", "criterion"].map(str::to_owned);
    assert_eq!(office.service.store.refresh_snapshot(&configured).await.unwrap(), configured);
    assert_eq!(office.blind_scores().await, blind);
    until("the list is validated again", async || office.validation_error().await.is_null()).await;
    assert_eq!(office.service.data(VALIDATION).await, validation);
}

#[sqlx::test(migrations = false)]
async fn target_lists_that_cannot_be_set_are_rejected(pool: PgPool) {
    let office = Office::with_lists(pool).await;
    for number in 0..10 {
        Movie::new("Film").on(&[&format!("list {number}")]).insert(&office.service.pool).await;
    }
    office.service.refresh().await;
    for number in 1..10 {
        office.target(&format!("list {number}"), true).await;
    }
    let before = office.lists().await;
    for (key, target, code, field) in [
        ("unknown", true, "NOT_FOUND", "key"),
        ("un\0known", false, "NOT_FOUND", "key"),
        ("1001_movies", false, "FORBIDDEN", "key"),
        ("criterion", true, "CONFLICT", "target"),
    ] {
        let refused = office.refusal(SET_TARGET, json!({ "key": key, "target": target })).await;
        assert_eq!(refused, pair(code, field), "{key}");
    }
    let input = |target: bool, key: &str| json!({ "input": { "key": key, "text": "Film 0 (1984)", "target": target } });
    for (input, code) in [(input(true, "mine"), "CONFLICT"), (input(false, "1001_movies"), "FORBIDDEN")] {
        assert_eq!(office.refusal(IMPORT, input).await, pair(code, "input.target"));
    }
    assert_eq!(office.target("1001_movies", true).await["isTarget"], true);
    assert_eq!(office.lists().await, before);

    // Of concurrent choices, as many succeed as there is room for.
    office.target("list 9", false).await;
    let choose = |key: &str| office.execute(SET_TARGET, json!({ "key": key, "target": true }));
    let responses = tokio::join!(choose("criterion"), choose("list 0"), choose("list 9"));
    let refused =
        [responses.0, responses.1, responses.2].into_iter().filter(|response| response.get("errors").is_some());
    assert_eq!(refused.count(), 2);
}

#[sqlx::test(migrations = false)]
async fn a_deleted_list_is_gone_from_its_movies_on_every_instance(pool: PgPool) {
    let office = Office::with_lists(pool).await;
    let twin = office.twin().await;
    twin.service.follow_versions();
    sqlx::query(
        "INSERT INTO movie_lists (source_key, name, source_type, source_url, inserted_at, updated_at)
         VALUES ('criterion', 'The Criterion Collection', 'custom', '', now(), '2026-01-01 12:00:00')",
    )
    .execute(&office.service.pool)
    .await
    .unwrap();
    office.target("criterion", true).await;
    let worker = Instance::start(&office.service.pool);
    until("the list is ready", async || office.state("criterion").await == "READY").await;
    let list = "{ list(key: \"criterion\") { name updatedAt films undated movies { totalCount } } }";
    let of_list = json!({ "name": "The Criterion Collection", "updatedAt": "2026-01-01T12:00:00+00:00", "films": 14, "undated": 1,
                          "movies": { "totalCount": 14 } });
    assert_eq!(office.service.data(list).await["list"], of_list);
    assert_eq!(twin.service.data(list).await["list"], of_list);
    let page = async |office: &Office| {
        let bytes = axum::body::to_bytes(office.service.get("/").await.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert!(
        page(&office).await.contains("The Criterion Collection")
            && page(&twin).await.contains("The Criterion Collection")
    );
    let movie = "{ movies(titleContains: \"Film 2\") { nodes { title lists { key } } } }";
    assert!(office.service.data(movie).await.to_string().contains("criterion"));

    let deleted = office.change(DELETE_LIST, json!({ "key": "criterion", "expected": of_list["updatedAt"] })).await;

    assert_eq!(deleted, json!({ "deleteList": "criterion" }));
    assert_eq!(office.service.data(list).await["list"], Value::Null);
    assert!(!office.service.data(movie).await.to_string().contains("criterion"));
    assert!(!page(&office).await.contains("The Criterion Collection"));
    let unknown = ("NOT_FOUND".to_owned(), Some("list".to_owned()));
    let predictions = "{ predictions(list: \"criterion\", decade: 1990) { totalCount } }";
    assert_eq!(office.service.refusal(predictions).await, unknown);
    until("the other instance knows", async || twin.service.data(list).await["list"].is_null()).await;
    assert_eq!(twin.service.refusal(predictions).await, unknown);
    assert_eq!(office.refusal(DELETE_LIST, json!({ "key": "criterion" })).await, pair("NOT_FOUND", "key"));

    // The drain, the quality of people and the snapshot follow by themselves.
    let left = "SELECT count(*) FROM cinegraph.movie_discovery_scores WHERE list_keys @> '{criterion}'";
    let count =
        async |query: &'static str| sqlx::query_scalar::<_, i64>(query).fetch_one(&office.service.pool).await.unwrap();
    until("no score counts the list", async || count(left).await == 0).await;
    until("the snapshot has no such list", async || {
        let status = office.service.data("{ status { targetLists } }").await;
        status["status"]["targetLists"] == json!(["1001_movies"])
            && office.service.store.jobs().await.unwrap().is_empty()
    })
    .await;
    until("the queue is empty", async || !office.service.store.is_anything_queued().await.unwrap()).await;
    worker.stop().await;
    assert_eq!(office.service.data("{ lists { key } }").await["lists"], json!([{ "key": "1001_movies" }]));
    let scores = "SELECT (movie_id, list_keys, cultural_impact_score, people_quality_score)::text
                  FROM cinegraph.movie_discovery_scores ORDER BY movie_id";
    let read = async || sqlx::query_scalar::<_, String>(scores).fetch_all(&office.service.pool).await.unwrap();
    let incremental = read().await;
    office.service.refresh().await;
    assert_eq!(read().await, incremental);
}

#[sqlx::test(migrations = false)]
async fn lists_that_cannot_be_deleted_are_left_as_they_are(pool: PgPool) {
    let office = Office::with_lists(pool).await;
    let before = office.lists().await;
    let stale = json!({ "key": "criterion", "expected": "2026-01-01T00:00:00Z" });
    assert_eq!(office.refusal(DELETE_LIST, stale).await, pair("CONFLICT", "expectedUpdatedAt"));
    for (key, code) in [("1001_movies", "FORBIDDEN"), ("unknown", "NOT_FOUND"), ("\0", "NOT_FOUND")] {
        assert_eq!(office.refusal(DELETE_LIST, json!({ "key": key })).await, pair(code, "key"), "{key}");
    }
    let mut import = office.service.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM cinegraph.installation FOR UPDATE").execute(&mut *import).await.unwrap();
    assert_eq!(office.refusal(DELETE_LIST, json!({ "key": "criterion" })).await, pair("CONFLICT", "key"));
    import.rollback().await.unwrap();
    sqlx::query("UPDATE cinegraph.installation SET owns_catalogue = false")
        .execute(&office.service.pool)
        .await
        .unwrap();
    let refused = office.execute(DELETE_LIST, json!({ "key": "criterion" })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("belong to another application"), "{message}");
    assert_eq!(office.lists().await, before);
    // A list of the host may be a target all the same.
    office.target("criterion", true).await;
}

#[sqlx::test(migrations = false)]
async fn changes_of_lists_are_logged_with_the_administrator(pool: PgPool) {
    let office = Office::with_lists(pool).await;
    let log = Log::start();
    office.target("criterion", true).await;
    office.target("criterion", false).await;
    office.refusal(DELETE_LIST, json!({ "key": "1001_movies" })).await;
    office.change(DELETE_LIST, json!({ "key": "criterion" })).await;

    let lines = log.lines();
    let changes: Vec<_> = lines.iter().filter(|line| line["admin"] == "ops").collect();
    let facts = |line: &&Value| json!([line["message"], line["list"], line["is_target"], line["films"]]);
    let expected = [
        json!(["target list set", "criterion", true, null]),
        json!(["target list set", "criterion", false, null]),
        json!(["list deleted", "criterion", null, 14]),
    ];
    assert_eq!(changes.iter().map(facts).collect::<Vec<_>>(), expected);
}

#[sqlx::test(migrations = false)]
async fn movies_of_a_list_are_in_its_order(pool: PgPool) {
    let office = Office::on(pool).await;
    let on = |position: &str| format!("{{\"criterion\": {{\"list_position\": {position}, \"edition\": \"2020\"}}}}");
    for (title, sources) in [
        ("Last", on("null")),
        ("Tenth", on("10")),
        ("Second", on("2")),
        ("Éa", on("3")),
        ("eb", on("3")),
        ("After All", on("\"none\"")),
        ("Before", on("-1")),
        ("Elsewhere", "[\"criterion\"]".to_owned()),
    ] {
        Movie::new(title).sources(&sources).insert(&office.service.pool).await;
    }
    office.service.refresh().await;
    let movies = async |page: &str| {
        let query = format!(
            "{{ list(key: \"criterion\") {{ movies({page}) {{ pageInfo {{ endCursor }} nodes {{ position edition movie {{ title }} }} }} }} }}"
        );
        let mut data = office.service.data(&query).await;
        let cursor = data["list"]["movies"]["pageInfo"]["endCursor"].as_str().map(str::to_owned);
        let Value::Array(nodes) = data["list"]["movies"]["nodes"].take() else { panic!("{data}") };
        (
            nodes.iter().map(|node| node["movie"]["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            cursor,
            nodes,
        )
    };
    let (titles, _, nodes) = movies("first: 100").await;
    assert_eq!(titles, ["Before", "Second", "Éa", "eb", "Tenth", "After All", "Last"]);
    assert_eq!(nodes[1], json!({ "position": 2, "edition": "2020", "movie": { "title": "Second" } }));
    assert_eq!(nodes[6]["position"], Value::Null);

    // A cursor is a place in the order, also if its movie leaves the list.
    let (_, cursor, _) = movies("first: 3").await;
    sqlx::query("UPDATE movies SET canonical_sources = '{}' WHERE title = 'Éa'")
        .execute(&office.service.pool)
        .await
        .unwrap();
    office.service.refresh().await;
    let (titles, _, _) = movies(&format!("after: \"{}\"", cursor.unwrap())).await;
    assert_eq!(titles, ["eb", "Tenth", "After All", "Last"]);
}

const IMPORT: &str = "mutation ($input: ListInput!) { importList(input: $input) {
    list { key name isTarget updatedAt films } changed format rows notes films joined moved left leftFilms { title }
    matched { kind rows } unmatched { reason rows } report
    unmatchedRows { line title year reason candidates { tmdbId title year } } } }";

#[sqlx::test(migrations = false)]
async fn a_list_is_imported_as_a_target_and_replaced(pool: PgPool) {
    let office = Office::with_lists(pool).await;
    Movie::new("Film 1").released("1984-09-09").insert(&office.service.pool).await;
    let text = "Film 0 (1984)\nFilm 1 (1984)\nFilm 13 (1995)\nFilm 99 (1984)\n";
    let input = |text: &str, more: Value| {
        let mut input = json!({ "key": "mine", "name": "My List", "text": text, "edition": "2026" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "input": input })
    };
    let before = office.lists().await;
    let dry = office.change(IMPORT, input(text, json!({ "dryRun": true, "target": true }))).await["importList"].take();
    assert_eq!((&dry["list"], &dry["changed"], &dry["joined"]), (&Value::Null, &json!(true), &json!(2)));
    assert_eq!(office.lists().await, before);

    let mut done = office.change(IMPORT, input(text, json!({ "target": true }))).await["importList"].take();
    let updated_at = done["list"]["updatedAt"].take();
    let list = json!({ "key": "mine", "name": "My List", "isTarget": true, "updatedAt": null, "films": 2 });
    assert_eq!(done["list"], list);
    assert_eq!(done["unmatched"], json!([{ "reason": "AMBIGUOUS", "rows": 1 }, { "reason": "ABSENT", "rows": 1 }]));
    let rows = &done["unmatchedRows"];
    assert_eq!((&rows[0]["line"], &rows[0]["candidates"][1]["title"]), (&json!(2), &json!("Film 1")));
    assert_eq!(office.state("mine").await, "WAITING");

    // The report with a correction.
    let second = rows[0]["candidates"][1]["tmdbId"].to_string();
    let mut report: Vec<_> = done["report"].as_str().unwrap().lines().map(str::to_owned).collect();
    assert!(report[1].starts_with("2,"), "{report:?}");
    let uncorrected = report.join("\r\n");
    let absent = format!("{}999999", report[..2].join("\r\n"));
    report[1].push_str(&second);
    let corrected = json!({ "corrections": report.join("\n"), "expectedUpdatedAt": updated_at });
    let done = office.change(IMPORT, input(text.trim_end(), corrected)).await["importList"].take();
    assert_eq!(done["notes"], json!(["the last line, 4, has no line break: check that it is complete"]));
    assert_eq!((&done["joined"], &done["films"], &done["list"]["isTarget"]), (&json!(1), &json!(3), &json!(true)));
    assert_ne!(done["list"]["updatedAt"], updated_at);

    // Another client has changed the list, and what is wrong.
    let before = office.lists().await;
    let stale = json!({ "expectedUpdatedAt": updated_at });
    for (text, more, code, field) in [
        (text, stale, "CONFLICT", "input.expectedUpdatedAt"),
        ("Film 99 (1984)", json!({}), "BAD_USER_INPUT", "input.text"),
        ("", json!({}), "BAD_USER_INPUT", "input.text"),
        (text, json!({ "key": " mine" }), "BAD_USER_INPUT", "input.key"),
        (text, json!({ "key": "Mine" }), "BAD_USER_INPUT", "input.key"),
        (text, json!({ "name": "a\0b" }), "BAD_USER_INPUT", "input.name"),
        (text, json!({ "edition": "" }), "BAD_USER_INPUT", "input.edition"),
        (text, json!({ "year": 12 }), "BAD_USER_INPUT", "input.year"),
        (text, json!({ "corrections": "nonsense" }), "BAD_USER_INPUT", "input.corrections"),
        (text, json!({ "corrections": uncorrected }), "BAD_USER_INPUT", "input.corrections"),
        (text, json!({ "corrections": absent }), "BAD_USER_INPUT", "input.corrections"),
    ] {
        assert_eq!(office.refusal(IMPORT, input(text, more)).await, pair(code, field), "{text}");
    }
    assert_eq!(office.lists().await, before);

    // An administrator may send a larger text than others; the movies that it does not name leave the list.
    let large = format!("Film 0 (1984)\n{}", "Unknown Film (1901)\n".repeat(20_000));
    let done = office.change(IMPORT, input(&large, json!({}))).await["importList"].take();
    assert_eq!((&done["left"], &done["films"]), (&json!(2), &json!(1)));
    let body = json!({ "query": IMPORT, "variables": input(&large, json!({})) }).to_string();
    let refused = office.service.post(body.into(), &[("content-type", "application/json")]).await;
    assert_eq!(refused.status(), 413);
}
