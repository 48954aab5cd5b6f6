//! Predictions and validations through the public door: order, pages, cursors, filters, single films.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Film, TestService};

#[sqlx::test(migrations = false)]
async fn candidates_come_in_order_of_their_score(pool: PgPool) {
    let service = TestService::on(pool).await;
    Film::new("Liked").released("2021-05-01").rated(7.0, 7.0).insert(&service.pool).await;
    Film::new("Loved").released("2029-12-31").rated(9.0, 9.0).insert(&service.pool).await;
    Film::new("Listed").released("2022-01-01").rated(9.5, 9.5).on(&["1001_movies"]).insert(&service.pool).await;
    Film::new("Later").released("2030-01-01").rated(9.9, 9.9).insert(&service.pool).await;
    service.refresh().await;

    let data = service.data("{ predictions { totalCount nodes { rank movie { title } } } }").await;

    let expected = json!([{"rank": 1, "movie": {"title": "Loved"}}, {"rank": 2, "movie": {"title": "Liked"}}]);
    assert_eq!(data["predictions"]["nodes"], expected);
    assert_eq!(data["predictions"]["totalCount"], 2);
}

/// A decade of films with only four different scores: candidates, listed films, and some that are not full.
async fn decade_of_ties(pool: &PgPool) {
    for number in 0..60_u16 {
        let rating = f64::from(number * 7 % 4);
        let mut film = Film::new(&format!("Film {number}")).released("1995-06-15").rated(rating, rating);
        if number % 3 != 0 {
            film = film.on(&["1001_movies"]);
        }
        if number % 10 == 1 {
            film = film.soft();
        }
        film.insert(pool).await;
    }
}

/// Where a connection is found: the query around it, with `PAGE` for `first: …, after: …`, and the path to it.
struct Door {
    query: &'static str,
    path: &'static str,
}

const DOORS: [Door; 5] = [
    Door { query: "predictions(decade: 1990, PAGE) CONNECTION", path: "/predictions" },
    Door { query: "confirmedAdditions(decade: 1990, PAGE) CONNECTION", path: "/confirmedAdditions" },
    Door { query: "decadeValidation(decade: 1990) { hitFilms(PAGE) CONNECTION }", path: "/decadeValidation/hitFilms" },
    Door {
        query: "decadeValidation(decade: 1990) { missedFilms(PAGE) CONNECTION }",
        path: "/decadeValidation/missedFilms",
    },
    Door {
        query: "decadeValidation(decade: 1990) { falsePositives(PAGE) CONNECTION }",
        path: "/decadeValidation/falsePositives",
    },
];

impl Door {
    fn asked(&self, page: &str) -> String {
        const CONNECTION: &str = "{ totalCount pageInfo { hasPreviousPage hasNextPage startCursor endCursor }
                                    edges { cursor node { rank score movie { title } } } nodes { rank } }";
        format!("{{ {} }}", self.query.replace("PAGE", page).replace("CONNECTION", CONNECTION))
    }

    async fn page(&self, service: &TestService, first: usize, after: Option<&str>) -> Value {
        let after = after.map(|cursor| format!(", after: \"{cursor}\"")).unwrap_or_default();
        let mut data = service.data(&self.asked(&format!("first: {first}{after}"))).await;
        data.pointer_mut(self.path).unwrap().take()
    }

    async fn first_cursor(&self, service: &TestService) -> String {
        self.page(service, 1, None).await["pageInfo"]["endCursor"].as_str().unwrap().to_owned()
    }
}

fn nodes(page: &Value) -> Vec<Value> {
    page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

#[sqlx::test(migrations = false)]
async fn pages_of_any_size_joined_are_the_whole_list(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    for door in DOORS {
        let whole = nodes(&door.page(&service, 100, None).await);
        assert!(whole.len() > 5, "{}: {} films", door.path, whole.len());
        for size in (1..=9).chain(whole.len() - 1..=whole.len() + 1) {
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let page = door.page(&service, size, after.as_deref()).await;
                assert_eq!(page["totalCount"], whole.len(), "{}", door.path);
                assert_eq!(page["pageInfo"]["hasPreviousPage"], !walked.is_empty(), "{}", door.path);
                walked.extend(nodes(&page));
                after = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(walked, whole, "{} by {size}", door.path);
        }
    }
}

#[sqlx::test(migrations = false)]
async fn ties_are_in_the_order_of_import(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    let predicted = nodes(&DOORS[0].page(&service, 100, None).await);
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
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    for door in DOORS {
        let last = door.page(&service, 100, None).await["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
        let page = door.page(&service, 10, Some(&last)).await;
        let info = json!({"hasPreviousPage": true, "hasNextPage": false, "startCursor": null, "endCursor": null});
        assert_eq!((nodes(&page), &page["pageInfo"]), (vec![], &info), "{}", door.path);
    }
}

#[sqlx::test(migrations = false)]
async fn a_cursor_of_another_list_is_refused(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    Film::new("Elsewhere").released("1995-01-01").on(&["other"]).insert(&service.pool).await;
    service.refresh().await;
    let of_predictions = DOORS[0].first_cursor(&service).await;
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
    for door in &DOORS {
        let cursor = door.first_cursor(&service).await;
        for other in DOORS.iter().filter(|other| other.path != door.path) {
            cases.push(other.asked(&format!("after: \"{cursor}\"")));
        }
    }
    let hit = DOORS[2].first_cursor(&service).await;
    for arguments in ["decade: 1990, basis: AS_PUBLISHED", "decade: 1980", "decade: 1990, profile: \"Cult Classic\""] {
        cases.push(format!("{{ decadeValidation({arguments}) {{ hitFilms(after: \"{hit}\") {{ totalCount }} }} }}"));
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
async fn a_cursor_outlives_its_film(pool: PgPool) {
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    let before = nodes(&DOORS[0].page(&service, 100, None).await);
    let page = DOORS[0].page(&service, 4, None).await;
    let (title, cursor) = (&page["edges"][3]["node"]["movie"]["title"], page["edges"][3]["cursor"].as_str().unwrap());
    let deleted = sqlx::query("DELETE FROM movies WHERE title = $1").bind(title.as_str()).execute(&service.pool).await;
    assert_eq!(deleted.unwrap().rows_affected(), 1);
    service.refresh().await;

    let next = nodes(&DOORS[0].page(&service, 100, Some(cursor)).await);

    let titles = |nodes: &[Value]| nodes.iter().map(|node| node["movie"]["title"].clone()).collect::<Vec<_>>();
    assert_eq!(titles(&next), titles(&before[4..]));
}

#[sqlx::test(migrations = false)]
async fn weights_and_the_profile_that_has_them_share_cursors(pool: PgPool) {
    const WEIGHTS: &str = "popularOpinion criticalAcclaim industryRecognition culturalImpact peopleQuality";
    let service = TestService::on(pool).await;
    decade_of_ties(&service.pool).await;
    service.refresh().await;
    let profiles = service.data(&format!("{{ profiles {{ name weights {{ {WEIGHTS} }} }} }}")).await;
    for profile in profiles["profiles"].as_array().unwrap() {
        let ask = |arguments: String| {
            format!(
                "{{ predictions(decade: 1990, first: 3, {arguments}) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"
            )
        };
        let by_name = service.data(&ask(format!("profile: {}", profile["name"]))).await;
        let cursor = &by_name["predictions"]["pageInfo"]["endCursor"];
        let weights = WEIGHTS.split(' ').map(|name| format!("{name}: {}", profile["weights"][name]));
        let weights = format!("weights: {{ {} }}", weights.collect::<Vec<_>>().join(", "));

        let by_weights = service.data(&ask(weights.clone())).await;
        assert_eq!(by_weights, by_name, "{}", profile["name"]);
        service.data(&ask(format!("{weights}, after: {cursor}"))).await;
    }
}

/// Titles that pass a filter, with their ranks.
async fn filtered(service: &TestService, filter: &str) -> Vec<(String, u64)> {
    let query = format!(
        "{{ predictions(first: 100, filter: {{ {filter} }}) {{ totalCount nodes {{ rank movie {{ title }} }} }} }}"
    );
    let page = service.data(&query).await["predictions"].take();
    let nodes = page["nodes"].as_array().unwrap().iter();
    let found: Vec<_> = nodes
        .map(|node| (node["movie"]["title"].as_str().unwrap().to_owned(), node["rank"].as_u64().unwrap()))
        .collect();
    assert_eq!(page["totalCount"], found.len(), "{filter}");
    found
}

#[sqlx::test(migrations = false)]
async fn a_filter_narrows_the_page_and_leaves_the_ranks(pool: PgPool) {
    let service = TestService::on(pool).await;
    let film = |title: &str, day: &str, rating: f64| Film::new(title).released(day).rated(rating, rating);
    let films = [
        film("Été à Paris", "2020-01-01", 9.0).genre("Drama").country("FR").language("fr"),
        film("The 100 % Tiger", "2021-02-03", 8.0).genre("Drama").genre("Crime").country("US"),
        film("STRASSE", "2022-06-30", 7.0).genre("Crime").country("DE").country("US").language("de"),
        film("Ночь_Tiger", "2029-12-31", 6.0).genre("Comedy").country("RU").language("ru"),
    ];
    for film in films {
        film.insert(&service.pool).await;
    }
    Film::new("Listed Drama").released("2021-01-01").genre("Drama").on(&["1001_movies"]).insert(&service.pool).await;
    service.refresh().await;
    for (filter, expected) in [
        ("", vec![1, 2, 3, 4]),
        ("minScore: 0", vec![1, 2, 3, 4]),
        ("minScore: 15", vec![1, 2]),
        ("minScore: 100", vec![]),
        ("genres: [\"Drama\"]", vec![1, 2]),
        ("genres: [\"drama\", \"CRIME\"]", vec![1, 2, 3]),
        ("genres: [\"No such genre\"]", vec![]),
        ("genres: [\"No such genre\", \"Comedy\"]", vec![4]),
        ("genres: []", vec![1, 2, 3, 4]),
        ("countries: [\"US\"]", vec![2, 3]),
        ("countries: [\"fr\", \"RU\"]", vec![1, 4]),
        ("countries: []", vec![1, 2, 3, 4]),
        ("originalLanguage: \"de\"", vec![3]),
        ("originalLanguage: \"xx\"", vec![]),
        ("titleContains: \"tiger\"", vec![2, 4]),
        ("titleContains: \"éTÉ\"", vec![1]),
        ("titleContains: \"ночь\"", vec![4]),
        ("titleContains: \"strasse\"", vec![3]),
        ("titleContains: \"%\"", vec![2]),
        ("titleContains: \"_\"", vec![4]),
        ("titleContains: \"\"", vec![1, 2, 3, 4]),
        ("releasedFrom: \"2021-02-03\"", vec![2, 3, 4]),
        ("releasedTo: \"2021-02-03\"", vec![1, 2]),
        ("releasedFrom: \"2022-06-30\", releasedTo: \"2022-06-30\"", vec![3]),
        ("genres: [\"Crime\"], countries: [\"US\"], releasedFrom: \"2022-01-01\", titleContains: \"s\"", vec![3]),
    ] {
        let ranks: Vec<_> = filtered(&service, filter).await.into_iter().map(|(_, rank)| rank).collect();
        assert_eq!(ranks, expected, "{filter}");
    }
}

#[sqlx::test(migrations = false)]
async fn the_parts_of_a_score_add_up_to_it(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(500).await;
    for profile in ["Balanced", "Award Winner", "Critics Choice", "Crowd Pleaser", "Cult Classic"] {
        let query = format!(
            "{{ predictions(decade: 2000, first: 100, profile: \"{profile}\") {{ nodes {{
                score breakdown {{ criterion value weight contribution }} }} }} }}"
        );
        let data = service.data(&query).await;
        let nodes = data["predictions"]["nodes"].as_array().unwrap();
        assert!(nodes.len() > 10, "{} films", nodes.len());
        for node in nodes {
            let number = |value: &Value| value.as_f64().unwrap();
            let parts = node["breakdown"].as_array().unwrap();
            let points: f64 = parts.iter().map(|part| number(&part["contribution"])).sum();
            assert!((points - number(&node["score"])).abs() < 1e-9, "{node:#}");
            let weights: f64 = parts.iter().map(|part| number(&part["weight"])).sum();
            assert!((weights - 1.0).abs() < 1e-9, "{node:#}");
            let order: Vec<_> = parts.iter().map(|part| part["criterion"].as_str().unwrap()).collect();
            let criteria =
                ["POPULAR_OPINION", "CRITICAL_ACCLAIM", "INDUSTRY_RECOGNITION", "CULTURAL_IMPACT", "PEOPLE_QUALITY"];
            assert_eq!(order, criteria);
        }
    }
}

#[sqlx::test(migrations = false)]
async fn a_prediction_is_found_by_each_id_of_its_movie(pool: PgPool) {
    const FIELDS: &str = "{ rank score unranked status source movie { title } }";
    let service = TestService::on(pool).await;
    Film::new("Other").released("2021-01-01").rated(9.0, 9.0).insert(&service.pool).await;
    Film::new("Meant").released("2021-01-01").rated(8.0, 8.0).imdb("tt0000007").insert(&service.pool).await;
    service.refresh().await;
    let id = service.data("{ movie(by: { tmdbId: 2 }) { id } }").await["movie"]["id"].clone();
    let query = format!(
        "{{ a: prediction(by: {{ id: {id} }}) {FIELDS} b: prediction(by: {{ tmdbId: 2 }}) {FIELDS}
            c: prediction(by: {{ imdbId: \"tt0000007\" }}) {FIELDS}
            movie(by: {{ tmdbId: 2 }}) {{ prediction {FIELDS} }} }}"
    );
    let data = service.data(&query).await;
    assert_eq!(data["a"]["movie"]["title"], "Meant");
    assert_eq!(data["a"]["rank"], 2);
    assert_eq!(data["a"], data["b"]);
    assert_eq!(data["a"], data["c"]);
    assert_eq!(data["a"], data["movie"]["prediction"]);
}

#[sqlx::test(migrations = false)]
async fn a_movie_without_a_rank_says_why_and_has_a_score(pool: PgPool) {
    let service = TestService::on(pool).await;
    let films = [
        Film::new("Listed").released("2021-01-01").on(&["1001_movies"]),
        Film::new("Undated"),
        Film::new("Soft").released("2021-01-01").soft(),
        Film::new("Soft, undated, listed").soft().on(&["1001_movies"]),
        Film::new("Undated, listed").on(&["1001_movies"]),
    ];
    for film in films {
        film.rated(8.0, 8.0).insert(&service.pool).await;
    }
    service.refresh().await;
    let fields = "{ rank unranked status score }";
    let fields: Vec<_> = (1..=5).map(|id| format!("m{id}: prediction(by: {{ tmdbId: {id} }}) {fields}")).collect();
    let data = service.data(&format!("{{ {} }}", fields.join(" "))).await;
    for (movie, unranked, status) in [
        ("m1", "LISTED", "LISTED"),
        ("m2", "NO_RELEASE_DATE", "CANDIDATE"),
        ("m3", "NOT_FULL", "CANDIDATE"),
        ("m4", "NOT_FULL", "LISTED"),
        ("m5", "NO_RELEASE_DATE", "LISTED"),
    ] {
        let found = &data[movie];
        assert_eq!(
            (&found["rank"], &found["unranked"], &found["status"]),
            (&json!(null), &json!(unranked), &json!(status)),
            "{movie}"
        );
        assert!(found["score"].as_f64().unwrap() >= 16.0, "{movie}: {found}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_predictions_id_is_that_of_its_movie_list_and_weights(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["A", "B"] {
        Film::new(title).released("2021-01-01").on(&["other"]).insert(&service.pool).await;
    }
    service.refresh().await;
    let equal = "popularOpinion: 7, criticalAcclaim: 7, industryRecognition: 7, culturalImpact: 7, peopleQuality: 7";
    let data = service
        .data(&format!(
            "{{ first: prediction(by: {{ tmdbId: 1 }}) {{ id }}
                movie: prediction(by: {{ tmdbId: 2 }}) {{ id }}
                list: prediction(by: {{ tmdbId: 1 }}, list: \"other\") {{ id }}
                weights: prediction(by: {{ tmdbId: 1 }}, profile: \"Cult Classic\") {{ id }}
                same: prediction(by: {{ tmdbId: 1 }}, profile: \"Balanced\") {{ id }}
                sameNumbers: prediction(by: {{ tmdbId: 1 }}, weights: {{ {equal} }}) {{ id }} }}"
        ))
        .await;
    assert_eq!(data["first"], data["same"]);
    assert_eq!(data["first"], data["sameNumbers"]);
    let ids: std::collections::HashSet<_> =
        ["first", "movie", "list", "weights"].map(|name| data[name]["id"].as_str().unwrap()).into();
    assert_eq!(ids.len(), 4, "{data:#}");
}

#[sqlx::test(migrations = false)]
async fn a_decade_without_films_is_an_empty_page(pool: PgPool) {
    let service = TestService::on(pool).await;
    Film::new("Elsewhere").released("2021-01-01").on(&["1001_movies"]).insert(&service.pool).await;
    service.refresh().await;
    let data = service
        .data("{ predictions(decade: 1900) { totalCount nodes { rank } pageInfo { hasNextPage endCursor } } }")
        .await;
    let page = json!({"totalCount": 0, "nodes": [], "pageInfo": {"hasNextPage": false, "endCursor": null}});
    assert_eq!(data["predictions"], page);
}
