//! The program as users run it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{TestService, url};

/// The URL of an unreachable database.
const NOWHERE: &str = "postgres://nobody:hunter2@127.0.0.1:1/nothing";

const COMMANDS: [&str; 30] = [
    "config",
    "demo",
    "film",
    "generate",
    "import",
    "import csv",
    "import imdb",
    "import list",
    "import links",
    "import tmdb-ids",
    "invalidate",
    "jobs",
    "jobs list",
    "jobs retry",
    "lists",
    "migrate",
    "model",
    "model rollback",
    "model show",
    "model train",
    "postgres",
    "predict",
    "profiles",
    "prove",
    "refresh",
    "schema",
    "serve",
    "status",
    "validate",
    "worker",
];

/// The program on a database, without settings from the environment or a file.
pub(crate) fn cinegraph(database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinegraph"));
    // Help is wrapped to the width of the terminal.
    without_settings(&mut command).args(arguments).env_remove("COLUMNS");
    // Without a URL: on the embedded PostgreSQL.
    if !database_url.is_empty() {
        command.env("CINEGRAPH_DATABASE_URL", database_url);
    }
    command
}

/// Keeps the settings of this process, and a file of them, from a command.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("CINEGRAPH_")) {
        command.env_remove(variable);
    }
    // The current directory has no cinegraph.toml.
    command.current_dir(std::env::temp_dir())
}

pub(crate) fn run(database_url: &str, arguments: &[&str]) -> Output {
    cinegraph(database_url, arguments).output().unwrap()
}

/// Runs a command that must succeed; returns its standard output.
#[track_caller]
pub(crate) fn printed(database_url: &str, arguments: &[&str]) -> String {
    let output = run(database_url, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub(crate) fn json(database_url: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(database_url, arguments)).unwrap()
}

/// The text of standard error.
pub(crate) fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// CSV files with 40 movies of two decades, some listed, with tied ratings.
pub(crate) fn catalogue() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut files = [
        ("movies.csv", "tmdb_id,imdb_id,title,release_date,adult,import_status,original_language\n".to_owned()),
        ("external_metrics.csv", "tmdb_id,source,metric_type,value\n".to_owned()),
        ("movie_lists.csv", "list_key,tmdb_id,list_position,edition\n".to_owned()),
    ];
    for id in 1..=40 {
        let decade = if id % 2 == 0 { 1990 } else { 2020 };
        let [movies, metrics, lists] = &mut files;
        writeln!(movies.1, "{id},tt{id:07},Film {id},{}-03-04,false,full,en", decade + id % 7).unwrap();
        let rating = 5.0 + f64::from(id % 8) / 3.0 + f64::from(id % 3 == 0);
        writeln!(metrics.1, "{id},tmdb,rating_average,{rating}\n{id},metacritic,metascore,{}", 40 + id % 5 * 10)
            .unwrap();
        if id % 3 == 0 {
            writeln!(lists.1, "1001_movies,{id},,").unwrap();
        }
    }
    for (name, text) in &files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Migrates the database and imports [`catalogue`]; returns the URL.
pub(crate) fn imported(pool: &PgPool) -> String {
    let (url, dir) = (url(pool), catalogue());
    printed(&url, &["migrate"]);
    printed(&url, &["import", "csv", dir.path().to_str().unwrap()]);
    url
}

#[test]
fn help_lists_every_command() {
    let help = printed(NOWHERE, &["--help"]);
    insta::assert_snapshot!("help", help);
    for command in COMMANDS {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        insta::assert_snapshot!(format!("help_{}", command.replace(' ', "_")), printed(NOWHERE, &arguments));
    }
    let listed: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  ")).collect();
    let unlisted: Vec<_> = COMMANDS
        .iter()
        .filter(|name| !name.contains(' ') && !listed.iter().any(|(listed, _)| listed == *name))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:?} of {listed:?}");
}

#[test]
fn schema_needs_no_database() {
    assert_eq!(printed(NOWHERE, &["schema"]), cinegraph::graphql::sdl());
}

#[test]
fn config_hides_the_password() {
    let shown = printed(NOWHERE, &["config"]);
    assert!(shown.contains("postgres://nobody"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn misspelt_setting_is_rejected_by_name() {
    let output = cinegraph(NOWHERE, &["config"]).env("CINEGRAPH_HTTP_ADDRESS", "127.0.0.1:80").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("CINEGRAPH_HTTP_ADDRESS"), "{}", stderr_of(&output));
}

#[test]
fn unknown_variable_is_a_warning_without_its_value() {
    let output = cinegraph(NOWHERE, &["config"]).env("CINEGRAPH_API_KEY", "hunter2").output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("CINEGRAPH_API_KEY"), "{}", stderr_of(&output));
    assert!(!stderr_of(&output).contains("hunter2"), "{}", stderr_of(&output));
}

#[test]
fn reference_of_settings_needs_no_valid_configuration() {
    let output = cinegraph("nonsense", &["config", "--markdown"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("| `database_url` | not set | "));
}

#[test]
fn unreachable_database_error_hides_the_password() {
    let output =
        cinegraph(NOWHERE, &["predict"]).env("CINEGRAPH_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "0.1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("the database cannot be reached"), "{}", stderr_of(&output));
    assert!(!stderr_of(&output).contains("hunter2"), "{}", stderr_of(&output));
}

#[sqlx::test(migrations = false)]
async fn unmigrated_database_error_names_the_command(pool: PgPool) {
    let url = url(&pool);
    let dir = catalogue();
    for arguments in [
        &["serve", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"][..],
        &["import", "csv", dir.path().to_str().unwrap()],
        &["refresh", "all"],
        &["predict"],
        &["validate"],
        &["generate"],
    ] {
        let output = run(&url, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        if arguments[0] == "serve" {
            let lines = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "its log is JSON: {lines}");
        }
        // A service reports it in its log.
        let reported = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr_of(&output));
        assert!(reported.contains("run `cinegraph migrate`"), "{arguments:?}: {reported}");
    }
}

#[sqlx::test(migrations = false)]
async fn migrating_twice_changes_nothing(pool: PgPool) {
    let url = url(&pool);
    let first = printed(&url, &["migrate"]);
    assert!(first.contains("Migrations applied") && first.contains("Triggers put on"), "{first}");
    assert_eq!(printed(&url, &["migrate"]), "Found movie tables created by Cinegraph.\nThe schema is up to date.\n");
}

#[sqlx::test(migrations = false)]
async fn predict_prints_what_graphql_serves(pool: PgPool) {
    const NODE: &str = "rank status score likelihood learnedScore probability coverage computedAt source
        breakdown { criterion value weight contribution } movie { slug tmdbId imdbId title year releaseDate }";
    let url = imported(&pool);
    let service = TestService::on(pool).await;
    let custom = json!({
        "popularOpinion": 0.75, "criticalAcclaim": 0.25, "industryRecognition": 0.0, "culturalImpact": 0.0,
        "peopleQuality": 0.0,
    });
    for (root, kind, profile, arguments) in [
        ("predictions", "", json!({"name": "Balanced"}), &["--decade", "1990"][..]),
        (
            "predictions",
            "profile: \"Cult Classic\", ",
            json!({"name": "Cult Classic"}),
            // Case does not matter, as in the API.
            &["--decade", "1990s", "--profile", "cult classic"],
        ),
        (
            "predictions",
            "weights: { popularOpinion: 3, criticalAcclaim: 1, industryRecognition: 0, culturalImpact: 0, \
             peopleQuality: 0 }, ",
            Value::Null,
            &["--decade", "1990", "--weights", "3,1,0,0,0"],
        ),
        ("confirmedAdditions", "", json!({"name": "Balanced"}), &["--decade", "1990", "--confirmed"]),
    ] {
        let query = format!(
            "{{ ranked: {root}({kind}decade: 1990, first: 100) {{
                ranking modelVersion dataVersion totalCount nodes {{ {NODE} }} }} }}"
        );
        let served = &service.data(&query).await["ranked"];
        assert!(served["nodes"].as_array().unwrap().len() > 5, "{served}");
        let arguments: Vec<_> = ["predict", "--json", "--first", "100"].iter().chain(arguments).copied().collect();
        let printed = json(&url, &arguments);
        for field in ["ranking", "modelVersion", "dataVersion", "totalCount", "nodes"] {
            assert_eq!(printed[field], served[field], "{arguments:?} {field}");
        }
        assert_eq!((&printed["list"], &printed["decade"]), (&json!("1001_movies"), &json!(1990)));
        assert_eq!(printed["profile"], profile, "{arguments:?}");
        if profile.is_null() {
            assert_eq!(printed["weights"], custom);
        }
    }
}

#[sqlx::test(migrations = false)]
async fn predict_prints_more_movies_than_a_page_of_the_api_has(pool: PgPool) {
    let url = url(&pool);
    printed(&url, &["migrate"]);
    printed(&url, &["generate", "--films", "2000"]);
    let predicted = json(&url, &["predict", "--json", "--first", "130"]);
    let ranks = |predicted: &Value| -> Vec<_> {
        predicted["nodes"].as_array().unwrap().iter().filter_map(|movie| movie["rank"].as_u64()).collect()
    };
    assert_eq!(ranks(&predicted), (1..=130).collect::<Vec<_>>());

    let all = json(&url, &["predict", "--json", "--all"]);
    let candidates = predicted["totalCount"].as_u64().unwrap();
    assert_eq!(ranks(&all), (1..=candidates).collect::<Vec<_>>());
    let count = all["nodes"].as_array().unwrap().len() as u64;
    assert!(count > candidates, "those on the list are there, too");
    assert_eq!(all["totalCount"], count);
}

#[sqlx::test(migrations = false)]
async fn validate_prints_what_graphql_serves(pool: PgPool) {
    const TOTAL: &str = "listed population hits accuracy interval { low high } expectedHits lift baselineAccuracy
         baselines { kind accuracy } unhittable";
    let url = imported(&pool);
    let service = TestService::on(pool).await;
    for (basis, argument) in [("BLIND", "blind"), ("AS_PUBLISHED", "as-published")] {
        let query = format!(
            "{{ validation(basis: {basis}) {{
                    ranking snapshotAt overall {{ {TOTAL} }} eras {{ name decades listed hits accuracy }}
                    hitRates {{ firstRank lastRank movies listed rate interval {{ low high }} }}
                    decades {{ decade {TOTAL} }} }}
                decadeValidation(decade: 2020, basis: {basis}) {{ decade ranking {TOTAL} }}
                profileComparison(basis: {basis}) {{ best {{ name }}
                    profiles {{ profile {{ name }} overall {{ {TOTAL} }} decades {{ decade listed hits accuracy }} }} }} }}"
        );
        let data = service.data(&query).await;
        assert!(data["validation"]["overall"]["hits"].as_u64().unwrap() > 0, "{data}");
        for (root, arguments) in [
            ("validation", &[][..]),
            ("decadeValidation", &["--decade", "2020"]),
            ("profileComparison", &["--profiles"]),
        ] {
            let printed = json(&url, &[&["validate", "--json", "--basis", argument], arguments].concat());
            for (field, value) in data[root].as_object().unwrap() {
                assert_eq!(&printed[field], value, "{root} {field}");
            }
            assert_eq!((&printed["list"], &printed["basis"]), (&json!("1001_movies"), &json!(basis)));
            assert_eq!(printed.get("profile").is_some(), root != "profileComparison");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn lists_profiles_and_films_are_those_of_graphql(pool: PgPool) {
    let url = imported(&pool);
    let service = TestService::on(pool).await;
    let query = "{ lists { key name isTarget updatedAt movieCount undated decades { decade listed candidates } }
        profiles(activeOnly: false) { name description isDefault isSystem active updatedAt
            weights { popularOpinion criticalAcclaim industryRecognition culturalImpact peopleQuality } }
        movies(search: \"film 1\", first: 10) { totalCount nodes { title prediction { rank score status } } } }";
    let data = service.data(query).await;
    assert_eq!(json(&url, &["lists", "--json"])["lists"], data["lists"]);
    assert_eq!(json(&url, &["profiles", "--json"])["profiles"], data["profiles"]);
    let found = json(&url, &["film", "film", "1", "--json"]);
    assert_eq!(found["totalCount"], data["movies"]["totalCount"]);
    let of = |movies: &Value| {
        let movies = movies["nodes"].as_array().unwrap().iter();
        let facts = |movie: &Value| {
            let prediction = &movie["prediction"];
            json!([movie["title"], prediction["rank"], prediction["score"], prediction["status"]])
        };
        movies.map(facts).collect::<Vec<_>>()
    };
    assert_eq!((of(&found).len(), of(&found)), (10, of(&data["movies"])));

    let today = &data["lists"][0]["updatedAt"].as_str().unwrap()[..10];
    insta::assert_snapshot!("lists", printed(&url, &["lists"]).replace(today, "2026-01-01"));
    insta::assert_snapshot!("profiles", printed(&url, &["profiles"]));
    let matches = printed(&url, &["film", "Film", "1"]);
    insta::assert_snapshot!("film_matches", matches);
    assert!(matches.lines().nth(4).is_some_and(|line| line.starts_with("Film 1 ")), "the best match first: {matches}");
    let one = printed(&url, &["film", "--id", "14"]);
    insta::assert_snapshot!("film", one);
    for id in ["tt0000014", "14-film-14"] {
        assert_eq!(printed(&url, &["film", "--id", id]), one);
    }
    assert!(one.contains("rank 1 of the 1990s for 1001_movies"), "{one}");
    assert!(printed(&url, &["film", "--id", "6"]).contains("on 1001_movies\n"));
}

#[sqlx::test(migrations = false)]
async fn empty_results_say_why_and_fail(pool: PgPool) {
    let url = url(&pool);
    printed(&url, &["migrate"]);
    let fails = |arguments: &[&str], message: &str| {
        let output = run(&url, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(message), "{arguments:?}: {}", stderr_of(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    for command in
        [&["predict"][..], &["predict", "--confirmed"], &["validate"], &["film", "heat"], &["film", "--id", "1"]]
    {
        assert_eq!(fails(command, "there are no movies yet: `cinegraph generate` makes some"), "");
    }
    let dir = catalogue();
    printed(&url, &["import", "csv", dir.path().to_str().unwrap()]);
    fs::write(dir.path().join("own.txt"), "tt0000001\n").unwrap();
    printed(&url, &["import", "list", dir.path().join("own.txt").to_str().unwrap(), "--key", "own"]);

    for (arguments, message) in [
        (&["predict", "--decade", "1930"][..], "there are no movies of the 1930s; there are some of the 1990s, 2020s"),
        (&["predict", "--decade", "1930", "--all"], "there are no movies of the 1930s"),
        (
            &["predict", "--decade", "1990", "--confirmed", "--list", "own"],
            "no movies of the 1990s are on own; there are some of the 2020s",
        ),
        (&["validate", "--list", "own", "--basis", "as-published"], "no movies of the 1920s–2010s are on own"),
        (&["film", "xyzzy", "plugh"], "no movie has a title like \"xyzzy plugh\""),
        (&["film", "--id", "99"], "no movie has the id \"99\""),
    ] {
        assert_eq!(fails(arguments, message), "", "{arguments:?}");
    }
    let json: Value =
        serde_json::from_str(&fails(&["predict", "--decade", "1930", "--json"], "there are no movies of")).unwrap();
    assert_eq!((&json["nodes"], &json["totalCount"], &json["decade"]), (&json!([]), &json!(0), &json!(1930)));
    sqlx::query("UPDATE movies SET canonical_sources = '{\"1001_movies\": {}}'").execute(&pool).await.unwrap();
    printed(&url, &["refresh", "all"]);
    fails(
        &["predict", "--decade", "1990"],
        "the only movies of the 1990s, 20, are on 1001_movies already; --confirmed ranks them",
    );
}

#[sqlx::test(migrations = false)]
async fn text_output_is_a_table(pool: PgPool) {
    let url = imported(&pool);
    let predicted = printed(&url, &["predict", "--decade", "1990", "--first", "5"]);
    insta::assert_snapshot!("predict", predicted);
    insta::assert_snapshot!("validate", printed(&url, &["validate"]));
    assert!(!predicted.contains('\u{1b}'), "no colours without a terminal");
}

#[test]
fn log_lines_beside_results_are_text_unless_json_is_configured() {
    let warned = |arguments: &[&str], format: Option<&str>| {
        let mut command = cinegraph(NOWHERE, arguments);
        command.env("CINEGRAPH_API_KEY", "x").envs(format.map(|format| ("CINEGRAPH_LOG_FORMAT", format)));
        let output = command.env("CINEGRAPH_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "0.1").output().unwrap();
        stderr_of(&output).lines().next().unwrap_or_default().to_owned()
    };
    let text = warned(&["predict"], None);
    assert!(text.contains(" WARN cinegraph::cli: ignoring variables"), "{text}");
    assert!(serde_json::from_str::<Value>(&warned(&["predict"], Some("json"))).is_ok());
}

#[sqlx::test(migrations = false)]
async fn refreshing_twice_changes_nothing(pool: PgPool) {
    let url = imported(&pool);
    insta::assert_snapshot!("import", printed(&url, &["import", "csv", catalogue().path().to_str().unwrap()]));
    let again = printed(&url, &["refresh", "all"]);
    insta::assert_snapshot!("refresh_all", again);
    assert!(again.contains("Scores of 40 fully imported movies computed, 0 changed."), "{again}");
}

#[sqlx::test(migrations = false)]
async fn unknown_names_in_arguments_are_errors(pool: PgPool) {
    let url = imported(&pool);
    for (arguments, code, message) in [
        (&["predict", "--list", "nope"][..], 1, "unknown list \"nope\"; known lists: 1001_movies"),
        (&["validate", "--list", "nope"], 1, "unknown list \"nope\"; known lists: 1001_movies"),
        (&["validate", "--profiles", "--list", "nope"], 1, "unknown list \"nope\"; known lists: 1001_movies"),
        (&["predict", "--profile", "Missing"], 1, "unknown profile \"Missing\"; known profiles: Award Winner"),
        (&["validate", "--profile", "Missing"], 1, "unknown profile \"Missing\"; known profiles: Award Winner"),
        (&["predict", "--list", "1001_moveis"], 1, "unknown list \"1001_moveis\"; did you mean \"1001_movies\"?"),
        (&["predict", "--profile", "Critic"], 1, "unknown profile \"Critic\"; did you mean \"Critics Choice\"?"),
        (&["predict", "--first", "0"], 2, "expected 1 or more"),
        (&["predict", "--first", "many"], 2, "expected 1 or more"),
        (&["film", "heat", "--first", "0"], 2, "expected 1 to 100"),
        (&["film", "heat", "--first", "101"], 2, "expected 1 to 100"),
        (&["film"], 2, "required"),
        (
            &["predict", "--decade", "1995"],
            2,
            "1995 is not the first year of a decade, such as 1990 or 2020; did you mean 1990?",
        ),
        (&["predict", "--decade", "nineties"], 2, "nineties is not a year"),
        (&["predict", "--weights", "1,2,3"], 2, "3 weights, expected 5"),
        (&["predict", "--weights", "0,0,0,0,0"], 2, "all weights are 0"),
        (&["predict", "--weights", "1,1,1,1,-1"], 2, "expected 0 to 1000000"),
        (&["predict", "--weights", "1,1,1,1,1", "--profile", "Balanced"], 2, "cannot be used with"),
        (&["validate", "--profiles", "--decade", "1990"], 2, "cannot be used with"),
        (&["refresh", "everything"], 2, "[possible values: people, scores, snapshot, all]"),
        (&["import", "csv", "/no/such/directory"], 1, "/no/such/directory"),
        (&["foretell"], 2, "unrecognized subcommand 'foretell'"),
    ] {
        let output = run(&url, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(message), "{arguments:?}: {}", stderr_of(&output));
        assert!(output.stdout.is_empty(), "{arguments:?} printed something");
    }
}

#[sqlx::test(migrations = false)]
async fn damaged_file_error_names_file_and_line(pool: PgPool) {
    let url = url(&pool);
    printed(&url, &["migrate"]);
    let dir = catalogue();
    let metrics = dir.path().join("external_metrics.csv");
    let text = fs::read_to_string(&metrics).unwrap().replacen("40\n", "forty\n", 1);
    let line = 1 + text.lines().position(|line| line.ends_with("forty")).unwrap();
    fs::write(&metrics, text).unwrap();

    let output = run(&url, &["import", "csv", dir.path().to_str().unwrap()]);

    assert_eq!(output.status.code(), Some(1));
    let place = format!("external_metrics.csv, line {line},");
    assert!(stderr_of(&output).contains(&place), "{place}: {}", stderr_of(&output));
    let movies: i64 = sqlx::query_scalar("SELECT count(*) FROM movies").fetch_one(&pool).await.unwrap();
    assert_eq!(movies, 0, "nothing is half-written");
}

#[sqlx::test(migrations = false)]
async fn closed_stdout_is_not_an_error(pool: PgPool) {
    let url = imported(&pool);
    for arguments in [&["predict", "--decade", "1990"][..], &["validate", "--json"], &["schema"], &["config"]] {
        let mut command = cinegraph(&url, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", stderr_of(&output));
    }
}

#[sqlx::test(migrations = false)]
async fn serve_handles_requests_until_sigterm(pool: PgPool) {
    let url = imported(&pool);
    let mut server = Server::start(&url);

    let (status, ready) = get(&server.public, "/health/ready");
    assert_eq!(
        (status, ready),
        (200, json!({"ready": true, "checks": {"database": "ok", "connections": "ok"}}).to_string())
    );
    let query = json!({"query": "{ predictions(decade: 1990, first: 1) { nodes { rank movie { title } } } }"});
    let (status, response) = server.post("/graphql", &query.to_string());
    let predicted = json(&url, &["predict", "--json", "--decade", "1990", "--first", "1"]);
    let node = json!({"rank": 1, "movie": {"title": predicted["nodes"][0]["movie"]["title"]}});
    assert_eq!(
        (status, serde_json::from_str(&response).unwrap()),
        (200, json!({"data": {"predictions": {"nodes": [node]}}}))
    );
    let (status, metrics) = get(&server.admin, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("cinegraph_"), "{metrics}");
    assert_eq!(get(&server.public, "/metrics").0, 404, "metrics are on the admin listener only");

    assert_eq!(server.stop(), Some(0));
}

#[sqlx::test(migrations = false)]
async fn jobs_run_unless_disabled_and_failed_jobs_are_retried(pool: PgPool) {
    let url = imported(&pool);
    sqlx::raw_sql(
        "ALTER TABLE cinegraph.movie_blind_scores RENAME TO gone; UPDATE cinegraph.tasks SET last_success_at = now();
                   SELECT cinegraph.request_task('snapshot_refresh', '0');
                   UPDATE cinegraph_jobs._private_jobs SET attempts = 2",
    )
    .execute(&pool)
    .await
    .unwrap();
    let states = || json(&url, &["jobs", "list", "--json"]);
    let mut idle = Server::running(&url, &["serve", "--no-jobs", "--http-addr", "127.0.0.1:0"], "serving");
    let mut worker = Server::running(&url, &["worker"], "worker started");
    wait_for("the job has failed", || states()[0]["state"] == "failed");

    let failed = states();
    assert_eq!((&failed[0]["task"], &failed[0]["attempts"]), (&json!("snapshot_refresh"), &json!(3)));
    assert!(printed(&url, &["jobs", "list"]).contains("movie_blind_scores"));
    assert!(
        get(&worker.admin, "/metrics")
            .1
            .contains("cinegraph_task_runs_total{task=\"snapshot_refresh\",outcome=\"error\"} 1")
    );
    sqlx::query("ALTER TABLE cinegraph.gone RENAME TO movie_blind_scores").execute(&pool).await.unwrap();
    assert_eq!(run(&url, &["jobs", "retry", "12345"]).status.code(), Some(1));
    let id = failed[0]["id"].to_string();
    assert_eq!(printed(&url, &["jobs", "retry", &id]), format!("Retrying: {id}\n"));
    wait_for("it is done", || states() == json!([]));

    assert_eq!(printed(&url, &["jobs", "list"]), "No jobs.\n");
    assert_eq!(printed(&url, &["jobs", "retry", "--failed"]), "No failed jobs.\n");
    let metrics = get(&idle.admin, "/metrics").1;
    assert!(metrics.contains("cinegraph_task_runs_total{task=\"snapshot_refresh\",outcome=\"ok\"} 0"), "{metrics}");
    assert_eq!((worker.stop(), idle.stop()), (Some(0), Some(0)));
}

#[sqlx::test(migrations = false)]
async fn status_reports_the_database_and_a_running_instance(pool: PgPool) {
    let url = imported(&pool);
    sqlx::query("UPDATE movies SET release_date = release_date + 1").execute(&pool).await.unwrap();
    let mut server = Server::running(&url, &["serve", "--no-jobs", "--http-addr", "127.0.0.1:0"], "serving");
    let status = |admin: &str, arguments: &[&str]| {
        let output = cinegraph(&url, arguments).args(["--admin-addr", admin]).output().unwrap();
        assert!(output.status.success(), "{}", stderr_of(&output));
        String::from_utf8(output.stdout).unwrap()
    };

    let status_json: Value = serde_json::from_str(&status(&server.admin, &["status", "--json"])).unwrap();
    assert_eq!((&status_json["scored_films"], &status_json["queue"]["films"]), (&json!(40), &json!(40)));
    assert!(status_json["last_success"]["snapshot_refresh"].is_string(), "{status_json:#}");
    let sources = status_json["metric_sources"].as_array().unwrap();
    let sources: Vec<_> = sources.iter().map(|source| (&source["source"], &source["films"])).collect();
    assert_eq!(sources, [(&json!("metacritic"), &json!(40)), (&json!("tmdb"), &json!(40))]);
    assert!(status_json["metric_sources"][0]["newest_at"].as_str().unwrap().starts_with("20"), "{status_json:#}");
    assert_eq!(status_json["instance"]["pools"]["primary"]["max"], 10.0);
    assert!(status_json["instance"]["caches"]["columns"]["entries"].as_f64().unwrap() > 0.0, "{status_json:#}");
    let facts_of = |status: &Value| {
        ["scored_films", "snapshot_at", "queue", "last_success", "jobs"].map(|fact| status[fact].clone())
    };
    // The instance warms its caches in the meantime, which is one of the facts.
    let mut served = Value::Null;
    wait_for("the same facts of /status and of the command", || {
        let command: Value = serde_json::from_str(&status(&server.admin, &["status", "--json"])).unwrap();
        let (code, body) = get(&server.admin, "/status");
        served = serde_json::from_str(&body).unwrap();
        code == 200 && facts_of(&served) == facts_of(&command)
    });
    assert!(facts_of(&served).iter().all(|fact| !fact.is_null()), "{served:#}");
    assert_eq!(served["instance"]["breakers"]["score_table"], "closed");
    let table = status(&server.admin, &["status"]);
    assert!(
        ["Movies waiting for scores", "Metrics of tmdb", "predictions", "primary"]
            .iter()
            .all(|text| table.contains(text)),
        "{table}"
    );

    assert_eq!(server.stop(), Some(0));
    let stopped = status(&server.admin, &["status"]);
    assert!(stopped.contains(&format!("No status from an instance at http://{}/status: ", server.admin)), "{stopped}");
}

#[sqlx::test(migrations = false)]
async fn lists_are_imported_reported_and_corrected(pool: PgPool) {
    let (url, dir) = (imported(&pool), TempDir::new().unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (list, report) = (path("list.csv"), path("report.csv"));
    fs::write(&list, "title,year\nFilm 2,1992\nFILM 4,1994\nFilm 6,\nFilm 99,1990\n").unwrap();
    let import = ["import", "list", &list, "--key", "mine", "--name", "My films", "--report", &report];

    let dry = printed(&url, &[&import[..], &["--dry-run"]].concat());
    assert!(dry.contains("the list would be 2 movies long: 2 joined, 0 left"), "{dry}");
    assert!(!run(&url, &["predict", "--list", "mine"]).status.success(), "a dry run makes no list");
    insta::assert_snapshot!("import_list", printed(&url, &import).replace(dir.path().to_str().unwrap(), "DIR"));
    let text = fs::read_to_string(&report).unwrap();
    assert!(text.contains("4,,Film 6,,without a year,tt0000006 Film 6 (1996),"), "{text}");
    fs::write(&report, text.replace("(1996),", "(1996),6")).unwrap();

    // Neither corrections nor other files are replaced, and nothing is changed then.
    let (pipe, unrelated, link, empty) = (path("pipe"), path("report.csv.new"), path("link"), path("empty.csv"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&unrelated, "mine").unwrap();
    fs::write(&empty, "").unwrap();
    std::os::unix::fs::symlink(&report, &link).unwrap();
    for (to, message) in [
        (report.as_str(), "has corrections, which would be lost"),
        (&link, "has corrections, which would be lost"),
        (&list, "exists and is no report"),
        (&empty, "exists and is no report"),
        (&pipe, "is no file that could be a report"),
        ("/dev/full", "is no file that could be a report"),
        ("/dev/stdout", "is no file that could be a report"),
        (dir.path().to_str().unwrap(), "is no file that could be a report"),
        ("-", "--report needs the name of a file"),
    ] {
        let output = run(&url, &["import", "list", &list, "--key", "mine", "--report", to]);
        assert!(!output.status.success() && stderr_of(&output).contains(message), "{}", stderr_of(&output));
    }
    // Rows that cannot be decided are reported even if no row can be.
    let (undated, all) = (path("undated.csv"), path("all.csv"));
    fs::write(&undated, "title,year\nFilm 2,\n=Film 4,\n").unwrap();
    let output = run(&url, &["import", "list", &undated, "--key", "none", "--report", &all]);
    assert!(!output.status.success() && stderr_of(&output).contains("none of the 2 rows"), "{}", stderr_of(&output));
    let text = fs::read_to_string(&all).unwrap();
    assert!(text.contains("2,,Film 2,,without a year,tt0000002 Film 2 (1992),") && text.contains("'=Film 4"), "{text}");

    // The list from standard input, with the corrected report.
    let arguments = ["import", "list", "-", "--key", "mine", "--resolve", &report, "--report", &link, "--no-refresh"];
    let mut corrected = cinegraph(&url, &arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    corrected.stdin.take().unwrap().write_all(&fs::read(&list).unwrap()).unwrap();
    let output = corrected.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("the list is 3 movies long: 1 joined, 0 left"), "{text}");
    // The file behind the link has the decision, and nothing else was touched.
    assert!(fs::read_to_string(&report).unwrap().contains("4,,Film 6,,resolved,,tt0000006"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let others = fs::read_dir(dir.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with(".cinegraph-report"));
    assert_eq!((fs::read_to_string(&unrelated).unwrap().as_str(), others.count()), ("mine", 0));
    let predicted = json(&url, &["predict", "--list", "mine", "--decade", "1990", "--json"]);
    let movies = predicted["nodes"].as_array().unwrap().iter();
    let listed: Vec<_> = movies.map(|row| row["movie"]["title"].as_str().unwrap()).collect();
    assert!(!listed.contains(&"Film 2") && listed.contains(&"Film 8"), "{listed:?}");

    for (arguments, message) in [
        (&["import", "list", &list][..], "--key"),
        (&["import", "list", "/nowhere.csv", "--key", "mine"], "cannot read /nowhere.csv"),
        (&["import", "list", &list, "--key", "mine", "--format", "imdb"], "not a file of the format imdb"),
        (&["import", "list", &list, "--key", "mine", "--resolve", &list], "expected the columns line, position"),
        (&["import", "list", &list, "--key", "mine", "--resolve", &empty], "empty.csv: the file is empty"),
        (&["import", "list", "-", "--key", "mine", "--resolve", "-"], "standard input is either the list"),
        (&["import", "list", &list, "--key", "Mine"], "there is a list with the key \"mine\" already"),
    ] {
        let output = run(&url, arguments);
        assert!(
            !output.status.success() && stderr_of(&output).contains(message),
            "{arguments:?}: {}",
            stderr_of(&output)
        );
    }
}

#[sqlx::test(migrations = false)]
async fn invalidate_raises_minimum_valid_versions_and_prints_their_scope(pool: PgPool) {
    let url = imported(&pool);
    let rows = async |of: &'static str| -> Vec<(String, String, i32, bool)> {
        sqlx::query_as(of).fetch_all(&pool).await.unwrap()
    };
    let raised =
        "SELECT scope, list_key, decade, floor = version FROM cinegraph.data_versions ORDER BY changed_at DESC LIMIT 1";

    let list = printed(&url, &["invalidate", "--list", "1001_movies", "--decade", "1990"]);
    assert_eq!(list, "Invalidated cached results and responses about the list 1001_movies in the 1990s.\n");
    assert_eq!(rows(raised).await, [("list".into(), "1001_movies".into(), 1990, true)]);
    let output = run(&url, &["invalidate", "--profile", "Balanced"]);
    let profile = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(profile, "Invalidated cached results and responses under the weights of Balanced.\n");
    assert!(stderr_of(&output).contains("cached results invalidated"), "{}", stderr_of(&output));
    let weights = rows(raised).await.remove(0);
    assert_eq!((weights.0.as_str(), weights.1.len(), weights.3), ("taste", 16, true));
    assert!(printed(&url, &["invalidate", "--all"]).starts_with("Invalidated all cached results and responses ("));
    let old = "SELECT scope, list_key, decade, true FROM cinegraph.data_versions WHERE floor < version";
    assert_eq!(rows(old).await, []);

    for (arguments, code, message) in [
        (&["invalidate"][..], 2, "required"),
        (&["invalidate", "--list", "1001_movies"], 2, "--decade"),
        (&["invalidate", "--all", "--profile", "Balanced"], 2, "cannot be used with"),
        (&["invalidate", "--list", "nope", "--decade", "1990"], 1, "unknown list \"nope\"; known lists: 1001_movies"),
        (&["invalidate", "--profile", "Missing"], 1, "unknown profile \"Missing\"; known profiles: Award Winner"),
        (&["jobs", "retry"], 2, "required"),
    ] {
        let output = run(&url, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(message), "{arguments:?}: {}", stderr_of(&output));
    }
}

#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_signal_ends_a_program_that_waits_for_its_database() {
    // Accepts connections and never replies, as a server that hangs does.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody:nothing@{}/nothing", silent.local_addr().unwrap());
    for (arguments, code) in [(["serve", "--no-jobs"], 0), (["predict", "--all"], 130)] {
        let mut program = cinegraph(&url, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let _waiting = silent.accept().unwrap();
        Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
        let since = Instant::now();
        assert_eq!(program.wait().unwrap().code(), Some(code), "{arguments:?}");
        assert!(since.elapsed() < Duration::from_secs(10), "{arguments:?} ended after {:?}", since.elapsed());
    }
}

/// A running `cinegraph serve` or `worker`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    pub(crate) public: String,
    pub(crate) admin: String,
}

impl Server {
    /// Starts `serve` on free ports; returns when it is ready.
    pub(crate) fn start(database_url: &str) -> Self {
        Self::with(database_url, &[])
    }

    /// The same, with settings from the environment.
    pub(crate) fn with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::configured(database_url, &["serve", "--http-addr", "127.0.0.1:0"], settings, "serving")
    }

    /// Starts a long-running command; returns when it has logged this message.
    pub(crate) fn running(database_url: &str, arguments: &[&str], message: &str) -> Self {
        Self::configured(database_url, arguments, &[], message)
    }

    /// The same, with settings from the environment.
    pub(crate) fn configured(database_url: &str, arguments: &[&str], settings: &[(&str, &str)], message: &str) -> Self {
        let arguments = [arguments, &["--admin-addr", "127.0.0.1:0", "--log-format", "json"]].concat();
        let mut command = cinegraph(database_url, &arguments);
        let mut child = command.envs(settings.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&log);
        let mut logged = move || {
            let line = serde_json::from_str::<Value>(&lines.next()?.unwrap()).unwrap();
            kept.lock().unwrap().push(line.clone());
            Some(line)
        };
        let mut until_ready = std::iter::from_fn(&mut logged);
        let serving = until_ready.find(|line| line["message"] == message).expect("it exited before it was ready");
        // Keep reading, or the server blocks on a full pipe when it logs.
        std::thread::spawn(move || while logged().is_some() {});
        let address = |listener: &str| serving[listener].as_str().unwrap_or_default().to_owned();
        Self { child, log, public: address("public_addr"), admin: address("admin_addr") }
    }

    /// The lines that it has logged with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        self.log.lock().unwrap().iter().filter(|line| line["message"] == message).cloned().collect()
    }

    /// The lines that it has logged.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Sends a request by a method without a body; returns the status.
    pub(crate) fn request(&self, method: &str, path: &str) -> u16 {
        exchange(
            &self.public,
            &format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.public),
        )
        .0
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.posted(path, body);
        (status, body)
    }

    /// Posts an operation; returns status, head and body of the response.
    pub(crate) fn execute(&self, body: &str) -> (u16, String, String) {
        self.posted("/graphql", body)
    }

    /// The same, with this `traceparent`.
    pub(crate) fn execute_in_trace(&self, traceparent: &str, body: &str) -> (u16, String, String) {
        self.posted_with("/graphql", &format!("traceparent: {traceparent}\r\n"), body)
    }

    fn posted(&self, path: &str, body: &str) -> (u16, String, String) {
        self.posted_with(path, "", body)
    }

    fn posted_with(&self, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            self.public,
            body.len()
        );
        exchange(&self.public, &(head + body))
    }

    /// Sends SIGTERM, and returns at once.
    pub(crate) fn request_stop(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Sends SIGTERM; returns the exit code, or `None` if it does not exit within ten seconds.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.request_stop();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (status, _, body) = exchange(address, &request);
    (status, body)
}

/// The same over HTTP/1.0, for servers that would send an HTTP/1.1 response in chunks.
pub(crate) fn fetch(address: &str, path: &str) -> (u16, String) {
    let (status, _, body) = exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"));
    (status, body)
}

/// Sends a `Connection: close` request; returns status, head and body of the response.
fn exchange(address: &str, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}
