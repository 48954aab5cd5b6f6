//! Searches by words: what they find, in which order, and on which index.

use cinegraph::services::drain::Drain;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::{Movie, TestService};

async fn add(service: &TestService, title: &str, original: Option<&str>, votes: f64) -> i64 {
    let id = Movie::new(title).released("1994-05-05").metric("imdb", "rating_votes", votes).insert(&service.pool).await;
    sqlx::query("UPDATE movies SET original_title = $1 WHERE id = $2")
        .bind(original)
        .bind(id)
        .execute(&service.pool)
        .await
        .unwrap();
    id
}

async fn filled(pool: PgPool, titles: &[(&str, Option<&str>, f64)]) -> TestService {
    let service = TestService::on(pool).await;
    for (title, original, votes) in titles {
        add(&service, title, *original, *votes).await;
    }
    Drain::of(&service.store).run().await.unwrap();
    service
}

async fn titles(service: &TestService, arguments: &str, variables: Value) -> Vec<String> {
    let query = format!("query($s: String) {{ movies(search: $s{arguments}) {{ totalCount nodes {{ title }} }} }}");
    let response = service.execute(&query, variables).await;
    let page = &response["data"]["movies"];
    let nodes = page["nodes"].as_array().unwrap_or_else(|| panic!("{response:#}"));
    let titles: Vec<_> = nodes.iter().map(|node| node["title"].as_str().unwrap().to_owned()).collect();
    if arguments.is_empty() {
        assert_eq!(page["totalCount"], titles.len(), "{response:#}");
    }
    titles
}

const GODFATHERS: &[(&str, Option<&str>, f64)] = &[
    ("3 Godfathers", None, 900_000.0),
    ("The Godfather", None, 90_000.0),
    ("The Godfather Part II", None, 80_000.0),
    ("Godfather of Harlem", None, 70.0),
    ("The Black Godfather", None, 500_000.0),
    ("Le fabuleux destin", Some("Amélie Poulain"), 10.0),
    ("Amelie", None, 5.0),
    ("Ødipus", None, 5.0),
    ("Броненосец «Потёмкин»", None, 5.0),
    ("ガメラ", None, 5.0),
    ("السلام، عليكم", None, 5.0),
    ("M*A*S*H", None, 5.0),
    ("100% _Wolf_ \\ o'Neill", None, 5.0),
    ("???", None, 5.0),
];

#[sqlx::test(migrations = false)]
async fn better_matches_come_first_and_among_equals_the_popular(pool: PgPool) {
    let service = filled(pool, GODFATHERS).await;
    let all = ["The Godfather", "The Godfather Part II", "Godfather of Harlem", "3 Godfathers", "The Black Godfather"];
    for (text, expected) in [
        ("godfather", &all[..]),
        // "the" is a part of "godfather".
        (
            "THE GODFATHER",
            &["The Godfather", "The Godfather Part II", "The Black Godfather", "3 Godfathers", "Godfather of Harlem"],
        ),
        ("godf part", &["The Godfather Part II"]),
        ("amelie", &["Amelie", "Le fabuleux destin"]),
        ("AME\u{301}LIE p", &["Le fabuleux destin", "Amelie"]),
        ("odip", &["Ødipus"]),
        ("потемкин", &["Броненосец «Потёмкин»"]),
        ("ｶﾞﾒ", &["ガメラ"]),
        ("عليكم", &["السلام، عليكم"]),
        ("mash", &["M*A*S*H"]),
        ("oneill 100", &["100% _Wolf_ \\ o'Neill"]),
        ("100%", &["100% _Wolf_ \\ o'Neill"]),
        ("???", &["???"]),
        // Parts of words, and one edit.
        ("dfather harlem", &["Godfather of Harlem"]),
        ("godfahter of", &["Godfather of Harlem"]),
        ("gdfather of", &["Godfather of Harlem"]),
        ("poullain", &["Le fabuleux destin"]),
        ("nothing of this kind", &[]),
        // No wildcards, and nothing that ends a lexeme or a text.
        ("%", &[]),
        ("_____", &[]),
        ("' | 'a':* --", &["Le fabuleux destin", "Amelie"]),
        ("\\", &[]),
        ("a\u{1}\u{7f}\tb", &[]),
    ] {
        assert_eq!(titles(&service, "", json!({ "s": text })).await, expected, "{text:?}");
    }
    for (text, problem) in [("\u{301}", "no visible"), (&*"a".repeat(201), "longer"), (&*"a ".repeat(99), "99 words")] {
        let response =
            service.execute("query($s: String) { movies(search: $s) { nodes { id } } }", json!({ "s": text })).await;
        assert_eq!(response["errors"][0]["extensions"]["field"], "search", "{response:#}");
        assert!(response["errors"][0]["message"].as_str().unwrap().contains(problem), "{response:#}");
    }
}

#[sqlx::test(migrations = false)]
async fn without_the_extension_beginnings_of_words_are_found(pool: PgPool) {
    // A role that may not create the extension, on a database that lacks it.
    let service = filled(pool, GODFATHERS).await;
    let status = service.store.search_index(cinegraph::store::QueryName::TaskStatus).await.unwrap();
    assert_eq!(status.as_str(), "trigrams");
    sqlx::raw_sql("DROP EXTENSION pg_trgm CASCADE").execute(&service.pool).await.unwrap();
    let status = service.store.search_index(cinegraph::store::QueryName::TaskStatus).await.unwrap();
    assert_eq!(status.as_str(), "words");
    assert_eq!(titles(&service, "", json!({ "s": "godfather part" })).await, ["The Godfather Part II"]);
    assert_eq!(titles(&service, "", json!({ "s": "amelie" })).await, ["Amelie", "Le fabuleux destin"]);
    assert!(titles(&service, "", json!({ "s": "dfather" })).await.is_empty());
    // Again, as in a database that never had the extension.
    let migration = include_str!("../../migrations/20261130000000_search.sql");
    sqlx::raw_sql(migration).execute(&service.pool).await.unwrap();
    sqlx::raw_sql(migration).execute(&service.pool).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn pages_are_stable_while_movies_are_added(pool: PgPool) {
    let service = filled(pool, &[]).await;
    for number in 0..30 {
        // Kinds: whole, beginning, word, part; equal popularity among some.
        let title = match number % 4 {
            0 => "Noir".to_owned(),
            1 => format!("Noir {number}"),
            2 => format!("Film Noir {number}"),
            _ => format!("Filmnoir {number}"),
        };
        add(&service, &title, None, f64::from(number / 8) * 1000.0 + 1.0).await;
    }
    Drain::of(&service.store).run().await.unwrap();
    for order in ["RELEVANCE", "TITLE", "NEWEST", "OLDEST"] {
        let (mut found, mut after) = (vec![], Value::Null);
        loop {
            let query = format!(
                "query($a: String) {{ movies(search: \"noir\", orderBy: {order}, first: 4, after: $a) {{
                     nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}"
            );
            let response = service.execute(&query, json!({ "a": after })).await;
            let page = &response["data"]["movies"];
            found.extend(
                page["nodes"].as_array().unwrap_or_else(|| panic!("{response:#}")).iter().map(|n| n["id"].clone()),
            );
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
            // Before all others in every order.
            let id = add(&service, "Noir", None, 1e9).await;
            let day = if order == "NEWEST" { "2030-01-01" } else { "1900-01-01" };
            let change = format!("UPDATE movies SET release_date = '{day}' WHERE id = {id}");
            sqlx::raw_sql(AssertSqlSafe(change)).execute(&service.pool).await.unwrap();
            Drain::of(&service.store).run().await.unwrap();
        }
        let distinct: std::collections::HashSet<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), found.len(), "{order}");
        let first: i64 = sqlx::query_scalar("SELECT count(*) FROM movies WHERE title <> 'Noir' OR id <= 30")
            .fetch_one(&service.pool)
            .await
            .unwrap();
        // The other orders compare words only, and have no parts of words.
        let expected = if order == "RELEVANCE" { first } else { first - 7 };
        assert!(i64::try_from(found.len()).unwrap() >= expected, "{order}: {} of {expected}", found.len());
    }
}

#[sqlx::test(migrations = false)]
async fn movies_are_browsed_by_year_and_genre(pool: PgPool) {
    let service = TestService::on(pool).await;
    for (title, day, genre, votes) in [
        ("Zed", "1999-01-01", "Horror", 5.0),
        ("The Ant", "1999-12-31", "Horror", 500.0),
        ("Bee", "1999-06-01", "Drama", 50.0),
        ("Cat", "2000-01-01", "Horror", 5000.0),
    ] {
        let movie = Movie::new(title).released(day).genre(genre).metric("imdb", "rating_votes", votes);
        movie.insert(&service.pool).await;
    }
    Movie::new("Undated").insert(&service.pool).await;
    Drain::of(&service.store).run().await.unwrap();
    for (arguments, expected) in [
        ("", &["Cat", "The Ant", "Bee", "Zed", "Undated"][..]),
        (", year: 1999", &["The Ant", "Bee", "Zed"]),
        (", year: 1999, genre: \"HORROR\"", &["The Ant", "Zed"]),
        (", genre: \"horror\", orderBy: NEWEST", &["Cat", "The Ant", "Zed"]),
        (", orderBy: OLDEST", &["Zed", "Bee", "The Ant", "Cat"]),
        (", orderBy: TITLE", &["The Ant", "Bee", "Cat", "Undated", "Zed"]),
        (", year: 1999, orderBy: TITLE, first: 1", &["The Ant"]),
    ] {
        assert_eq!(titles(&service, arguments, json!({})).await, expected, "{arguments}");
    }
    assert_eq!(titles(&service, ", year: 1999", json!({ "s": "z" })).await, ["Zed"]);
    for (arguments, field, message) in [
        ("genre: \"Horrer\"", "genre", "did you mean \"Horror\"?"),
        ("year: 0", "year", "expected 1 to 9999"),
        ("titleContains: \"a\", year: 1999", "titleContains", "use `search`"),
    ] {
        let response = service.execute(&format!("{{ movies({arguments}) {{ nodes {{ id }} }} }}"), json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["field"], field, "{response:#}");
        assert!(response["errors"][0]["message"].as_str().unwrap().contains(message), "{response:#}");
    }
}

#[sqlx::test(migrations = false)]
async fn movies_are_found_by_many_ids_in_their_order(pool: PgPool) {
    let service = TestService::on(pool).await;
    let one = Movie::new("One").imdb("tt0000001").insert(&service.pool).await;
    Movie::new("Two").imdb("tt0000002").insert(&service.pool).await;
    let tmdb: i32 = sqlx::query_scalar("SELECT tmdb_id FROM movies WHERE id = $1")
        .bind(one)
        .fetch_one(&service.pool)
        .await
        .unwrap();
    let data = service
        .data(&format!(
            "{{ moviesByIds(tmdbIds: [-5, {tmdb}], imdbIds: [\"tt0000002\", \"none\", \"a\\u0000\", \"tt0000001\"]) {{ title }} }}"
        ))
        .await;
    assert_eq!(
        data["moviesByIds"],
        json!([null, { "title": "One" }, { "title": "Two" }, null, null, { "title": "One" }])
    );
    let many = (0..101).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(service.refusal(&format!("{{ moviesByIds(tmdbIds: [{many}]) {{ id }} }}")).await.0, "BAD_USER_INPUT");
}

#[sqlx::test(migrations = false)]
async fn titles_of_an_earlier_version_are_found_after_the_drain(pool: PgPool) {
    let service = filled(pool, &[("The Third Man", None, 5.0)]).await;
    // As a previous version stores a title, which knows nothing of words.
    sqlx::query("UPDATE cinegraph.folded_titles SET keyed = NULL, bare = NULL, words = NULL")
        .execute(&service.pool)
        .await
        .unwrap();
    assert!(titles(&service, "", json!({ "s": "third" })).await.is_empty());
    assert!(Drain::of(&service.store).is_due().await.unwrap());
    Drain::of(&service.store).run().await.unwrap();
    assert!(!Drain::of(&service.store).is_due().await.unwrap());
    service.later(chrono::TimeDelta::days(1));
    assert_eq!(titles(&service, "", json!({ "s": "third" })).await, ["The Third Man"]);
}
