//! Predictions through the public API: order, filters, single movies.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TestService};

#[sqlx::test(migrations = false)]
async fn candidates_are_ordered_by_score(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Liked").released("2021-05-01").rated(7.0, 7.0).insert(&service.pool).await;
    Movie::new("Loved").released("2029-12-31").rated(9.0, 9.0).insert(&service.pool).await;
    Movie::new("Listed").released("2022-01-01").rated(9.5, 9.5).on(&["1001_movies"]).insert(&service.pool).await;
    Movie::new("Later").released("2030-01-01").rated(9.9, 9.9).insert(&service.pool).await;
    service.refresh().await;

    let data = service.data("{ predictions { totalCount nodes { rank movie { title } } } }").await;

    let expected = json!([{"rank": 1, "movie": {"title": "Loved"}}, {"rank": 2, "movie": {"title": "Liked"}}]);
    assert_eq!(data["predictions"]["nodes"], expected);
    assert_eq!(data["predictions"]["totalCount"], 2);
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
    let movie = |title: &str, day: &str, rating: f64| Movie::new(title).released(day).rated(rating, rating);
    let movies = [
        movie("Été à Paris", "2020-01-01", 9.0).genre("Drama").country("FR").language("fr"),
        movie("The 100 % Tiger", "2021-02-03", 8.0).genre("Drama").genre("Crime").country("US"),
        movie("STRASSE", "2022-06-30", 7.0).genre("Crime").country("DE").country("US").language("de"),
        movie("Ночь_Tiger", "2029-12-31", 6.0).genre("Comedy").country("RU").language("ru"),
    ];
    for movie in movies {
        movie.insert(&service.pool).await;
    }
    Movie::new("Listed Drama").released("2021-01-01").genre("Drama").on(&["1001_movies"]).insert(&service.pool).await;
    service.refresh().await;
    for (filter, expected) in [
        ("", vec![1, 2, 3, 4]),
        ("minScore: 0", vec![1, 2, 3, 4]),
        ("minScore: 75", vec![1, 2]),
        ("minScore: 100", vec![]),
        ("genres: [\"Drama\"]", vec![1, 2]),
        ("genres: [\"drama\", \"CRIME\"]", vec![1, 2, 3]),
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
    for (filter, field, hint) in [
        ("genres: [\"Comedy\", \"Comdey\"]", "filter.genres", "did you mean \"Comedy\"?"),
        ("genres: [\"No such genre\"]", "filter.genres", "the query `genres` returns all"),
        ("countries: [\"FRA\"]", "filter.countries", "did you mean \"FR\"?"),
        ("originalLanguage: \"german\"", "filter.originalLanguage", "did you mean \"de\"?"),
        ("originalLanguage: \"Klingonian\"", "filter.originalLanguage", "pass one such as \"en\""),
    ] {
        let query = format!("{{ predictions(filter: {{ {filter} }}) {{ totalCount }} }}");
        let error = service.execute(&query, json!({})).await["errors"][0].take();
        assert_eq!(error["extensions"]["field"], field, "{error:#}");
        assert!(error["message"].as_str().unwrap().contains(hint), "{error:#}");
    }
}

#[sqlx::test(migrations = false)]
async fn movies_that_critics_or_audiences_prefer_are_found(pool: PgPool) {
    let service = TestService::on(pool).await;
    for (title, rating, review) in [("Critics", 6.0, 95.0), ("Both", 8.0, 80.0), ("Audiences", 8.5, 30.0)] {
        let movie = Movie::new(title).released("2021-01-01").rated(rating, rating).reviewed(review, review);
        movie.insert(&service.pool).await;
    }
    Movie::new("Unreviewed").released("2021-01-01").rated(9.0, 9.0).insert(&service.pool).await;
    service.refresh().await;
    for (by, expected) in [("CRITICS", "Critics"), ("AUDIENCES", "Audiences")] {
        let query = format!(
            "{{ predictions(filter: {{ preferredBy: {by} }}) {{ totalCount nodes {{ movie {{ title }} }} }} }}"
        );
        let expected = json!({ "totalCount": 1, "nodes": [{ "movie": { "title": expected } }] });
        assert_eq!(service.data(&query).await["predictions"], expected);
    }
}

#[sqlx::test(migrations = false)]
async fn list_and_decade_are_by_default_those_of_the_data(pool: PgPool) {
    let service = TestService::configured(pool, "CINEGRAPH_TARGET_LISTS", "missing, afi, 1001_movies").await;
    for (title, day, list) in
        [("Old", "1950-01-01", "afi"), ("Candidate", "1977-01-01", "1001_movies"), ("Announced", "2999-01-01", "afi")]
    {
        Movie::new(title).released(day).on(&[list]).insert(&service.pool).await;
    }
    // Later, but not fully imported.
    Movie::new("Soft").released("1988-01-01").soft().insert(&service.pool).await;
    service.refresh().await;
    let query = "query ($list: String, $decade: Int) {
        defaults { list decade }
        predictions(list: $list, decade: $decade) { list decade nodes { movie { title } } }
        confirmedAdditions(list: \"1001_movies\") { list decade totalCount }
        movie(by: { tmdbId: 1 }) { prediction { status } } }";
    let expected = json!({
        "defaults": { "list": "afi", "decade": 1970 },
        "predictions": { "list": "afi", "decade": 1970, "nodes": [{ "movie": { "title": "Candidate" } }] },
        "confirmedAdditions": { "list": "1001_movies", "decade": 1970, "totalCount": 1 },
        "movie": { "prediction": { "status": "LISTED" } },
    });
    for variables in [json!({}), json!({ "list": null, "decade": null }), json!({ "list": "afi", "decade": 1970 })] {
        let response = service.execute(query, variables).await;
        assert_eq!(response["data"], expected, "{response:#}");
    }
    // Documents of earlier versions declare the variables as required.
    let query = "query ($list: String! = \"1001_movies\", $decade: Int! = 1950) {
        predictions(list: $list, decade: $decade) { list decade } }";
    assert_eq!(service.data(query).await["predictions"], json!({ "list": "1001_movies", "decade": 1950 }));
}

#[sqlx::test(migrations = false)]
async fn score_contributions_sum_to_the_score(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(500).await;
    for profile in ["Balanced", "Award Winner", "Critics Choice", "Crowd Pleaser", "Cult Classic"] {
        let query = format!(
            "{{ predictions(decade: 2000, first: 100, profile: \"{profile}\") {{ nodes {{
                score breakdown {{ criterion value weight contribution }} }} }} }}"
        );
        let data = service.data(&query).await;
        let nodes = data["predictions"]["nodes"].as_array().unwrap();
        assert!(nodes.len() > 10, "{} movies", nodes.len());
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
    Movie::new("Other").released("2021-01-01").rated(9.0, 9.0).insert(&service.pool).await;
    Movie::new("Meant").released("2021-01-01").rated(8.0, 8.0).imdb("tt0000007").insert(&service.pool).await;
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
async fn unranked_movie_has_a_reason_and_a_score(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movies = [
        Movie::new("Listed").released("2021-01-01").on(&["1001_movies"]),
        Movie::new("Undated"),
        Movie::new("Soft").released("2021-01-01").soft(),
        Movie::new("Soft, undated, listed").soft().on(&["1001_movies"]),
        Movie::new("Undated, listed").on(&["1001_movies"]),
    ];
    for movie in movies {
        movie.rated(8.0, 8.0).insert(&service.pool).await;
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
        Movie::new(title)
            .released("2021-01-01")
            .rated(7.0, 8.0)
            .popularity(9.0)
            .on(&["other"])
            .insert(&service.pool)
            .await;
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
async fn decade_without_movies_is_an_empty_page(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Elsewhere").released("2021-01-01").on(&["1001_movies"]).insert(&service.pool).await;
    service.refresh().await;
    let data = service
        .data("{ predictions(decade: 1900) { totalCount nodes { rank } pageInfo { hasNextPage endCursor } } }")
        .await;
    let page = json!({"totalCount": 0, "nodes": [], "pageInfo": {"hasNextPage": false, "endCursor": null}});
    assert_eq!(data["predictions"], page);
}
