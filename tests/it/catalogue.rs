//! Movies by title, lists, genres and credits, through the public API.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TestService, credit, person};

fn titles(connection: &Value) -> Vec<&str> {
    connection["nodes"].as_array().unwrap().iter().map(|movie| movie["title"].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = false)]
async fn title_search_is_case_insensitive_and_literal(pool: PgPool) {
    let service = TestService::on(pool).await;
    for title in ["ÉTÉ 100%", "L'été", "100 ways", "Le_Mans", "LeXMans"] {
        Movie::new(title).insert(&service.pool).await;
    }
    let found = async |text: &str| {
        let query = format!("{{ movies(titleContains: {}) {{ nodes {{ title }} }} }}", json!(text));
        service.data(&query).await["movies"].clone()
    };

    assert_eq!(titles(&found("été").await), ["ÉTÉ 100%", "L'été"]);
    assert_eq!(titles(&found("100%").await), ["ÉTÉ 100%"]);
    assert_eq!(titles(&found("le_m").await), ["Le_Mans"]);
    assert_eq!(titles(&found("nowhere").await), [""; 0]);
}

#[sqlx::test(migrations = false)]
async fn a_title_is_found_in_whatever_form_a_document_escapes_it(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("\u{1F469}\u{200D}\u{1F680} \"Moon\"").insert(&service.pool).await;
    for literal in [
        r#""\uD83D\uDC69\u200d\uD83D\uDE80 \"M""#,
        r#""\u{1F469}\u{200D}\u{0001f680}\u{20}\u{22}M""#,
        "\"\u{1F469}\u{200D}\\uD83D\\uDE80\\u0020\\u{22}M\"",
    ] {
        let query = format!("{{ movies(titleContains: {literal}) {{ nodes {{ title }} }} }}");
        // Twice: the second response comes from the response cache, whose key is the text as it was sent.
        for _ in 0..2 {
            assert_eq!(service.data(&query).await["movies"]["nodes"].as_array().unwrap().len(), 1, "{query}");
        }
    }
    let response =
        service.execute("{ lists { key }\n movies(titleContains: \"\\uD83D\") { nodes { id } } }", json!({})).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_PARSE_FAILED");
    assert_eq!(response["errors"][0]["locations"], json!([{ "line": 2, "column": 25 }]));
}

#[sqlx::test(migrations = false)]
async fn paging_through_a_search_returns_each_movie_once(pool: PgPool) {
    let service = TestService::on(pool).await;
    for number in 0..23 {
        // Several movies share a title, so that cursors must break ties.
        Movie::new(&format!("Film {}", number % 4)).insert(&service.pool).await;
    }
    for size in [1, 4, 7, 100] {
        let (mut seen, mut after) = (Vec::new(), "null".to_owned());
        loop {
            let query = format!(
                "{{ movies(titleContains: \"film\", first: {size}, after: {after}) {{
                       nodes {{ id title }} pageInfo {{ endCursor hasNextPage }} }} }}"
            );
            let page = service.data(&query).await["movies"].clone();
            for movie in page["nodes"].as_array().unwrap() {
                seen.push((movie["title"].to_string(), movie["id"].to_string()));
            }
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].to_string();
        }
        assert_eq!(seen.len(), 23);
        let titles: Vec<_> = seen.iter().map(|(title, _)| title).collect();
        assert!(titles.is_sorted());
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 23);
    }
}

#[sqlx::test(migrations = false)]
async fn invalid_search_argument_is_named(pool: PgPool) {
    let service = TestService::on(pool).await;
    let refusal =
        async |arguments: &str| service.refusal(&format!("{{ movies({arguments}) {{ nodes {{ id }} }} }}")).await;
    let bad = |field: &str| ("BAD_USER_INPUT".to_owned(), Some(field.to_owned()));

    assert_eq!(refusal("titleContains: \"\"").await, bad("titleContains"));
    assert_eq!(refusal("titleContains: \"a\", first: 0").await, bad("first"));
    assert_eq!(refusal("titleContains: \"a\", after: \"x\"").await, bad("after"));
}

#[sqlx::test(migrations = false)]
async fn lists_report_their_movies_by_decade(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Listed").released("1994-01-01").on(&["1001_movies", "own_list"]).insert(&service.pool).await;
    Movie::new("Listed, soft").released("1995-01-01").on(&["1001_movies"]).soft().insert(&service.pool).await;
    Movie::new("Candidate").released("1996-01-01").insert(&service.pool).await;
    Movie::new("Soft alone").released("1905-01-01").on(&["own_list"]).soft().insert(&service.pool).await;
    Movie::new("Undated").on(&["1001_movies"]).insert(&service.pool).await;
    Movie::new("No object").released("2001-01-01").sources("[\"1001_movies\"]").insert(&service.pool).await;
    service.refresh().await;

    let data = service.data("{ lists { key films undated decades { decade listed candidates } } }").await;

    let expected = json!([
        {"key": "1001_movies", "films": 3, "undated": 1, "decades": [
            {"decade": 1990, "listed": 2, "candidates": 1}, {"decade": 2000, "listed": 0, "candidates": 1}]},
        {"key": "own_list", "films": 2, "undated": 0, "decades": [
            {"decade": 1900, "listed": 1, "candidates": 0},
            {"decade": 1990, "listed": 1, "candidates": 1}, {"decade": 2000, "listed": 0, "candidates": 1}]},
    ]);
    assert_eq!(data["lists"], expected);
}

#[sqlx::test(migrations = false)]
async fn credits_list_the_director_first_and_filter_by_department(pool: PgPool) {
    let service = TestService::on(pool).await;
    let movie = Movie::new("Film").released("1994-01-01").insert(&service.pool).await;
    let (actor, director) = (person(&service.pool, "Actor").await, person(&service.pool, "Director").await);
    credit(&service.pool, movie, actor, None).await;
    credit(&service.pool, movie, director, Some("Director")).await;
    credit(&service.pool, movie, director, None).await;
    let credits = async |arguments: &str| {
        let query = format!(
            "{{ movies(titleContains: \"film\") {{ nodes {{ credits({arguments}) {{
                   totalCount nodes {{ cast department person {{ name }} }} }} }} }} }}"
        );
        service.data(&query).await["movies"]["nodes"][0]["credits"].clone()
    };

    let all = credits("first: 2").await;
    assert_eq!(all["totalCount"], 3);
    assert_eq!(all["nodes"][0], json!({"cast": false, "department": "Directing", "person": {"name": "Director"}}));
    assert_eq!(all["nodes"][1], json!({"cast": true, "department": "Acting", "person": {"name": "Actor"}}));
    assert_eq!(credits("department: \"acting\"").await["totalCount"], 2);
}

#[sqlx::test(migrations = false)]
async fn status_reports_scores_and_snapshot(pool: PgPool) {
    let service = TestService::on(pool).await;
    Movie::new("Film").released("1994-01-01").insert(&service.pool).await;
    let status = "{ status { formulaVersion scoredFilms scoredAt snapshotAt targetLists } }";

    let before = service.data(status).await["status"].clone();
    service.refresh().await;
    let after = service.data(status).await["status"].clone();

    assert_eq!((&before["scoredFilms"], &before["snapshotAt"]), (&json!(0), &Value::Null));
    assert_eq!((&after["scoredFilms"], &after["targetLists"]), (&json!(1), &json!(["1001_movies"])));
    assert!(after["scoredAt"].is_string() && after["snapshotAt"].is_string());
}
