//! Connections: whole lists by pages, and cursors, through the public API.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, iter};

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, NodeClient, Socket, TestService, credit, person};

/// A decade of movies with only four different scores: candidates, listed movies, and some that are not full. One movie
/// has credits.
async fn decade_of_ties(pool: &PgPool, movies: u16) {
    let mut ids = Vec::new();
    for number in 0..movies {
        let rating = f64::from(number * 7 % 4);
        let mut movie = Movie::new(&format!("Film {number}")).released("1995-06-15").rated(rating, rating);
        if number % 3 != 0 {
            movie = movie.on(&["1001_movies"]);
        }
        if number % 10 == 1 {
            movie = movie.soft();
        }
        ids.push(movie.insert(pool).await);
    }
    let mut people = Vec::new();
    for name in ["Director", "Star", "Someone", "Someone Else", "Some Body", "Sam Body", "S. Body"] {
        people.push(person(pool, name).await);
    }
    for person in &people[..4] {
        for job in [Some("Director"), Some("Editor"), Some("Producer"), None, None] {
            credit(pool, ids[1], *person, job).await;
        }
    }
    for number in 0..8 {
        let movie = Movie::new(&format!("Side {number}")).released("1985-06-15").insert(pool).await;
        credit(pool, movie, people[0], None).await;
    }
}

/// One connection of the schema: its query, with `PAGE` for `first: …, after: …`, the path to it in the data, and the
/// selection of its nodes.
struct ConnectionCase {
    field: &'static str,
    query: &'static str,
    path: &'static str,
    node: &'static str,
}

const PREDICTION: &str = "id rank movie { id title }";
const RANKED: &str = "rank movie { id title }";
const CREDIT: &str = "creditId cast person { id name }";

const CASES: [ConnectionCase; 12] = [
    ConnectionCase {
        field: "Query.predictions",
        query: "predictions(decade: 1990, PAGE) { totalCount CONNECTION }",
        path: "/predictions",
        node: PREDICTION,
    },
    ConnectionCase {
        field: "Query.confirmedAdditions",
        query: "confirmedAdditions(decade: 1990, PAGE) { totalCount CONNECTION }",
        path: "/confirmedAdditions",
        node: PREDICTION,
    },
    ConnectionCase {
        field: "DecadeValidation.hitMovies",
        query: "decadeValidation(decade: 1990) { hitMovies(PAGE) { totalCount CONNECTION } }",
        path: "/decadeValidation/hitMovies",
        node: RANKED,
    },
    ConnectionCase {
        field: "DecadeValidation.missedMovies",
        query: "decadeValidation(decade: 1990) { missedMovies(PAGE) { totalCount CONNECTION } }",
        path: "/decadeValidation/missedMovies",
        node: RANKED,
    },
    ConnectionCase {
        field: "DecadeValidation.falsePositives",
        query: "decadeValidation(decade: 1990) { falsePositives(PAGE) { totalCount CONNECTION } }",
        path: "/decadeValidation/falsePositives",
        node: RANKED,
    },
    ConnectionCase {
        field: "Query.movies",
        query: "movies(titleContains: \"film\", PAGE) { CONNECTION }",
        path: "/movies",
        node: "id title",
    },
    ConnectionCase {
        field: "Movie.credits",
        query: "movie(by: { tmdbId: 2 }) { id credits(PAGE) { totalCount CONNECTION } }",
        path: "/movie/credits",
        node: CREDIT,
    },
    ConnectionCase {
        field: "MovieList.movies",
        query: "list(key: \"1001_movies\") { key movies(PAGE) { totalCount CONNECTION } }",
        path: "/list/movies",
        node: "position movie { id title }",
    },
    ConnectionCase {
        field: "Person.movies",
        query: "person(by: { tmdbId: 1 }) { id movies(PAGE) { CONNECTION } }",
        path: "/person/movies",
        node: "id title",
    },
    ConnectionCase {
        field: "Query.people",
        query: "people(search: \"s\", PAGE) { CONNECTION }",
        path: "/people",
        node: "id name",
    },
    // Further lists of the same movies, in another order or with a filter.
    ConnectionCase {
        field: "Query.predictions",
        query: "predictions(profile: \"Award Winner\", decade: 1990, PAGE) { totalCount CONNECTION }",
        path: "/predictions",
        node: PREDICTION,
    },
    ConnectionCase {
        field: "Movie.credits",
        query: "movie(by: { tmdbId: 2 }) { id credits(department: \"Directing\", PAGE) { totalCount CONNECTION } }",
        path: "/movie/credits",
        node: CREDIT,
    },
];

impl ConnectionCase {
    fn query_for(&self, page: &str) -> String {
        let connection = "pageInfo { hasPreviousPage hasNextPage startCursor endCursor }
                          edges { cursor node { NODE } } nodes { NODE }";
        let query = self.query.replace("PAGE", page).replace("CONNECTION", connection).replace("NODE", self.node);
        format!("{{ {query} }}")
    }

    async fn page(&self, service: &TestService, first: usize, after: Option<&str>) -> Value {
        let after = after.map(|cursor| format!(", after: \"{cursor}\"")).unwrap_or_default();
        let mut data = service.data(&self.query_for(&format!("first: {first}{after}"))).await;
        data.pointer_mut(self.path).unwrap().take()
    }

    async fn first_cursor(&self, service: &TestService) -> String {
        self.page(service, 1, None).await["pageInfo"]["endCursor"].as_str().unwrap().to_owned()
    }

    /// The nodes of consecutive pages of these sizes, joined.
    async fn walked(&self, service: &TestService, sizes: impl IntoIterator<Item = usize>) -> Vec<Value> {
        let (mut walked, mut after) = (Vec::new(), None);
        for size in sizes {
            let page = self.page(service, size, after.as_deref()).await;
            assert_eq!(page["pageInfo"]["hasPreviousPage"], !walked.is_empty(), "{}", self.query);
            walked.extend(nodes(&page));
            after = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
            if page["pageInfo"]["hasNextPage"] == false {
                assert!(page.get("totalCount").is_none_or(|total| *total == walked.len()), "{}", self.query);
                break;
            }
        }
        walked
    }
}

fn nodes(page: &Value) -> Vec<Value> {
    let nodes: Vec<_> = page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect();
    assert_eq!(page["nodes"], json!(nodes));
    nodes
}

#[sqlx::test(migrations = false)]
async fn joined_pages_of_any_size_equal_the_whole_list(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    service.refresh().await;
    for case in CASES {
        let whole = nodes(&case.page(&service, 100, None).await);
        assert!((6..100).contains(&whole.len()), "{}: {} nodes", case.query, whole.len());
        for size in 1..=whole.len() + 1 {
            assert_eq!(case.walked(&service, iter::repeat(size)).await, whole, "{} by {size}", case.query);
        }
        let sizes = case.walked(&service, [3, 1, 7, 2].into_iter().cycle()).await;
        assert_eq!(sizes, whole, "{} by different sizes", case.query);
    }
}

#[sqlx::test(migrations = false)]
async fn joined_pages_equal_the_stream(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 360).await;
    service.refresh().await;
    let mut socket = Socket::open(service.listen().await).await;
    let query = format!(
        "subscription {{ predictionStream(decade: 1990, batchSize: 100) {{ complete predictions {{ {PREDICTION} }} }} }}"
    );
    socket.subscribe("1", &query).await;
    let mut streamed = Vec::new();
    loop {
        let batch = socket.next("1").await["data"]["predictionStream"].take();
        streamed.extend(batch["predictions"].as_array().unwrap().clone());
        if batch["complete"] == true {
            break;
        }
    }
    assert!(streamed.len() > 100, "{} films", streamed.len());
    for size in [9, 99, 100] {
        assert_eq!(CASES[0].walked(&service, iter::repeat(size)).await, streamed, "by {size}");
    }
}

/// Fails for a new connection without a case.
#[test]
fn every_connection_of_the_schema_has_a_case() {
    let (mut of, mut connections) = (String::new(), BTreeSet::new());
    let sdl = cinegraph::graphql::sdl();
    let mut field = "";
    for line in sdl.lines() {
        if let Some(name) = line.strip_prefix("type ") {
            name.split(' ').next().unwrap().clone_into(&mut of);
        }
        let indented = line.strip_prefix('\t').filter(|line| line.starts_with(char::is_alphabetic));
        field = indented.and_then(|line| line.split(['(', ':']).next()).unwrap_or(field);
        if line.starts_with('\t') && line.ends_with("Connection!") {
            connections.insert(format!("{of}.{field}"));
        }
    }
    assert_eq!(connections, CASES.iter().map(|case| case.field.to_owned()).collect());
    // Apollo Client, unlike urql, has to be told each of them.
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/apollo/src/client.ts");
    let policies = fs::read_to_string(example).unwrap();
    for connection in connections {
        let field = connection.split('.').next_back().unwrap();
        assert!(policies.contains(&format!("{field}: pages")), "{connection}");
    }
}

#[sqlx::test(migrations = false)]
async fn normalising_client_joins_the_pages_of_every_list(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    service.refresh().await;
    let url = format!("http://{}", service.listen().await);
    let mut whole = Vec::new();
    for case in &CASES {
        whole.push(nodes(&case.page(&service, 100, None).await));
    }
    // The client merges only the nodes of a connection.
    let query = |case: &ConnectionCase| case.query_for("first: $first, after: $after").replace("totalCount", "");
    let lists = CASES.map(|case| (case.path, format!("query ($first: Int!, $after: String) {}", query(&case))));

    let arguments = [&url, &json!(lists).to_string(), "[1, 4, 25, 100]"];
    let mut client = NodeClient::with_packages_of("urql", "urql", &arguments).await;
    let movies: Vec<_> = whole[0].iter().map(|node| &node["movie"]).collect();
    for size in [1, 4, 25, 100] {
        let event = client.next_event().await.unwrap();
        assert_eq!(event, json!({ "size": size, "walked": whole, "kept": whole, "found": movies }));
    }
    assert_eq!(client.next_event().await, Some(json!({ "warnings": [] })));
}

#[sqlx::test(migrations = false)]
async fn ties_are_in_the_order_of_import(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    service.refresh().await;
    let predicted = nodes(&CASES[0].page(&service, 100, None).await);
    let mut expected: Vec<(u16, u16)> =
        (0..60).filter(|n| n % 3 == 0 && n % 10 != 1).map(|n| (3 - n * 7 % 4, n)).collect();
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, number)| format!("Film {number}")).collect();
    let titles: Vec<_> = predicted.iter().map(|node| node["movie"]["title"].as_str().unwrap()).collect();
    assert_eq!(titles, expected);
    let ranks: Vec<_> = predicted.iter().map(|node| node["rank"].clone()).collect();
    assert_eq!(ranks, (1..=expected.len()).map(|rank| json!(rank)).collect::<Vec<_>>());
}

#[sqlx::test(migrations = false)]
async fn a_page_past_the_end_is_empty(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    service.refresh().await;
    for case in CASES {
        let last = case.page(&service, 100, None).await["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
        let page = case.page(&service, 10, Some(&last)).await;
        let info = json!({"hasPreviousPage": true, "hasNextPage": false, "startCursor": null, "endCursor": null});
        assert_eq!((nodes(&page), &page["pageInfo"]), (vec![], &info), "{}", case.query);
    }
}

#[sqlx::test(migrations = false)]
async fn cursor_of_another_list_is_rejected(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    Movie::new("Elsewhere").released("1995-01-01").on(&["other"]).insert(&service.pool).await;
    service.refresh().await;
    let of_predictions = CASES[0].first_cursor(&service).await;
    let mut cases = Vec::new();
    for arguments in [
        "decade: 1980",
        "decade: 1990, list: \"other\"",
        "decade: 1990, profile: \"Cult Classic\"",
        "decade: 1990, weights: { popularOpinion: 2, criticalAcclaim: 1, industryRecognition: 1, culturalImpact: 1, \
         peopleQuality: 1 }",
        "decade: 1990, filter: { minScore: 0 }",
        "decade: 1990, filter: { titleContains: \"Film\" }",
    ] {
        cases.push(format!("{{ predictions({arguments}, after: \"{of_predictions}\") {{ totalCount }} }}"));
    }
    for case in &CASES {
        let cursor = case.first_cursor(&service).await;
        for other in CASES.iter().filter(|other| other.query != case.query) {
            cases.push(other.query_for(&format!("after: \"{cursor}\"")));
        }
    }
    let hit = CASES[2].first_cursor(&service).await;
    for arguments in ["decade: 1990, basis: AS_PUBLISHED", "decade: 1980", "decade: 1990, profile: \"Cult Classic\""] {
        cases.push(format!("{{ decadeValidation({arguments}) {{ hitMovies(after: \"{hit}\") {{ totalCount }} }} }}"));
    }
    for cut in [1, of_predictions.len() - 4] {
        let damaged = &of_predictions[..cut];
        cases.push(format!("{{ predictions(decade: 1990, after: \"{damaged}\") {{ totalCount }} }}"));
    }
    cases.push(format!("{{ predictions(decade: 1990, after: \"{of_predictions}AAAA\") {{ totalCount }} }}"));
    for query in cases {
        assert_eq!(service.refusal(&query).await, ("BAD_USER_INPUT".into(), Some("after".into())), "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn cursor_outlives_its_movie(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    service.refresh().await;
    let before = nodes(&CASES[0].page(&service, 100, None).await);
    let page = CASES[0].page(&service, 4, None).await;
    let (title, cursor) = (&page["edges"][3]["node"]["movie"]["title"], page["edges"][3]["cursor"].as_str().unwrap());
    let deleted = sqlx::query("DELETE FROM movies WHERE title = $1").bind(title.as_str()).execute(&service.pool).await;
    assert_eq!(deleted.unwrap().rows_affected(), 1);
    service.refresh().await;

    let next = nodes(&CASES[0].page(&service, 100, Some(cursor)).await);

    let titles = |nodes: &[Value]| nodes.iter().map(|node| node["movie"]["title"].clone()).collect::<Vec<_>>();
    assert_eq!(titles(&next), titles(&before[4..]));
}

#[sqlx::test(migrations = false)]
async fn weights_and_the_profile_that_has_them_share_cursors(pool: PgPool) {
    const WEIGHTS: &str = "popularOpinion criticalAcclaim industryRecognition culturalImpact peopleQuality";
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool, 60).await;
    service.refresh().await;
    let profiles = service.data(&format!("{{ profiles {{ name weights {{ {WEIGHTS} }} }} }}")).await;
    for profile in profiles["profiles"].as_array().unwrap() {
        let predictions = |arguments: String| {
            format!(
                "{{ predictions(decade: 1990, first: 3, {arguments}) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"
            )
        };
        let by_name = service.data(&predictions(format!("profile: {}", profile["name"]))).await;
        let cursor = &by_name["predictions"]["pageInfo"]["endCursor"];
        let weights = WEIGHTS.split(' ').map(|name| format!("{name}: {}", profile["weights"][name]));
        let weights = format!("weights: {{ {} }}", weights.collect::<Vec<_>>().join(", "));

        let by_weights = service.data(&predictions(weights.clone())).await;
        assert_eq!(by_weights, by_name, "{}", profile["name"]);
        service.data(&predictions(format!("{weights}, after: {cursor}"))).await;
    }
}
