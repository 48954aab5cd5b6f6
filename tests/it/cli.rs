//! The program, run as people run it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{TestService, url};

/// A database that nobody connects to.
const NOWHERE: &str = "postgres://nobody:hunter2@127.0.0.1:1/nothing";

const COMMANDS: [&str; 19] = [
    "config",
    "demo",
    "generate",
    "import",
    "import csv",
    "invalidate",
    "jobs",
    "jobs list",
    "jobs retry",
    "migrate",
    "postgres",
    "predict",
    "prove",
    "refresh",
    "schema",
    "serve",
    "status",
    "validate",
    "worker",
];

/// The program on a database, with none of the caller's settings.
pub(crate) fn cinegraph(database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinegraph"));
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("CINEGRAPH_")) {
        command.env_remove(variable);
    }
    // A directory without a cinegraph.toml.
    command.current_dir(std::env::temp_dir()).env("CINEGRAPH_DATABASE_URL", database_url).args(arguments);
    command
}

pub(crate) fn run(database_url: &str, arguments: &[&str]) -> Output {
    cinegraph(database_url, arguments).output().unwrap()
}

/// Runs what must succeed; returns what it printed.
#[track_caller]
fn printed(database_url: &str, arguments: &[&str]) -> String {
    let output = run(database_url, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(database_url: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(database_url, arguments)).unwrap()
}

/// What it said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Forty films of two decades, some listed, with ratings that tie.
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

/// A migrated database with these films; returns its URL.
pub(crate) fn imported(pool: &PgPool) -> String {
    let (url, dir) = (url(pool), catalogue());
    printed(&url, &["migrate"]);
    printed(&url, &["import", "csv", dir.path().to_str().unwrap()]);
    url
}

#[test]
fn help_says_what_there_is() {
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
fn a_misspelt_setting_is_refused_by_name() {
    let output = cinegraph(NOWHERE, &["config"]).env("CINEGRAPH_HTTP_ADDRESS", "127.0.0.1:80").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("CINEGRAPH_HTTP_ADDRESS"), "{}", said(&output));
}

#[test]
fn a_database_that_does_not_answer_is_an_error_without_its_password() {
    let output =
        cinegraph(NOWHERE, &["predict"]).env("CINEGRAPH_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "0.1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("the database cannot be reached"), "{}", said(&output));
    assert!(!said(&output).contains("hunter2"), "{}", said(&output));
}

#[sqlx::test(migrations = false)]
async fn an_unmigrated_database_is_refused_with_the_command_to_run(pool: PgPool) {
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
        assert!(said(&output).contains("run `cinegraph migrate`"), "{arguments:?}: {}", said(&output));
    }
}

#[sqlx::test(migrations = false)]
async fn migrating_twice_changes_nothing(pool: PgPool) {
    let url = url(&pool);
    let first = printed(&url, &["migrate"]);
    assert!(first.contains("Migrations applied") && first.contains("Triggers put on"), "{first}");
    assert_eq!(printed(&url, &["migrate"]), "Found film tables made here.\nThe schema is up to date.\n");
}

#[sqlx::test(migrations = false)]
async fn predict_prints_what_graphql_serves(pool: PgPool) {
    let url = imported(&pool);
    let service = TestService::on(pool).await;
    for (root, kind, arguments) in [
        ("predictions", "", &["--decade", "1990"][..]),
        ("predictions", "profile: \"Cult Classic\", ", &["--decade", "1990s", "--profile", "Cult Classic"]),
        (
            "predictions",
            "weights: { popularOpinion: 3, criticalAcclaim: 1, industryRecognition: 0, culturalImpact: 0.5, \
             peopleQuality: 0 }, ",
            &["--decade", "1990", "--weights", "3,1,0,0.5,0"],
        ),
        ("confirmedAdditions", "", &["--decade", "1990", "--confirmed"]),
    ] {
        let query = format!(
            "{{ {root}({kind}decade: 1990, first: 100) {{ nodes {{
                rank score likelihood coverage breakdown {{ value }} movie {{ tmdbId title releaseDate }} }} }} }}"
        );
        let data = service.data(&query).await;
        let row = |node: &Value| {
            let value = |criterion: usize| &node["breakdown"][criterion]["value"];
            json!({
                "rank": node["rank"], "tmdb_id": node["movie"]["tmdbId"], "title": node["movie"]["title"],
                "release_date": node["movie"]["releaseDate"], "score": node["score"],
                "likelihood": node["likelihood"], "coverage": node["coverage"], "popular_opinion": value(0),
                "critical_acclaim": value(1), "industry_recognition": value(2), "cultural_impact": value(3),
                "people_quality": value(4),
            })
        };
        let served: Vec<_> = data[root]["nodes"].as_array().unwrap().iter().map(row).collect();
        assert!(served.len() > 5, "{} films", served.len());
        let arguments: Vec<_> = ["predict", "--json", "--first", "100"].iter().chain(arguments).copied().collect();
        assert_eq!(json(&url, &arguments), json!(served), "{arguments:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn validate_prints_what_graphql_serves(pool: PgPool) {
    const TOTAL: &str =
        "listed population hits accuracy interval { low high } expectedHits lift baselineAccuracy unhittable";
    let url = imported(&pool);
    let service = TestService::on(pool).await;
    let row = |of: &str, total: &Value| {
        json!({
            "of": of, "listed": total["listed"], "population": total["population"], "hits": total["hits"],
            "accuracy": total["accuracy"], "low": total["interval"]["low"], "high": total["interval"]["high"],
            "expected_hits": total["expectedHits"], "lift": total["lift"],
            "baseline_accuracy": total["baselineAccuracy"], "unhittable": total["unhittable"],
        })
    };
    for (basis, argument) in [("BLIND", "blind"), ("AS_PUBLISHED", "as-published")] {
        let query = format!(
            "{{ validation(basis: {basis}) {{ decades {{ decade {TOTAL} }} overall {{ {TOTAL} }} }}
                decadeValidation(decade: 2020, basis: {basis}) {{ {TOTAL} }}
                profileComparison(basis: {basis}) {{ profiles {{ profile {{ name }} overall {{ {TOTAL} }} }} }} }}"
        );
        let data = service.data(&query).await;
        let rows = data["validation"]["decades"].as_array().unwrap().iter();
        let mut rows: Vec<_> = rows.map(|decade| row(&format!("{}s", decade["decade"]), decade)).collect();
        rows.push(row("1920s–2010s", &data["validation"]["overall"]));
        assert!(rows[0]["hits"].as_u64().unwrap() > 0, "{rows:?}");
        assert_eq!(json(&url, &["validate", "--json", "--basis", argument]), json!(rows));
        let current = json!([row("2020s", &data["decadeValidation"])]);
        assert_eq!(json(&url, &["validate", "--json", "--basis", argument, "--decade", "2020"]), current);
        let profiles = data["profileComparison"]["profiles"].as_array().unwrap().iter();
        let profiles: Vec<_> =
            profiles.map(|one| row(one["profile"]["name"].as_str().unwrap(), &one["overall"])).collect();
        assert_eq!(json(&url, &["validate", "--json", "--basis", argument, "--profiles"]), json!(profiles));
    }
}

#[sqlx::test(migrations = false)]
async fn tables_are_for_people(pool: PgPool) {
    let url = imported(&pool);
    let predicted = printed(&url, &["predict", "--decade", "1990", "--first", "5"]);
    insta::assert_snapshot!("predict", predicted);
    insta::assert_snapshot!("validate", printed(&url, &["validate"]));
    assert!(predicted.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns");
}

#[sqlx::test(migrations = false)]
async fn refreshing_twice_changes_nothing(pool: PgPool) {
    let url = imported(&pool);
    insta::assert_snapshot!("import", printed(&url, &["import", "csv", catalogue().path().to_str().unwrap()]));
    let again = printed(&url, &["refresh", "all"]);
    insta::assert_snapshot!("refresh_all", again);
    assert!(again.contains("Scores of 40 films computed, 0 changed."), "{again}");
}

#[sqlx::test(migrations = false)]
async fn what_a_command_names_must_be_there(pool: PgPool) {
    let url = imported(&pool);
    for (arguments, code, message) in [
        (&["predict", "--list", "nope"][..], 1, "there is no list \"nope\"; there are: 1001_movies"),
        (&["validate", "--list", "nope"], 1, "there is no list \"nope\"; there are: 1001_movies"),
        (&["validate", "--profiles", "--list", "nope"], 1, "there is no list \"nope\"; there are: 1001_movies"),
        (&["predict", "--profile", "Nobody's"], 1, "there is no profile \"Nobody's\""),
        (&["validate", "--profile", "Nobody's"], 1, "there is no profile \"Nobody's\""),
        (&["predict", "--decade", "1995"], 2, "1995 is not the first year of a decade"),
        (&["predict", "--decade", "nineties"], 2, "nineties is no year"),
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
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(message), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{arguments:?} printed something");
    }
}

#[sqlx::test(migrations = false)]
async fn a_damaged_file_is_named_with_its_line(pool: PgPool) {
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
    assert!(said(&output).contains(&place), "{place}: {}", said(&output));
    let films: i64 = sqlx::query_scalar("SELECT count(*) FROM movies").fetch_one(&pool).await.unwrap();
    assert_eq!(films, 0, "nothing is half-written");
}

#[sqlx::test(migrations = false)]
async fn a_reader_that_has_seen_enough_is_no_error(pool: PgPool) {
    let url = imported(&pool);
    for arguments in [&["predict", "--decade", "1990"][..], &["validate", "--json"], &["schema"], &["config"]] {
        let mut command = cinegraph(&url, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
    }
}

#[sqlx::test(migrations = false)]
async fn serve_answers_until_it_is_asked_to_stop(pool: PgPool) {
    let url = imported(&pool);
    let mut server = Server::start(&url);

    let (status, ready) = get(&server.public, "/health/ready");
    assert_eq!((status, ready), (200, json!({"ready": true, "checks": {"database": "ok"}}).to_string()));
    let query = json!({"query": "{ predictions(decade: 1990, first: 1) { nodes { rank movie { title } } } }"});
    let (status, answer) = server.post("/graphql", &query.to_string());
    let predicted = json(&url, &["predict", "--json", "--decade", "1990", "--first", "1"]);
    let node = json!({"rank": 1, "movie": {"title": predicted[0]["title"]}});
    assert_eq!(
        (status, serde_json::from_str(&answer).unwrap()),
        (200, json!({"data": {"predictions": {"nodes": [node]}}}))
    );
    let (status, metrics) = get(&server.admin, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("cinegraph_"), "{metrics}");
    assert_eq!(get(&server.public, "/metrics").0, 404, "numbers about the service are not for everybody");

    assert_eq!(server.stop(), Some(0));
}

#[sqlx::test(migrations = false)]
async fn jobs_run_where_they_are_let_and_failed_ones_again(pool: PgPool) {
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
    let mut worker = Server::running(&url, &["worker"], "doing background work");
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
    assert_eq!(printed(&url, &["jobs", "retry", &id]), format!("Runs again: {id}\n"));
    wait_for("it is done", || states() == json!([]));

    assert_eq!(printed(&url, &["jobs", "list"]), "No job runs, waits or has failed.\n");
    assert_eq!(printed(&url, &["jobs", "retry", "--failed"]), "No job has failed.\n");
    let metrics = get(&idle.admin, "/metrics").1;
    assert!(metrics.contains("cinegraph_task_runs_total{task=\"snapshot_refresh\",outcome=\"ok\"} 0"), "{metrics}");
    assert_eq!((worker.stop(), idle.stop()), (Some(0), Some(0)));
}

#[sqlx::test(migrations = false)]
async fn status_tells_of_the_database_and_of_a_running_instance(pool: PgPool) {
    let url = imported(&pool);
    sqlx::query("UPDATE movies SET release_date = release_date + 1").execute(&pool).await.unwrap();
    let mut server = Server::running(&url, &["serve", "--no-jobs", "--http-addr", "127.0.0.1:0"], "serving");
    let status = |admin: &str, arguments: &[&str]| {
        let output = cinegraph(&url, arguments).args(["--admin-addr", admin]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };

    let answered: Value = serde_json::from_str(&status(&server.admin, &["status", "--json"])).unwrap();
    assert_eq!((&answered["scored_films"], &answered["queue"]["films"]), (&json!(40), &json!(40)));
    assert!(answered["last_success"]["snapshot_refresh"].is_string(), "{answered:#}");
    assert_eq!(answered["instance"]["pools"]["primary"]["max"], 10.0);
    assert!(answered["instance"]["caches"]["columns"]["entries"].as_f64().unwrap() > 0.0, "{answered:#}");
    let table = status(&server.admin, &["status"]);
    assert!(["Films waiting for scores", "predictions", "primary"].iter().all(|text| table.contains(text)), "{table}");

    assert_eq!(server.stop(), Some(0));
    let silent = status(&server.admin, &["status"]);
    assert!(silent.contains(&format!("No running instance answers at http://{}/metrics: ", server.admin)), "{silent}");
}

#[sqlx::test(migrations = false)]
async fn invalidating_raises_floors_and_says_of_what(pool: PgPool) {
    let url = imported(&pool);
    let rows = async |of: &'static str| -> Vec<(String, String, i32, bool)> {
        sqlx::query_as(of).fetch_all(&pool).await.unwrap()
    };
    let floors =
        "SELECT scope, list_key, decade, floor = version FROM cinegraph.data_versions ORDER BY changed_at DESC LIMIT 1";

    let list = printed(&url, &["invalidate", "--list", "1001_movies", "--decade", "1990"]);
    assert_eq!(list, "Answers about the list 1001_movies in the 1990s are invalidated.\n");
    assert_eq!(rows(floors).await, [("list".into(), "1001_movies".into(), 1990, true)]);
    let profile = printed(&url, &["invalidate", "--profile", "Balanced"]);
    assert_eq!(profile, "Answers under the weights of Balanced are invalidated.\n");
    let taste = rows(floors).await.remove(0);
    assert_eq!((taste.0.as_str(), taste.1.len(), taste.3), ("taste", 16, true));
    assert!(printed(&url, &["invalidate", "--all"]).starts_with("All answers are invalidated ("));
    let old = "SELECT scope, list_key, decade, true FROM cinegraph.data_versions WHERE floor < version";
    assert_eq!(rows(old).await, []);

    for (arguments, code, message) in [
        (&["invalidate"][..], 2, "required"),
        (&["invalidate", "--list", "1001_movies"], 2, "--decade"),
        (&["invalidate", "--all", "--profile", "Balanced"], 2, "cannot be used with"),
        (&["invalidate", "--list", "nope", "--decade", "1990"], 1, "there is no list \"nope\"; there are: 1001_movies"),
        (&["invalidate", "--profile", "Nobody's"], 1, "there is no profile \"Nobody's\"; there are: Award Winner"),
        (&["jobs", "retry"], 2, "required"),
    ] {
        let output = run(&url, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(message), "{arguments:?}: {}", said(&output));
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

/// `cinegraph serve` or `worker`, killed if a test ends before it does.
pub(crate) struct Server {
    child: Child,
    pub(crate) public: String,
    pub(crate) admin: String,
}

impl Server {
    /// Starts it on free ports; returns when it serves.
    pub(crate) fn start(database_url: &str) -> Self {
        Self::with(database_url, &[])
    }

    /// The same, with settings from the environment.
    pub(crate) fn with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::spawn(database_url, &["serve", "--http-addr", "127.0.0.1:0"], settings, "serving")
    }

    /// Starts a command that runs until it is stopped; returns when it has logged this message.
    pub(crate) fn running(database_url: &str, arguments: &[&str], message: &str) -> Self {
        Self::spawn(database_url, arguments, &[], message)
    }

    /// The same, with settings from the environment.
    pub(crate) fn configured(database_url: &str, arguments: &[&str], settings: &[(&str, &str)], message: &str) -> Self {
        Self::spawn(database_url, arguments, settings, message)
    }

    fn spawn(database_url: &str, arguments: &[&str], settings: &[(&str, &str)], message: &str) -> Self {
        let arguments = [arguments, &["--admin-addr", "127.0.0.1:0", "--log-format", "json"]].concat();
        let mut command = cinegraph(database_url, &arguments);
        let mut child = command.envs(settings.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let logged = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let serving = logged.into_iter().find(|line| line["message"] == message).expect("it ended before it was ready");
        // Somebody has to read on, or the server waits for its own log.
        std::thread::spawn(move || lines.for_each(drop));
        let address = |listener: &str| serving[listener].as_str().unwrap_or_default().to_owned();
        Self { child, public: address("public"), admin: address("admin") }
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.posted(path, body);
        (status, body)
    }

    /// Status, head and body of the answer to an operation.
    pub(crate) fn ask(&self, body: &str) -> (u16, String, String) {
        self.posted("/graphql", body)
    }

    fn posted(&self, path: &str, body: &str) -> (u16, String, String) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.public,
            body.len()
        );
        exchange(&self.public, &(head + body))
    }

    /// Asks it to stop, and returns at once.
    pub(crate) fn ask_to_stop(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Asks it to stop; returns its exit code, or none where it does not stop within ten seconds.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.ask_to_stop();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
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
        // Most often it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (status, _, body) = exchange(address, &request);
    (status, body)
}

/// The same of servers that would send an answer to HTTP/1.1 in chunks.
pub(crate) fn fetch(address: &str, path: &str) -> (u16, String) {
    let (status, _, body) = exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"));
    (status, body)
}

/// Sends a request that closes its connection; returns status, head and body of the answer.
fn exchange(address: &str, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}
