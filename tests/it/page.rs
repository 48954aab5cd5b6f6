//! The predictions page: works without scripts, uses the operation pipeline, and loads nothing from other origins.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get as on_get;
use cinegraph::scoring::learned::{TrainingReport, Variant};
use cinegraph::store::ModelStatus;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::cli::{Server, get};
use crate::learned::{learnable, train};
use crate::support::{Movie, NodeClient, PostgresServer, TARGET, TestService, credit, person, url};

/// A response with its body.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    pub(crate) async fn at(service: &TestService, uri: &str) -> Self {
        let (parts, body) = service.get(uri).await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// The titles of the list, in order.
    fn titles(&self) -> Vec<String> {
        let list = self.text.split("<template").next().unwrap();
        each(list, "data-field=\"title\">", "</a>")
    }

    /// The target of the first link that contains this text or attribute.
    pub(crate) fn link(&self, with: &str) -> String {
        let anchors = each(&self.text, "<a ", "</a>");
        let anchor = anchors.iter().find(|anchor| anchor.contains(with)).unwrap_or_else(|| panic!("no link {with}"));
        let href = anchor.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        href.replace("&#38;", "&")
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sixty movies of the 2020s with scores that rise with their number, two of them on the list.
async fn twenties(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    for number in 0..60_u16 {
        let rating = 3.0 + f64::from(number) / 10.0;
        let movie = Movie::new(&format!("Film {number}")).released("2021-06-15").rated(rating, rating);
        let movie = movie.genre(if number % 2 == 0 { "Drama" } else { "Comedy" });
        let movie = if number % 30 == 5 { movie.on(&["1001_movies"]) } else { movie };
        movie.insert(&service.pool).await;
    }
    service.refresh().await;
    service
}

/// The texts between two delimiters.
fn each(text: &str, from: &str, to: &str) -> Vec<String> {
    text.split(from).skip(1).map(|rest| rest.split(to).next().unwrap().to_owned()).collect()
}

#[sqlx::test(migrations = false)]
async fn first_view_is_complete(pool: PgPool) {
    let service = twenties(pool).await;

    let page = Page::at(&service, "/").await;

    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    let titles = page.titles();
    assert_eq!(titles.len(), 25);
    assert_eq!(titles[..2], ["Film 59", "Film 58"]);
    for part in [
        "58</span> films",
        "2 of 4 ratings known",
        "Crowd Pleaser",
        "Hit rate of this rank",
        "If the list takes 2 more films of this decade, as many as it has now, it ends here",
    ] {
        assert!(page.text.contains(part), "{part} is missing");
    }
    assert!(!page.text.contains("Country"), "a filter without values in the data is hidden");
}

#[sqlx::test(migrations = false)]
async fn pagination_links_reach_all_movies_and_lead_back(pool: PgPool) {
    let service = twenties(pool).await;
    let mut pages = vec![Page::at(&service, "/?decade=2020").await];

    while pages.last().unwrap().text.contains("rel=\"next\"") {
        let next = pages.last().unwrap().link("rel=\"next\"");
        pages.push(Page::at(&service, &next).await);
    }

    let mut titles: Vec<_> = pages.iter().flat_map(Page::titles).collect();
    assert_eq!((pages.len(), titles.len()), (3, 58));
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), 58);
    let second = Page::at(&service, &pages[2].link("rel=\"prev\"")).await;
    assert_eq!(second.titles(), pages[1].titles());
    let first = Page::at(&service, &second.link("rel=\"prev\"")).await;
    assert_eq!(first.titles(), pages[0].titles());
}

#[sqlx::test(migrations = false)]
async fn profile_filter_and_weights_are_read_from_the_url(pool: PgPool) {
    let service = twenties(pool).await;
    let first = Page::at(&service, "/").await;

    let profile = Page::at(&service, &first.link("data-profile=\"Cult Classic\"")).await;
    let filtered = Page::at(&service, "/?genre=comedy&q=film+1&min=").await;
    let weighted = Page::at(&service, "/?popular=100&people=0").await;

    assert!(profile.text.contains("under <span id=\"taste\" dir=\"auto\">Cult Classic"));
    assert_eq!(filtered.titles(), ["Film 19", "Film 17", "Film 15", "Film 13", "Film 11", "Film 1"]);
    assert!(weighted.text.contains("your weights"));
    assert!(weighted.text.contains("aria-valuetext=\"100 % of the score\""));
    assert_eq!(filtered.link("data-drop=\"q\""), "/?genre=comedy");
    assert!(!filtered.text.contains("it ends here"), "a filter leaves ranks out");
    assert_eq!(weighted.titles()[0], "Film 59");
}

#[sqlx::test(migrations = false)]
async fn additions_page_shows_listed_movies(pool: PgPool) {
    let service = twenties(pool).await;

    let page = Page::at(&service, &Page::at(&service, "/").await.link("On the list")).await;

    assert_eq!(page.titles(), ["Film 35", "Film 5"]);
}

#[sqlx::test(migrations = false)]
async fn invalid_urls_return_an_error_page_with_links(pool: PgPool) {
    let service = twenties(pool).await;

    let rejected = [
        ("/?decade=1995", StatusCode::BAD_REQUEST),
        ("/?decade=soon", StatusCode::BAD_REQUEST),
        ("/?profile=Unknown", StatusCode::NOT_FOUND),
        ("/?popular=0", StatusCode::BAD_REQUEST),
        ("/?after=nothing", StatusCode::BAD_REQUEST),
    ];
    for (uri, status) in rejected {
        let page = Page::at(&service, uri).await;

        assert_eq!(page.status, status, "{uri}");
        assert!(page.text.contains("Back to the predictions"), "{uri}");
    }
}

#[tokio::test]
async fn page_without_database_returns_503_with_retry_after() {
    let page = Page::at(&TestService::without_database(), "/").await;

    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!page.header(header::RETRY_AFTER).is_empty());
    assert!(page.text.contains("Try again"));
}

#[sqlx::test(migrations = false)]
async fn right_to_left_titles_are_isolated_from_the_text_behind_them(pool: PgPool) {
    let service = TestService::on(pool).await;
    let title = "\u{202e}\u{5d0}\u{5d9}\u{5e9}: 3";
    Movie::new(title).released("2021-01-01").rated(9.0, 9.0).insert(&service.pool).await;
    service.refresh().await;

    let list = Page::at(&service, "/").await;
    let movie = Page::at(&service, &list.link("data-field=\"title\"")).await;

    assert!(list.text.contains(&format!("dir=\"auto\" data-field=\"title\">{title}</a>")));
    assert!(movie.text.contains(&format!("<bdi>{title}</bdi></h1>")));
    assert!(movie.text.contains(&format!("<title>&#x2068;{title}&#x2069; – Cinegraph</title>")));
}

#[sqlx::test(migrations = false)]
async fn titles_and_parameters_are_escaped(pool: PgPool) {
    let service = TestService::on(pool).await;
    let title = "<script>alert(1)</script> & \"Co\"";
    Movie::new(title).released("2021-01-01").rated(9.0, 9.0).insert(&service.pool).await;
    service.refresh().await;

    let page = Page::at(&service, "/?q=%22%3E%3Cscript%3E").await;
    let list = Page::at(&service, "/").await;

    assert_eq!(list.titles(), ["&#60;script&#62;alert(1)&#60;/script&#62; &#38; &#34;Co&#34;"]);
    assert!(!page.text.contains("\"><script>") && !list.text.contains("<script>"));
}

#[sqlx::test(migrations = false)]
async fn page_has_no_external_resources_and_no_inline_script_or_style(pool: PgPool) {
    let service = TestService::on(pool).await;

    let page = Page::at(&service, "/").await;

    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains("<style") && !page.text.contains(" style="));
    let sources = each(&page.text, "<script", "</script>").concat();
    assert!(sources.contains("src=\"/assets/") && sources.ends_with("\">"), "an inline script: {sources}");
    assert!(!page.text.contains("://"), "an external link");
}

#[sqlx::test(migrations = false)]
async fn assets_are_immutable_and_versioned(pool: PgPool) {
    let service = TestService::on(pool).await;
    let page = Page::at(&service, "/").await;

    let mut paths = each(&page.text, "\"/assets/", "\"");
    paths.dedup();
    assert!(paths.len() >= 3);
    for path in &paths {
        let asset = Page::at(&service, &format!("/assets/{path}")).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert_eq!(asset.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
    }
    let name = paths[0].split('/').nth(1).unwrap();
    assert_eq!(Page::at(&service, &format!("/assets/0123456789abcdef/{name}")).await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = false)]
async fn repeated_page_runs_no_sql_statement(pool: PgPool) {
    let service = twenties(pool).await;
    let before = Page::at(&service, "/?decade=2020").await;
    let statements = service.statements();

    let again = Page::at(&service, "/?decade=2020").await;

    assert_eq!(service.statements(), statements);
    assert_eq!(again.text, before.text);
}

#[sqlx::test(migrations = false)]
async fn countries_are_identified_by_code(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Ailleurs").released("2021-01-01").country("FR").insert(&service.pool).await;
    Movie::new("Here").released("2021-01-01").country("DE").insert(&service.pool).await;
    service.refresh().await;

    let data = service.data("{ countries { code } }").await;
    let page = Page::at(&service, "/?country=fr").await;

    assert_eq!(data["countries"], json!([{ "code": "DE" }, { "code": "FR" }]));
    assert_eq!(page.titles(), ["Ailleurs"]);
}

/// 520 candidates and 20 listed movies of the 2020s, a completed decade, and three movies of the 1950s, whose ratings
/// change.
async fn catalogue(pool: &PgPool) -> TestService {
    let service = TestService::on(pool.clone()).await;
    for number in 0..540_u16 {
        let (one, other) = (f64::from(number % 97) / 10.0, f64::from(number % 89) / 9.0);
        let movie = Movie::new(&format!("Film {number}")).released("2021-06-15").rated(one, other);
        let movie = movie.reviewed(f64::from(number % 83), f64::from(number % 101)).popularity(f64::from(number % 71));
        let movie = movie.genre(if number % 2 == 0 { "Drama" } else { "Comedy" });
        let movie = if number >= 520 { movie.on(&["1001_movies"]) } else { movie };
        movie.insert(pool).await;
    }
    for number in 0..40_u16 {
        let rating = f64::from(number) / 4.0;
        let movie = Movie::new(&format!("Old film {number}")).released("1995-06-15").rated(rating, 5.0);
        let movie = if number % 3 == 0 { movie.on(&["1001_movies", "other_list"]) } else { movie };
        movie.nominated(usize::from(number % 5), usize::from(number % 2)).insert(pool).await;
    }
    let director = person(pool, "Zoë Quinn").await;
    for title in ["Rising", "Steady", "Falling"] {
        let movie = Movie::new(title).released("1955-06-15").rated(5.0, 5.0).insert(pool).await;
        credit(pool, movie, director, Some("Director")).await;
    }
    service.refresh().await;
    service
}

/// Changes the rating of a movie of the 1950s repeatedly, so that its rank changes.
async fn keep_changing(pool: &PgPool) {
    let mut interval = tokio::time::interval(Duration::from_millis(700));
    for turn in 0_u32.. {
        interval.tick().await;
        let statement = "UPDATE external_metrics SET value = $1
                      WHERE movie_id = (SELECT id FROM movies WHERE title = 'Rising') AND source = 'imdb'";
        sqlx::query(statement).bind(f64::from(turn % 2 * 8 + 1)).execute(pool).await.unwrap();
    }
}

/// Runs a file of tests in a browser.
pub(crate) async fn test_in_browser(server: &Server, file: &str) {
    run_in_browser(&server.public, "", file).await;
}

/// The same with the address of a service, and where the tests may cause faults.
async fn run_in_browser(public: &str, faults_url: &str, file: &str) {
    let folder = NodeClient::install("page").await;
    let mut node = Command::new("node");
    node.args(["--test", "--test-timeout=300000", file]).current_dir(&folder).kill_on_drop(true);
    node.env("PAGE_URL", format!("http://{public}")).env("FAULTS_URL", faults_url);
    let output = node.output().await.expect("node is installed");
    let stdout = String::from_utf8_lossy(&output.stdout);
    println!("{stdout}");
    assert!(output.status.success(), "{stdout}");
}

#[sqlx::test(migrations = false)]
async fn page_works_in_a_browser(pool: PgPool) {
    drop(catalogue(&pool).await);
    let server = Server::start(&url(&pool));

    tokio::select! {
        () = test_in_browser(&server, "page.test.mjs") => (),
        () = keep_changing(&pool) => unreachable!("it never returns"),
    }

    let (_, scraped) = get(&server.admin, "/metrics");
    for phase in ["ttfb", "first_list", "rerank"] {
        assert!(scraped.contains(&format!("cinegraph_page_duration_seconds_count{{phase=\"{phase}\"}}")), "{phase}");
        assert!(!scraped.contains(&format!("cinegraph_page_duration_seconds_count{{phase=\"{phase}\"}} 0")), "{phase}");
    }
}

/// The servers behind a page, which its tests suspend, stop and start.
struct Servers {
    postgres: PostgresServer,
    service: Mutex<Option<Server>>,
    public: String,
}

async fn cause_fault(State(servers): State<Arc<Servers>>, Path(fault): Path<String>) -> StatusCode {
    match fault.as_str() {
        "freeze" => servers.postgres.freeze(),
        "thaw" => servers.postgres.thaw(),
        "stop" => drop(servers.service.lock().await.take()),
        "start" => {
            let database_url = servers.postgres.url("postgres");
            let arguments = ["serve", "--http-addr", &servers.public];
            *servers.service.lock().await = Some(Server::running(&database_url, &arguments, "serving"));
        }
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_tells_the_truth_while_servers_fail() {
    let postgres = PostgresServer::start().await;
    let pool = PgPool::connect(&postgres.url("postgres")).await.unwrap();
    drop(catalogue(&pool).await);
    pool.close().await;
    let service = Server::start(&postgres.url("postgres"));
    let public = service.public.clone();
    let servers = Arc::new(Servers { postgres, service: Mutex::new(Some(service)), public: public.clone() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let faults_url = format!("http://{}", listener.local_addr().unwrap());
    let faults = Router::new().route("/{fault}", on_get(cause_fault)).with_state(Arc::clone(&servers));

    tokio::select! {
        () = run_in_browser(&public, &faults_url, "faults.test.mjs") => (),
        served = axum::serve(listener, faults) => served.unwrap(),
    }
}

#[sqlx::test(migrations = false)]
async fn search_works_in_a_browser(pool: PgPool) {
    drop(catalogue(&pool).await);
    let server = Server::start(&url(&pool));
    test_in_browser(&server, "search.test.mjs").await;
}

#[sqlx::test(migrations = false)]
async fn timing_reports_are_bounded(pool: PgPool) {
    let service = TestService::on(pool).await;
    let counted = |phase| service.counted("cinegraph_page_duration_seconds_count", &[("phase", phase)]);

    let accepted = service.report(r#"[{"phase":"ttfb","seconds":0.1},{"phase":"rerank","seconds":1e9}]"#).await;
    let invalid = service.report(r#"[{"phase":"moon","seconds":0.1}]"#).await;
    let too_large = service.report(&format!("[{}{}]", r#"{"phase":"ttfb","seconds":1}"#, " ".repeat(5000))).await;

    assert_eq!((accepted, counted("ttfb"), counted("rerank")), (StatusCode::NO_CONTENT, 1, 0));
    assert_eq!(invalid, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(too_large, StatusCode::PAYLOAD_TOO_LARGE);
    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(service.report("[]").await);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "no rate limit");
}

#[sqlx::test(migrations = false)]
async fn validation_page_links_to_the_movies_of_a_decade(pool: PgPool) {
    let service = catalogue(&pool).await;

    let all = Page::at(&service, &Page::at(&service, "/").await.link("Validation")).await;
    let decade = Page::at(&service, &all.link("data-decade=\"1990\"")).await;
    let other = Page::at(&service, "/validation?list=other_list").await;

    for part in [
        "Eras",
        "Profiles compared",
        "Decade by decade, side by side",
        "How often films of a rank",
        "The scores here are blind",
    ] {
        assert!(all.text.contains(part), "{part} is missing");
    }
    assert!(decade.text.contains("Of this decade’s 14 films on"));
    assert_eq!(other.status, StatusCode::OK);
    assert!(other.text.contains("only published scores, which partly use it"));
}

#[sqlx::test(migrations = false)]
async fn all_decades_are_on_one_page(pool: PgPool) {
    let service = catalogue(&pool).await;

    let page = Page::at(&service, &Page::at(&service, "/?decade=1990&profile=Balanced").await.link(">Decades")).await;
    let list = Page::at(&service, &page.link("data-decade=\"1990\"")).await;
    let validation = Page::at(&service, &page.link("data-found=\"1990\"")).await;
    let other = Page::at(&service, "/decades?list=other_list&profile=Unknown").await;
    let published = Page::at(&service, "/decades?list=other_list").await;

    assert_eq!(page.status, StatusCode::OK);
    let sections = each(&page.text, "<section aria-labelledby=\"the-", "</section>");
    let counts: Vec<_> =
        sections.iter().map(|section| (&section[..5], section.matches("data-film=").count())).collect();
    assert_eq!(counts, [("2020s", 5), ("1990s", 5), ("1950s", 3)]);
    for part in
        ["520</span> candidates", "under <bdi>Balanced</bdi>", "were chosen\"><span class=\"sr\">Hit rate </span>"]
    {
        assert!(page.text.contains(part), "{part} is missing in {}", page.text);
    }
    assert!(!sections[0].contains("finds"), "the 2020s are not over");
    assert!(sections[1].contains(" of 14 (") && sections[2].contains("none chosen yet"));
    assert_eq!(page.link("data-decade=\"2020\""), "/?decade=2020&profile=Balanced");
    assert_eq!(each(&sections[1], "<bdi>", "</bdi>"), list.titles()[..5]);
    assert!(validation.text.contains("Of this decade’s 14 films on"));
    assert_eq!(other.status, StatusCode::NOT_FOUND, "an unknown profile");
    assert!(published.text.contains("Its scores partly use the list"));
    assert_eq!(Page::at(&service, "/decades?list=unknown").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = false)]
async fn all_decades_run_a_few_statements_each(pool: PgPool) {
    drop(catalogue(&pool).await);
    let (list, decades) = (TestService::on(pool.clone()).await, TestService::on(pool).await);
    let started = [list.statements(), decades.statements()];

    Page::at(&list, "/").await;
    let page = Page::at(&decades, "/decades").await;
    let [one, all] = [list.statements() - started[0], decades.statements() - started[1]];
    let again = Page::at(&decades, "/decades?decade=1990").await;

    assert_eq!((page.status, again.status), (StatusCode::OK, StatusCode::OK));
    // Each of the three decades has its scores, titles and part of the snapshot; the snapshot itself is read once.
    assert!(all <= one + 3 * 4, "{all} statements, {one} for a list");
    assert_eq!(decades.statements(), started[1] + all, "all of it is cached");
}

#[sqlx::test(migrations = false)]
async fn movie_page_explains_the_score_and_unknown_ids_return_an_error(pool: PgPool) {
    let service = catalogue(&pool).await;

    let movie = Page::at(&service, &Page::at(&service, "/").await.link("data-field=\"title\"")).await;
    let unknown = Page::at(&service, "/films/bm90aGluZw").await;

    let hit_rate = "Films ranked 1–";
    for part in
        ["Rank 1 of the 2020s", "Metacritic", "Under every profile", "Cult Classic", "Hit rate of this", hit_rate]
    {
        assert!(movie.text.contains(part), "{part} is missing");
    }
    assert!(unknown.status.is_client_error() && unknown.text.contains("Back to the predictions"));
}

#[sqlx::test(migrations = false)]
async fn former_addresses_show_the_movie_that_the_former_one_became(pool: PgPool) {
    let service = twenties(pool).await;
    let merged =
        "INSERT INTO cinegraph.former_movie_ids (id, movie_id) SELECT 999999, id FROM movies WHERE title = 'Film 7'";
    sqlx::query(merged).execute(&service.pool).await.unwrap();
    let merged = "INSERT INTO cinegraph.former_tmdb_ids (tmdb_id, movie_id) SELECT 999999, id FROM movies WHERE title = 'Film 7'";
    sqlx::query(merged).execute(&service.pool).await.unwrap();
    let id = "TW92aWU6OTk5OTk5";

    let page = Page::at(&service, &format!("/films/{id}")).await;
    let query = format!(
        "{{ id: movie(by: {{ id: \"{id}\" }}) {{ title }} tmdb: movie(by: {{ tmdbId: 999999 }}) {{ title }} }}"
    );

    let location = page.header(header::LOCATION).to_owned();
    assert_eq!(page.status, StatusCode::PERMANENT_REDIRECT);
    let page = Page::at(&service, &location).await;
    assert!(page.text.contains("Film 7") && page.text.contains("Under every profile"));
    assert_eq!(service.data(&query).await, json!({ "id": { "title": "Film 7" }, "tmdb": { "title": "Film 7" } }));
}

#[sqlx::test(migrations = false)]
async fn the_age_of_the_data_is_shown_by_source(pool: PgPool) {
    let service = TestService::on(pool).await;
    for number in 0..3_u16 {
        let movie = Movie::new("Film").released("2021-06-15").metric("imdb", "rating_average", 7.0);
        let movie =
            if number == 0 { movie.metric("tmdb", "budget", 1e6) } else { movie.metric("imdb", "rating_votes", 9.0) };
        movie.insert(&service.pool).await;
    }
    let fetched =
        "UPDATE external_metrics AS e SET fetched_at = '2024-05-06 23:30:00'::timestamp - e.id * interval '1 day'";
    sqlx::query(fetched).execute(&service.pool).await.unwrap();
    service.refresh().await;

    let sources = service.data("{ metricSources { source films newestAt } }").await;
    let page = Page::at(&service, "/").await;

    let source =
        |source: &str, films: i64, newest: &str| json!({ "source": source, "films": films, "newestAt": newest });
    let expected = [source("imdb", 3, "2024-05-05T23:30:00+00:00"), source("tmdb", 1, "2024-05-04T23:30:00+00:00")];
    assert_eq!(sources["metricSources"], json!(expected));
    assert!(page.text.contains("imdb 2024-05-05 (3 films) · tmdb 2024-05-04 (1 films)"));
}

/// Generated movies and a list that is learned from them: the ranking with other lists is served, the one without them was
/// refused.
async fn learned_list(pool: &PgPool) -> TestService {
    let service = learnable(pool.clone()).await;
    let version = train(&service, 1).await;
    assert_eq!((version.status, &version.report.refusal), (ModelStatus::Accepted, &None));
    let refused = Some("the list is <unlearnable>".to_owned());
    let report = TrainingReport { refusal: refused, ..version.report };
    service.store.add_model(TARGET, Variant::WithoutLists, version.trained_at, &report, None).await.unwrap();
    service.refresh_scores().await;
    service
}

#[sqlx::test(migrations = false)]
async fn switch_ranks_by_the_learned_ranking_and_back(pool: PgPool) {
    let service = learned_list(&pool).await;

    let formula = Page::at(&service, "/?decade=1990&profile=Balanced&min=1").await;
    let learned = Page::at(&service, &formula.link("data-ranking=\"learned\"")).await;
    let movie = Page::at(&service, &learned.link("data-field=\"title\"")).await;
    let filtered = Page::at(&service, "/?decade=1990&ranking=learned&probability=99.9999").await;
    let back = Page::at(&service, &learned.link("data-ranking=\"\"")).await;

    for part in ["under its best profile", "<body data-ranking=\"formula\">", "not available: why?"] {
        assert!(formula.text.contains(part), "{part} is missing");
    }
    for part in ["<body data-ranking=\"learned\">", "under <span id=\"taste\" dir=\"auto\">the learned ranking"] {
        assert!(learned.text.contains(part), "{part} is missing");
    }
    assert_ne!(learned.titles(), formula.titles());
    let query = "{ predictions(decade: 1990, ranking: LEARNED) { nodes { movie { title } } } }";
    let api = service.data(query).await["predictions"]["nodes"].clone();
    let titles = learned.titles().into_iter().map(|title| json!({ "movie": { "title": title.replace("&#39;", "'") } }));
    assert_eq!(api, titles.collect::<serde_json::Value>());
    for part in ["Rank 1 of the 1990s</strong> under <bdi>the learned ranking", "<h2>Reasons</h2>", "groups"] {
        assert!(movie.text.contains(part), "{part} is missing");
    }
    assert!(filtered.titles().len() < learned.titles().len());
    assert!(back.text.contains("<body data-ranking=\"formula\">"));
    for link in [learned.link("rel=\"next\""), learned.link("On the list"), movie.link("Predictions for the 1990s")] {
        assert!(link.contains("ranking=learned") && !link.contains("profile"), "{link}");
    }
    assert!(!learned.link("data-profile=\"Cult Classic\"").contains("ranking"));
}

#[sqlx::test(migrations = false)]
async fn model_card_is_honest_about_what_is_served(pool: PgPool) {
    let service = learned_list(&pool).await;

    let served = Page::at(&service, "/model?ranking=learned").await;
    let refused = Page::at(&service, &Page::at(&service, "/").await.link("not available")).await;
    let fallback = Page::at(&service, "/?ranking=learned-without-lists&probability=50").await;
    let untrained = Page::at(&service, "/model?list=criterion").await;
    let validation = Page::at(&service, "/validation?ranking=learned").await;
    let decade = Page::at(&service, &validation.link("data-decade=\"1990\"")).await;
    let unserved = Page::at(&service, "/validation?ranking=learned-without-lists").await;

    for part in
        ["It finds", "sorting by votes", "Are the probabilities right?", "<circle", "class=\"steps\"", "Leak check"]
    {
        assert!(served.text.contains(part), "{part} is missing");
    }
    assert!(!served.text.contains(" style=") && !served.text.contains("<style"));
    assert!(refused.text.contains("The formula ranks instead, because the list is &#60;unlearnable&#62;."));
    assert!(!refused.text.contains("What it has learned"));
    for part in
        ["<body data-ranking=\"formula\">", "without other lists is not available: the list is &#60;unlearnable&#62;."]
    {
        assert!(fallback.text.contains(part), "{part} is missing");
    }
    assert!(untrained.text.contains("It was not trained yet"));
    assert!(validation.text.contains("it never saw which of the films are listed"));
    assert!(!validation.text.contains("published"), "a learned ranking has blind scores only");
    assert!(decade.text.contains("the learned ranking") && decade.text.contains(" points</small>"));
    assert!(unserved.text.contains("By the published scores"));
}

#[sqlx::test(migrations = false)]
async fn learned_ranking_works_in_a_browser(pool: PgPool) {
    drop(learned_list(&pool).await);
    let server = Server::start(&url(&pool));

    test_in_browser(&server, "learned.test.mjs").await;
}
