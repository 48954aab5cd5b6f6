//! People: searches by name, look-ups, and their movies.

use cinegraph::services::drain::Drain;
use cinegraph::services::refresh;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Movie, TestService, credit, person};

async fn movie(service: &TestService, title: &str, day: Option<&str>, votes: f64) -> i64 {
    let movie = Movie::new(title).metric("imdb", "rating_votes", votes);
    let movie = if let Some(day) = day { movie.released(day) } else { movie };
    movie.insert(&service.pool).await
}

async fn names(service: &TestService, text: &str) -> Vec<String> {
    let query = "query($s: String!) { people(search: $s) { nodes { name } } }";
    let response = service.execute(query, json!({ "s": text })).await;
    let nodes = response["data"]["people"]["nodes"].as_array().unwrap_or_else(|| panic!("{response:#}"));
    nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
}

/// A service with people who have movies of these numbers of votes.
async fn cast(pool: PgPool, people: &[(&str, &[f64])]) -> TestService {
    let service = TestService::on(pool).await;
    for (name, votes) in people {
        let id = person(&service.pool, name).await;
        for votes in *votes {
            let movie = movie(&service, "Film", Some("1999-01-01"), *votes).await;
            // Twice, which counts once.
            credit(&service.pool, movie, id, None).await;
            credit(&service.pool, movie, id, Some("Director")).await;
        }
    }
    Drain::of(&service.store).run().await.unwrap();
    service
}

#[sqlx::test(migrations = false)]
async fn better_matches_come_first_and_among_equals_those_with_more_votes(pool: PgPool) {
    let service = cast(
        pool,
        &[
            ("Heath Ledger", &[900.0, 900.0]),
            ("Peter Ledger", &[1000.0]),
            ("Ledger", &[]),
            ("Ledgerwood Smith", &[9e6]),
            ("黒澤 明", &[5.0]),
            ("Pénélope Cruz", &[5.0]),
            ("R. Lee Ermey", &[5.0]),
            ("Ermey", &[5.0]),
        ],
    )
    .await;
    for (text, expected) in [
        ("ledger", &["Ledger", "Ledgerwood Smith", "Heath Ledger", "Peter Ledger"][..]),
        ("LEDGER heath", &["Heath Ledger"]),
        ("penelope c", &["Pénélope Cruz"]),
        ("黒澤", &["黒澤 明"]),
        ("r lee", &["R. Lee Ermey"]),
        // A part of a word, and one edit.
        ("elope", &["Pénélope Cruz"]),
        ("penelpoe", &["Pénélope Cruz"]),
        ("nobody of this name", &[]),
        ("%", &[]),
    ] {
        assert_eq!(names(&service, text).await, expected, "{text}");
    }
    for (arguments, field) in [("search: \"\\u0301\"", "search"), ("search: \"a\", first: 0", "first")] {
        let response = service.execute(&format!("{{ people({arguments}) {{ nodes {{ id }} }} }}"), json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["field"], field, "{response:#}");
    }
}

#[sqlx::test(migrations = false)]
async fn added_people_are_found_after_the_drain_and_changed_ones_after_a_check_of_all_scores(pool: PgPool) {
    let service = cast(pool, &[("Ana Old", &[5.0]), ("Ana Gone", &[5.0])]).await;
    assert!(!Drain::of(&service.store).is_due().await.unwrap());
    person(&service.pool, "Ana New").await;
    assert!(Drain::of(&service.store).is_due().await.unwrap());
    Drain::of(&service.store).run().await.unwrap();
    assert_eq!(names(&service, "ana").await, ["Ana Old", "Ana Gone", "Ana New"]);

    for change in [
        "UPDATE people SET name = 'Ann Renamed' WHERE name = 'Ana Old'",
        "DELETE FROM people WHERE name = 'Ana Gone'",
        // A smaller id than the others, as of a transaction that committed late.
        "INSERT INTO people (id, tmdb_id, name, inserted_at, updated_at) VALUES (-5, 999, 'Ana Late', now(), now())",
    ] {
        sqlx::query(change).execute(&service.pool).await.unwrap();
    }
    service.later(chrono::TimeDelta::days(1));
    refresh::scores(&service.store, &mut |_| ()).await.unwrap();
    assert_eq!(names(&service, "ana").await, ["Ana Late", "Ana New"]);
    assert_eq!(names(&service, "renamed").await, ["Ann Renamed"]);
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM cinegraph.folded_names WHERE name = 'Ana Gone'")
        .fetch_one(&service.pool)
        .await
        .unwrap();
    assert_eq!(stored, 0);
}

#[sqlx::test(migrations = false)]
async fn trigrams_are_used_once_the_extension_is_there(pool: PgPool) {
    let service = cast(pool, &[("Pénélope Cruz", &[5.0])]).await;
    sqlx::raw_sql("DROP EXTENSION pg_trgm CASCADE").execute(&service.pool).await.unwrap();
    assert_eq!(names(&service, "pene").await, ["Pénélope Cruz"]);
    assert!(names(&service, "elope").await.is_empty());

    sqlx::raw_sql("CREATE EXTENSION pg_trgm").execute(&service.pool).await.unwrap();
    service.store.migrate().await.unwrap();
    service.later(chrono::TimeDelta::days(1));
    assert_eq!(names(&service, "elope").await, ["Pénélope Cruz"]);
}

#[sqlx::test(migrations = false)]
async fn a_person_is_found_by_each_id(pool: PgPool) {
    let service = cast(pool, &[("Someone", &[5.0])]).await;
    sqlx::query("UPDATE people SET tmdb_id = 77, imdb_id = 'nm0000077'").execute(&service.pool).await.unwrap();
    let data = service.data("{ person(by: { tmdbId: 77 }) { id } }").await;
    let id = data["person"]["id"].as_str().unwrap().to_owned();
    for by in [format!("id: \"{id}\""), "imdbId: \"nm0000077\"".to_owned()] {
        let data = service.data(&format!("{{ person(by: {{ {by} }}) {{ id name }} }}")).await;
        assert_eq!(data["person"], json!({ "id": id, "name": "Someone" }), "{by}");
    }
    for by in ["tmdbId: 78", "imdbId: \"nm1\"", "imdbId: \"\\u0000\""] {
        assert_eq!(
            service.data(&format!("{{ person(by: {{ {by} }}) {{ id }} }}")).await["person"],
            Value::Null,
            "{by}"
        );
    }
    for by in ["tmdbId: -1", "id: \"TW92aWU6MQ\"", "id: \"\""] {
        let refusal = service.refusal(&format!("{{ person(by: {{ {by} }}) {{ id }} }}")).await;
        assert_eq!(refusal.0, "BAD_USER_INPUT", "{by}");
    }
}

#[sqlx::test(migrations = false)]
async fn movies_of_people_are_loaded_at_once_and_have_their_roles(pool: PgPool) {
    let service = TestService::on(pool).await;
    let (one, other) = (person(&service.pool, "Ann One").await, person(&service.pool, "Ann Other").await);
    for (title, day) in
        [("Old", Some("1950-01-01")), ("New", Some("2020-05-05")), ("Undated", None), ("Mid", Some("1990-01-01"))]
    {
        let movie = movie(&service, title, day, 5.0).await;
        credit(&service.pool, movie, one, Some("Director")).await;
        credit(&service.pool, movie, one, None).await;
        if title == "Mid" {
            credit(&service.pool, movie, other, Some("Editor")).await;
        }
    }
    Drain::of(&service.store).run().await.unwrap();
    let before = service.statements();
    let data =
        service.data("{ people(search: \"ann\") { nodes { movies { edges { roles node { title } } } } } }").await;
    let statements = service.statements() - before;
    let edge = |title: &str, roles: &[&str]| json!({ "roles": roles, "node": { "title": title } });
    let both = &["Director", "Cast"];
    assert_eq!(
        data["people"]["nodes"],
        json!([
            { "movies": { "edges": [edge("New", both), edge("Mid", both), edge("Old", both), edge("Undated", both)] } },
            { "movies": { "edges": [edge("Mid", &["Editor"])] } },
        ])
    );
    // The search (2 and the check for the index), the people, their movies, the movies, their credits.
    assert!(statements <= 7, "{statements} statements");
}
