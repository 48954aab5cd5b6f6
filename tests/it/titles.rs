//! Title search: folded titles, and searches while titles wait to be folded.

use std::collections::BTreeSet;

use cinegraph::scoring::{MovieId, fold_title};
use cinegraph::services::drain::Drain;
use cinegraph::services::refresh;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::{Movie, TestService, until};

/// Titles, and a text that finds each and no other.
const TITLES: [(&str, &str); 9] = [
    ("Café Étoile", "étoile"),
    ("Ame\u{301}lie du Port", "AMÉLIE"),
    ("Die weiße Straße", "WEISSE strasse"),
    ("ΟΔΟΣ ονείρων", "οδός ΟΝΕΙΡΩΝ"),
    ("Мои\u{306} друг", "мой ДРУГ"),
    ("Kış Uykusu IŞIK", "kis uykusu ışık"),
    ("Mùi đu đủ xanh", "mui du DU"),
    ("ｶﾞﾒﾗ", "ガメラ"),
    ("L’Été “100%”_", "l'ete \"100%\"_"),
];

async fn found(service: &TestService, text: &str) -> [Vec<Value>; 2] {
    let query = "query($t: String!) { movies(titleContains: $t) { nodes { title } }
                 predictions(decade: 1990, filter: {titleContains: $t}) { nodes { movie { title } } } }";
    let response = service.execute(query, json!({ "t": text })).await;
    let titles = |path: &str, title: &str| {
        let nodes = response["data"][path]["nodes"].as_array().unwrap_or_else(|| panic!("{response:#}"));
        nodes.iter().map(|node| node.pointer(title).unwrap().clone()).collect()
    };
    [titles("movies", "/title"), titles("predictions", "/movie/title")]
}

#[sqlx::test(migrations = false)]
async fn titles_are_found_in_every_form_and_locale(pool: PgPool) {
    // In this locale, neither lower() nor ILIKE knows letters beyond ASCII.
    let name = pool.connect_options().get_database().unwrap().replace("_sqlx_test_", "titles_");
    let create = format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'");
    sqlx::query(AssertSqlSafe(create)).execute(&pool).await.unwrap();
    let in_c = PgPool::connect_with((*pool.connect_options()).clone().database(&name)).await.unwrap();
    let service = TestService::on(in_c).await;
    for (title, _) in TITLES {
        Movie::new(title).released("1994-01-01").insert(&service.pool).await;
    }
    for drained in [false, true] {
        if drained {
            Drain::of(&service.store).run().await.unwrap();
            service.see_changes().await;
        }
        service.later(chrono::TimeDelta::days(1));
        for (title, text) in TITLES {
            for text in [text.to_owned(), text.to_uppercase(), title.to_lowercase(), title.to_owned()] {
                assert_eq!(found(&service, &text).await, [[title], [title]], "{text:?}, drained: {drained}");
            }
        }
    }
    assert_eq!(service.refusal("{ movies(titleContains: \"\\u0301\") { nodes { id } } }").await.0, "BAD_USER_INPUT");
    service.pool.close().await;
    let drop = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
    sqlx::query(AssertSqlSafe(drop)).execute(&pool).await.unwrap();
}

/// Changes of titles; `:n` is a row number, `:t` a title.
const CHANGES: [&str; 8] = [
    "INSERT INTO movies (tmdb_id, title, import_status, inserted_at, updated_at)
     SELECT coalesce(max(tmdb_id), 0) + 1, :t, CASE WHEN :n > 2 THEN 'full' ELSE 'soft' END, now(), now() FROM movies",
    "INSERT INTO movies (tmdb_id, title, inserted_at, updated_at)
     SELECT coalesce(max(tmdb_id), 0) + n, :t || n, now(), now() FROM movies, generate_series(1, 4) AS n GROUP BY n",
    "UPDATE movies SET title = :t WHERE id = (SELECT id FROM movies ORDER BY id OFFSET :n LIMIT 1)",
    "UPDATE movies SET title = title || :t WHERE length(title) < 50",
    "UPDATE movies SET id = id + 1000 WHERE id = (SELECT id FROM movies ORDER BY id OFFSET :n LIMIT 1)",
    "DELETE FROM movies WHERE id = (SELECT id FROM movies ORDER BY id OFFSET :n LIMIT 1)",
    "TRUNCATE movies CASCADE",
    // As after a migration.
    "INSERT INTO cinegraph.title_queue (movie_id) SELECT NULL WHERE :n > 5",
];

#[sqlx::test(migrations = false)]
async fn no_movie_is_missing_from_a_search_at_any_time(pool: PgPool) {
    let service = TestService::on(pool).await;
    let act = (select(CHANGES.to_vec()), 0..12_u8, select(vec!["Éa", "E\u{301}A%", "ßx", "_e\\", "Ω"]), 0..8_u8);
    let acts = prop::collection::vec(act, 40);
    let mut runner = TestRunner::deterministic();
    let (mut searches, mut hits) = (0, 0);
    for _ in 0..4 {
        for (change, n, title, then) in acts.new_tree(&mut runner).unwrap().current() {
            let change = change.replace(":n", &n.to_string()).replace(":t", &format!("'{title}'"));
            // Seldom, because everything after it starts from an empty table.
            if !change.contains("TRUNCATE") || n == 0 {
                sqlx::raw_sql(AssertSqlSafe(change)).execute(&service.pool).await.unwrap();
            }
            match then {
                0..3 => _ = service.store.fold_queued_titles(2).await.unwrap(),
                3 => Drain::of(&service.store).run().await.unwrap(),
                4 => _ = refresh::scores(&service.store, &mut |_| ()).await.unwrap(),
                _ => {}
            }
            let movies: Vec<(i64, String)> =
                sqlx::query_as("SELECT id, title FROM movies").fetch_all(&service.pool).await.unwrap();
            for text in ["e", "ss", "a%", "_", "\\", "ω1"] {
                let expected: BTreeSet<_> = movies
                    .iter()
                    .map(|(id, title)| (fold_title(title), MovieId(*id)))
                    .filter(|(t, _)| t.contains(text))
                    .collect();
                let expected: Vec<_> = expected.into_iter().collect();
                let mut all: Vec<(String, MovieId)> = vec![];
                loop {
                    let page = service.store.movies_by_title(text, all.last(), 7).await.unwrap();
                    if page.is_empty() {
                        break;
                    }
                    all.extend(page);
                }
                assert_eq!(all, expected, "{text}");
                (searches, hits) = (searches + 1, hits + all.len());
            }
        }
    }
    assert!(searches > 500 && hits > searches, "{hits} hits of {searches} searches");
    Drain::of(&service.store).run().await.unwrap();
    let (kept, left): (i64, i64) = sqlx::query_as(
        "SELECT count(*), (SELECT count(*) FROM movies) FROM cinegraph.folded_titles JOIN movies ON id = movie_id
         WHERE movies.title = folded_titles.title",
    )
    .fetch_one(&service.pool)
    .await
    .unwrap();
    assert_eq!(kept, left, "in the end all are stored");
}

#[sqlx::test(migrations = false)]
async fn filters_follow_changes_by_hand(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.follow_versions();
    let movie = |title: &str| Movie::new(title).released("1994-01-01").language("fr").genre("Drama").country("FR");
    movie("One").insert(&service.pool).await;
    movie("Soft").soft().insert(&service.pool).await;
    Movie::new("Undated").language("fr").genre("Noir").insert(&service.pool).await;
    Movie::new("Other").released("1995-01-01").genre("Noir").country("DE").insert(&service.pool).await;
    Drain::of(&service.store).run().await.unwrap();
    service.see_changes().await;
    let link = |table: &str, names: &str, name: &str, value: &str| {
        format!(
            "INSERT INTO {table} SELECT m.id, n.id FROM movies AS m, {names} AS n WHERE m.title = 'One' AND n.{name} = '{value}'"
        )
    };
    let of_one = "movie_id = (SELECT id FROM movies WHERE title = 'One')";
    for (change, filter, expected) in [
        ("UPDATE movies SET original_language = 'it' WHERE title = 'One'".to_owned(), "originalLanguage: \"it\"", "One"),
        (link("movie_genres", "genres", "name", "Noir"), "genres: [\"noir\"]", "One Other"),
        (
            format!(
                "INSERT INTO genres (tmdb_id, name, inserted_at, updated_at) VALUES (999, 'Épopée', now(), now());
                 UPDATE movie_genres SET genre_id = (SELECT max(id) FROM genres)
                 WHERE {of_one} AND genre_id = (SELECT id FROM genres WHERE name = 'Noir')"
            ),
            "genres: [\"ÉPOPE\u{301}E\"]",
            "One",
        ),
        ("UPDATE genres SET name = 'Saga' WHERE tmdb_id = 999".to_owned(), "genres: [\"saga\"]", "One"),
        (format!("DELETE FROM movie_genres WHERE {of_one}"), "genres: [\"Saga\", \"Drama\"]", ""),
        (link("movie_production_countries", "production_countries", "iso_3166_1", "DE"), "countries: [\"DE\"]", "One Other"),
        ("UPDATE production_countries SET iso_3166_1 = 'AT' WHERE iso_3166_1 = 'DE'".to_owned(), "countries: [\"at\"]", "One Other"),
        (
            format!(
                "INSERT INTO production_countries (iso_3166_1, name, inserted_at, updated_at) VALUES ('IT', 'Italy', now(), now());
                 UPDATE movie_production_countries SET production_country_id = (SELECT max(id) FROM production_countries)
                 WHERE {of_one} AND production_country_id = (SELECT id FROM production_countries WHERE iso_3166_1 = 'AT')"
            ),
            "countries: [\"IT\"]",
            "One",
        ),
        (format!("DELETE FROM movie_production_countries WHERE {of_one}"), "countries: [\"IT\", \"FR\"]", ""),
        ("DELETE FROM genres WHERE name = 'Noir'".to_owned(), "genres: [\"Noir\"]", ""),
        ("UPDATE movies SET title = 'Éins' WHERE title = 'One'".to_owned(), "titleContains: \"EINS\"", "Éins"),
    ] {
        let query = format!("{{ predictions(decade: 1990, filter: {{{filter}}}) {{ nodes {{ movie {{ title }} }} }} }}");
        // Cached before the change, so that the change must invalidate it.
        let before = service.execute(&query, json!({})).await;
        sqlx::raw_sql(AssertSqlSafe(change.clone())).execute(&service.pool).await.unwrap();
        Drain::of(&service.store).run().await.unwrap();
        let mut last = before;
        until(&format!("{expected:?} after {change}; last: {last}"), async || {
            // The window in which soft changes count as fresh.
            service.later(chrono::TimeDelta::seconds(6));
            last = service.execute(&query, json!({})).await;
            // Names that do not exist yet, or no longer, are errors.
            let nodes = last["data"]["predictions"]["nodes"].as_array().into_iter().flatten();
            let mut titles: Vec<_> = nodes.map(|node| node["movie"]["title"].as_str().unwrap()).collect();
            titles.sort_unstable();
            titles.join(" ") == expected
        })
        .await;
    }
    // Movies that no ranking has, and what is shown of them.
    for (change, title, expected) in [
        ("UPDATE movies SET title = 'Weich' WHERE title = 'Soft'", "weich", json!(["fr", ["Drama"]])),
        ("UPDATE movies SET original_language = 'de' WHERE title = 'Weich'", "weich", json!(["de", ["Drama"]])),
        ("UPDATE genres SET name = 'Schauspiel' WHERE name = 'Drama'", "weich", json!(["de", ["Schauspiel"]])),
        ("UPDATE movies SET original_language = 'de' WHERE title = 'Undated'", "undated", json!(["de", []])),
    ] {
        let query =
            format!("{{ movies(titleContains: \"{title}\") {{ nodes {{ originalLanguage genres {{ name }} }} }} }}");
        service.data(&query).await;
        sqlx::query(change).execute(&service.pool).await.unwrap();
        Drain::of(&service.store).run().await.unwrap();
        until(&format!("{expected} after {change}"), async || {
            service.later(chrono::TimeDelta::seconds(6));
            let node = service.data(&query).await["movies"]["nodes"].get(0).cloned().unwrap_or_default();
            let names: Vec<_> =
                node["genres"].as_array().into_iter().flatten().map(|genre| genre["name"].clone()).collect();
            json!([node["originalLanguage"], names]) == expected
        })
        .await;
    }
}
