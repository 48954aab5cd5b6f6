//! Completing the movies of IMDb's dumps: TMDb ids from MovieLens' links.csv, and TMDb's daily export.

use std::fs;

use cinegraph::clock::Clock;
use cinegraph::services::import::{
    Change, FileSummary, Generated, ImportError, ImportSummary, LinksSummary, SkipReason, import_imdb, import_links,
    import_tmdb_ids,
};
use serde_json::json;
use sqlx::PgPool;

use crate::import_imdb::{DUMPS, gzip};
use crate::support::{TestService, store_of};

/// Imports IMDb's dumps: the movies tt0000001 of 1994, tt0000003 of 2001 and tt10000001 of 1999.
async fn import_dumps(pool: &PgPool) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in DUMPS {
        fs::write(dir.path().join(name), text).unwrap();
    }
    import_imdb(&store_of(pool), dir.path(), 100, Generated::Refuse, &Clock::system(), &mut |_| ()).await.unwrap();
}

async fn link(pool: &PgPool, rows: &str) -> Result<LinksSummary, ImportError> {
    let file = tempfile::NamedTempFile::with_suffix("links.csv").unwrap();
    fs::write(file.path(), format!("movieId,imdbId,tmdbId\n{rows}")).unwrap();
    import_links(&store_of(pool), file.path(), &Clock::system(), &mut |_| ()).await
}

async fn export(pool: &PgPool, name: &str, content: impl AsRef<[u8]>) -> Result<ImportSummary, ImportError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    import_tmdb_ids(&store_of(pool), &path, &Clock::system(), &mut |_| ()).await
}

/// A line of TMDb's export.
fn entry(id: i32, popularity: f64, adult: bool) -> String {
    let title = "Blondie, \"B\"";
    json!({ "adult": adult, "id": id, "original_title": title, "popularity": popularity, "video": false }).to_string()
        + "\n"
}

async fn ids(pool: &PgPool) -> Vec<String> {
    let statement = "SELECT concat_ws(' ', imdb_id, tmdb_id) FROM movies ORDER BY imdb_id";
    sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
}

/// Popularity of the movies, with its date, and the adult flag.
async fn popularity(pool: &PgPool) -> Vec<String> {
    let statement = "SELECT concat_ws(' ', m.tmdb_id, e.value, e.fetched_at::date, m.adult)
                     FROM movies AS m JOIN external_metrics AS e ON e.movie_id = m.id
                     WHERE e.source = 'tmdb' AND e.metric_type = 'popularity_score' ORDER BY m.tmdb_id";
    sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
}

fn counts(file: &FileSummary) -> (u64, u64, u64, u64, &[(SkipReason, u64)]) {
    (file.rows, file.inserted, file.updated, file.unchanged, &file.skipped)
}

#[sqlx::test]
async fn movies_with_only_an_imdb_id_get_their_tmdb_id(pool: PgPool) {
    import_dumps(&pool).await;
    let rows = "1,0000001,71\n2,0000002,72\n3,10000001,\n4,tt10000001,74.0\n4,10000001,74";

    let first = link(&pool, rows).await.unwrap();

    let skipped = [(SkipReason::NoTmdbId, 1), (SkipReason::Repeated, 1), (SkipReason::NotInDatabase, 1)];
    assert_eq!(counts(&first.import.files[0]), (5, 0, 2, 0, &skipped[..]));
    assert!(first.conflicts.is_empty() && !first.to_string().contains("nominees"));
    assert!(first.to_string().contains("links.csv: the last row has no line break (line 6)"), "{first}");
    assert_eq!(ids(&pool).await, ["tt0000001 71", "tt0000003 -3", "tt10000001 74"]);

    let second = link(&pool, rows).await.unwrap();
    assert!(second.import.is_unchanged());
    assert_eq!(second.import.files[0].unchanged, 2);
    // The dumps find the movies under their new ids.
    import_dumps(&pool).await;
    assert_eq!(ids(&pool).await, ["tt0000001 71", "tt0000003 -3", "tt10000001 74"]);
}

#[sqlx::test]
async fn contradicting_links_change_nothing_and_are_reported(pool: PgPool) {
    import_dumps(&pool).await;
    link(&pool, "1,0000001,71\n").await.unwrap();

    let rows = "1,0000001,72\n2,0000003,71\n3,0000003,73\n4,10000001,74\n5,0000009,74\n";
    let summary = link(&pool, rows).await.unwrap();

    assert_eq!(ids(&pool).await, ["tt0000001 71", "tt0000003 -3", "tt10000001 -10000001"]);
    let skipped = [(SkipReason::NotInDatabase, 1), (SkipReason::Conflict, 4)];
    assert_eq!(counts(&summary.import.files[0]), (5, 0, 0, 0, &skipped[..]));
    let reported: Vec<_> =
        summary.to_string().lines().skip_while(|line| !line.starts_with("nothing")).map(str::to_owned).collect();
    assert_eq!(
        reported,
        [
            "nothing was changed for:",
            "  line 2: tt0000001 has the TMDb id 71, not 72",
            "  line 3: other rows give tt0000003 other TMDb ids than 71",
            "  line 4: other rows give tt0000003 other TMDb ids than 73",
            "  line 5: other rows give the TMDb id 74 of tt10000001 to other movies",
        ]
    );
    let taken = link(&pool, "1,0000003,71\n").await.unwrap();
    assert_eq!(taken.conflicts[0].reason, "the TMDb id 71 of tt0000003 belongs to another movie");
}

#[sqlx::test]
async fn a_damaged_link_changes_nothing(pool: PgPool) {
    import_dumps(&pool).await;
    for (row, says) in [
        ("2,nm0000003,73", "line 3, column imdbId: \"nm0000003\" is not an id like"),
        ("2,0000000,73", "line 3, column imdbId: \"0000000\" is not an id like"),
        ("2,,73", "line 3, column imdbId: the value is missing"),
        ("2,0000003,-3", "line 3, column tmdbId: -3 is out of range"),
        ("2,0000003,862x", "line 3, column tmdbId: \"862x\" is not a whole number"),
        ("2,0000003", "line 3: values in this row: 2, columns in the header: 3"),
    ] {
        let error = link(&pool, &format!("1,0000001,71\n{row}\n")).await.expect_err(row).to_string();
        assert!(error.to_lowercase().contains(&says.to_lowercase()) && error.contains("links.csv, "), "{row}: {error}");
    }
    assert_eq!(ids(&pool).await, ["tt0000001 -1", "tt0000003 -3", "tt10000001 -10000001"]);
}

#[sqlx::test(migrations = false)]
async fn a_running_service_shows_the_new_ids_at_once(pool: PgPool) {
    let service = TestService::on(pool.clone()).await;
    import_dumps(&pool).await;
    service.refresh().await;
    let query = r#"{ predictions(decade: 1990, first: 1) { nodes { movie { tmdbId } } }
                     byImdb: movie(by: { imdbId: "tt0000001" }) { tmdbId } byTmdb: movie(by: { tmdbId: 71 }) { title } }"#;
    let before = service.data(query).await;
    assert_eq!((&before["byImdb"]["tmdbId"], &before["byTmdb"]), (&json!(null), &json!(null)));

    link(&pool, "1,0000001,71\n4,10000001,74\n").await.unwrap();
    service.see_changes().await;

    let after = service.data(query).await;
    assert_eq!(after["byImdb"]["tmdbId"], 71);
    assert!(after["byTmdb"]["title"].is_string());
    assert!(after["predictions"]["nodes"][0]["movie"]["tmdbId"].is_number(), "{after}");
}

#[sqlx::test]
async fn the_daily_export_gives_popularity_and_the_adult_flag(pool: PgPool) {
    import_dumps(&pool).await;
    link(&pool, "1,0000001,71\n4,10000001,74\n").await.unwrap();
    let lines = [entry(2, 1.5, false), entry(71, 12.75, true), entry(74, 0.0, false), entry(77, 9.0, false)].concat();

    let first = export(&pool, "movie_ids_05_15_2024.json.gz", gzip(lines.as_bytes())).await.unwrap();

    assert_eq!(counts(&first.files[0]), (4, 2, 0, 0, &[(SkipReason::NotInDatabase, 2)][..]));
    assert_eq!(popularity(&pool).await, ["71 12.75 2024-05-15 t", "74 0 2024-05-15 f"]);

    // Not compressed, and without a line break at its end.
    let second = export(&pool, "movie_ids_05_16_2024.json", lines.trim_end()).await.unwrap();
    assert!(second.is_unchanged(), "{second}");

    let changed = [entry(71, 12.75, false), entry(74, 3.5, false)].concat();
    let third = export(&pool, "ids.json", changed).await.unwrap();
    assert_eq!(counts(&third.files[0]), (2, 0, 2, 0, &[][..]));
    assert_eq!(popularity(&pool).await[0], "71 12.75 2024-05-15 f");
    assert!(popularity(&pool).await[1].starts_with("74 3.5 20"));
}

#[sqlx::test]
async fn a_damaged_export_is_refused_with_the_line(pool: PgPool) {
    import_dumps(&pool).await;
    link(&pool, "1,0000001,71\n").await.unwrap();
    let whole = gzip(entry(71, 1.0, true).as_bytes());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xFF;
    let after = |line: &str| (entry(71, 1.0, true) + line).into_bytes();
    for (content, says) in [
        (after(&entry(71, 1.0, true)), "line 2: movie 71 is on line 1 already"),
        (after(&entry(0, 1.0, true)), "line 2: this is no movie of TMDb's daily export"),
        (after(&entry(72, -1.0, true)), "the popularity is negative"),
        (after("\n\n{\"adult\":false,\"id\":7"), "line 4: "),
        (after("{\"adult\":false,\"id\":7"), "the line is cut off"),
        (after("{\"adult\":false,\"id\":7,\"popularity\":1.5,\"original_name\":\"A Series\"}\n"), "original_title"),
        (after("{\"adult\":false,\"id\":7,\"popularity\":1e999,\"original_title\":\"\"}\n"), "line 2: "),
        (after("{\"adult\":false,\"id\":\"7\",\"popularity\":1,\"original_title\":\"\"}\n"), "line 2: "),
        (after(&"x".repeat(100_000)), "longer than 64 KiB"),
        (b"movieId,imdbId,tmdbId\n1,0000001,71\n".to_vec(), "line 1: this is no movie"),
        (b"<html>".to_vec(), "line 1: this is no movie"),
        (Vec::new(), "line 1: the file is empty"),
        (gzip(b"\n"), "the file is empty"),
        (whole[..whole.len() - 4].to_vec(), "the file is cut off"),
        (flipped, "movie_ids.json, line "),
    ] {
        let error = export(&pool, "movie_ids.json", content).await.expect_err(says).to_string();
        assert!(error.starts_with("movie_ids.json, line ") && error.contains(says), "{error:?}, expected {says:?}");
    }
    assert!(popularity(&pool).await.is_empty());
}

#[sqlx::test]
async fn without_movies_of_an_import_there_is_nothing_to_complete(pool: PgPool) {
    assert!(matches!(link(&pool, "1,0000001,71\n").await, Err(ImportError::NothingToComplete)));
    import_dumps(&pool).await;
    sqlx::query("UPDATE cinegraph.installation SET catalogue_origin = 'generated'").execute(&pool).await.unwrap();
    assert!(matches!(export(&pool, "a", entry(1, 1.0, false)).await, Err(ImportError::OnlyGenerated)));
    let foreign = "UPDATE cinegraph.installation SET owns_catalogue = false, catalogue_origin = NULL";
    sqlx::query(foreign).execute(&pool).await.unwrap();
    assert!(matches!(link(&pool, "1,0000001,71\n").await, Err(ImportError::ForeignCatalogue)));
}

#[sqlx::test]
async fn an_export_older_than_the_stored_values_is_reported(pool: PgPool) {
    import_dumps(&pool).await;
    link(&pool, "1,0000001,71\n").await.unwrap();
    export(&pool, "movie_ids_05_15_2024.json", entry(71, 8.0, false)).await.unwrap();
    let same = export(&pool, "movie_ids_05_15_2019.json", entry(71, 8.0, false)).await.unwrap();
    assert_eq!(same.files[0].changes.of(Change::Older), 0);
    let older = export(&pool, "movie_ids_05_15_2019.json", entry(71, 2.0, false)).await.unwrap();
    assert_eq!(older.files[0].changes.of(Change::Older), 1);
    assert!(older.to_string().contains("movie 71 of 2019-05-15 00:00:00 over 2024-05-15 00:00:00"), "{older}");
    let future = export(&pool, "movie_ids_05_15_2999.json", entry(71, 3.0, false)).await.unwrap();
    assert_eq!(future.files[0].changes.of(Change::Future), 1);
}
