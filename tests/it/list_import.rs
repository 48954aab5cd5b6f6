//! Importing lists: which movie each row means, what is written, and what damaged files do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use cinegraph::clock::Clock;
use cinegraph::services::drain::Drain;
use cinegraph::services::list_import::{
    ImportedList, ListImportError, ListRequest, MatchKind, Resolutions, RowMatch, Unmatched, import_list, write_report,
};
use cinegraph::store::{ListMoveKind, Store};
use cinegraph::versions::Versions;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::TestService;

/// The movies of the sample exports: TMDb id (negative: none), title, year. The IMDb id of 7001 is tt9100001.
const MOVIES: [(i32, &str, i32); 12] = [
    (7001, "Lantern Weir", 1990),
    (7002, "Copper Meridian", 1991),
    (7003, "The Salt Orchard", 1992),
    (7004, "Été à Quill", 1993),
    (7005, "North of Quill", 1994),
    (7006, "North of Quill", 1994),
    (7007, "…", 2003),
    (7008, "Sable Crossing", 2010),
    (-7009, "Thirteen Kites", 2011),
    (7010, "The \"Glass\" Ferry", 2012),
    (7011, "Ember Road, Part 2", 2013),
    (-7012, "Winter Ledger", 2014),
];

/// A database with these movies, and triggers that queue their titles.
async fn catalogue(pool: &PgPool) -> Store {
    let service = TestService::on(pool.clone()).await;
    for (id, title, year) in MOVIES {
        sqlx::query(
            "INSERT INTO movies (tmdb_id, imdb_id, title, release_date, import_status, inserted_at, updated_at)
             VALUES ($1, 'tt910' || lpad((abs($1) - 7000)::text, 4, '0'), $2, make_date($3, 5, 1), 'full', now(), now())",
        )
        .bind(id)
        .bind(title)
        .bind(year)
        .execute(pool)
        .await
        .unwrap();
    }
    service.store
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/list-formats/samples").join(name)).unwrap()
}

fn request() -> ListRequest<'static> {
    ListRequest { key: "my-list", ..ListRequest::default() }
}

async fn import(store: &Store, bytes: &[u8], request: ListRequest<'_>) -> Result<ImportedList, ListImportError> {
    import_list(store, &Clock::system(), &Versions::default(), bytes, request).await
}

/// The movies of the list: title and entry.
async fn members(pool: &PgPool) -> Vec<(String, Value)> {
    let statement = "SELECT title, canonical_sources -> 'my-list' FROM movies
                     WHERE canonical_sources ? 'my-list' ORDER BY (canonical_sources -> 'my-list' ->> 'list_position')::int, id";
    sqlx::query_as(statement).fetch_all(pool).await.unwrap()
}

/// The rows of the tables that an import writes, with the transactions that wrote them.
async fn contents(pool: &PgPool) -> Vec<String> {
    let statement =
        "SELECT xmin::text || m::text FROM movies AS m UNION ALL SELECT xmin::text || l::text FROM movie_lists AS l
                     ORDER BY 1";
    sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
}

fn titles(moves: &ImportedList, kind: ListMoveKind) -> Vec<&str> {
    moves.moved(kind).map(|movie| movie.title.as_str()).collect()
}

#[sqlx::test(migrations = false)]
async fn exports_are_matched_row_by_row(pool: PgPool) {
    let store = catalogue(&pool).await;
    // Of each export: rows matched by TMDb id, IMDb id, title, other spelling, near year; then rows that are ambiguous,
    // without a year, absent, unreadable; and repeated ones.
    let expected = [
        ("letterboxd-list-2021.csv", [0, 0, 3, 0, 1], [0, 0, 1, 0], 0),
        ("letterboxd-list-v7.csv", [0, 0, 2, 1, 1], [1, 0, 0, 0], 0),
        ("letterboxd-watched.csv", [0, 0, 2, 1, 0], [0, 1, 0, 0], 0),
        ("letterboxd-ratings.csv", [0, 0, 2, 0, 0], [0, 0, 0, 0], 0),
        ("letterboxd-diary.csv", [0, 0, 2, 0, 0], [0, 0, 0, 0], 1),
        ("imdb-list-2020.csv", [0, 2, 0, 0, 0], [0, 0, 1, 0], 0),
        ("imdb-watchlist-2024.csv", [0, 2, 0, 0, 0], [0, 0, 0, 0], 0),
        ("imdb-list-2016.csv", [0, 2, 0, 0, 0], [0, 0, 0, 0], 0),
        ("imdb-ratings.csv", [0, 2, 0, 0, 0], [0, 0, 0, 0], 0),
        ("trakt-list.csv", [2, 1, 0, 0, 0], [0, 0, 0, 0], 0),
        ("trakt-list.json", [0, 1, 1, 0, 0], [0, 0, 0, 0], 0),
        ("plain.txt", [0, 3, 1, 0, 0], [0, 0, 1, 2], 0),
        ("own-semicolons.csv", [1, 1, 1, 0, 0], [0, 0, 0, 0], 0),
        ("own-tabs.csv", [0, 0, 2, 0, 0], [0, 0, 0, 0], 0),
    ];
    for drained in [false, true] {
        if drained {
            Drain::of(&store).run().await.unwrap();
        }
        for (name, matched, unmatched, repeated) in expected {
            let list = import(&store, &sample(name), request()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let kinds =
                [MatchKind::TmdbId, MatchKind::ImdbId, MatchKind::Title, MatchKind::FoldedTitle, MatchKind::NearYear];
            assert_eq!(kinds.map(|kind| list.matched(kind)), matched, "{name}:\n{list}");
            let reasons = [Unmatched::Ambiguous, Unmatched::NoYear, Unmatched::Absent, Unmatched::Unreadable];
            assert_eq!(reasons.map(|reason| list.unmatched(reason)), unmatched, "{name}:\n{list}");
            let repeats = list.matches.iter().filter(|found| matches!(found, RowMatch::Repeated(_))).count();
            assert_eq!(repeats, repeated, "{name}:\n{list}");
            assert_eq!(members(&pool).await.len(), matched.iter().sum::<usize>(), "{name}");
            assert_eq!(list.movies, matched.iter().sum::<usize>(), "{name}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn list_is_replaced_and_the_same_file_changes_nothing(pool: PgPool) {
    let store = catalogue(&pool).await;
    let other = "UPDATE movies SET canonical_sources = '{\"other\": {\"included\": true}}'";
    sqlx::query(other).execute(&pool).await.unwrap();
    let first = import(&store, b"7001\n7002\n7003\n", request()).await.unwrap();
    assert_eq!(titles(&first, ListMoveKind::Joined), ["Lantern Weir", "Copper Meridian", "The Salt Orchard"]);
    let before = contents(&pool).await;
    let again = import(&store, b"7001\n7002\n7003\n", request()).await.unwrap();
    assert!(!again.has_changed && again.moves.is_empty());
    assert_eq!(contents(&pool).await, before);

    let named = ListRequest { name: Some("Mine"), edition: Some("2024"), year: Some(2024), ..request() };
    let file = b"imdb_id,position,edition\ntt9100003,1,\ntt9100004,2,2023\ntt9100001,3,\n";
    let dry = import(&store, file, ListRequest { dry_run: true, name: Some("Mine"), ..request() }).await.unwrap();
    assert!(dry.has_changed && dry.to_string().contains("would be 3 movies long"), "{dry}");
    assert_eq!(contents(&pool).await, before, "a dry run changes nothing");
    let second = import(&store, file, named).await.unwrap();
    assert_eq!(titles(&second, ListMoveKind::Left), ["Copper Meridian"]);
    assert_eq!(titles(&second, ListMoveKind::Joined), ["Été à Quill"]);
    assert!(second.to_string().ends_with("left: Copper Meridian (1991)"), "{second}");
    let entry = |position: i32, edition: &str| json!({"included": true, "list_position": position, "edition": edition});
    let expected = [
        ("The Salt Orchard".to_owned(), entry(1, "2024")),
        ("Été à Quill".to_owned(), entry(2, "2023")),
        ("Lantern Weir".to_owned(), entry(3, "2024")),
    ];
    assert_eq!(members(&pool).await, expected);
    let row: (String, i32, Value) =
        sqlx::query_as("SELECT name, last_movie_count, metadata FROM movie_lists WHERE source_key = 'my-list'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(row, ("Mine".to_owned(), 3, json!({"edition": "2024", "year": 2024})));
    let others: i64 = sqlx::query_scalar("SELECT count(*) FROM movies WHERE canonical_sources ? 'other'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(others, 12, "other lists stay");
}

#[sqlx::test(migrations = false)]
async fn articles_after_a_comma_are_moved(pool: PgPool) {
    let store = catalogue(&pool).await;
    let movies = [("L'Étoile Morne", 1960), ("Der Salzgarten", 1961), ("Twin, The", 1962), ("The Twin", 1962)];
    for (id, (title, year)) in (7100..).zip(movies.into_iter().chain([("The Pair", 1963), ("Pair, the", 1963)])) {
        sqlx::query(
            "INSERT INTO movies (tmdb_id, title, release_date, import_status, inserted_at, updated_at)
             VALUES ($1, $2, make_date($3, 5, 1), 'full', now(), now())",
        )
        .bind(id)
        .bind(title)
        .bind(year)
        .execute(&pool)
        .await
        .unwrap();
    }
    for (row, expected) in [
        ("Salt Orchard, The (1992)", Some(MatchKind::FoldedTitle)),
        ("salt orchard, THE (1993)", Some(MatchKind::NearYear)),
        ("Etoile Morne, L’ (1960)", Some(MatchKind::FoldedTitle)),
        ("Salzgarten, Der (1961)", Some(MatchKind::FoldedTitle)),
        ("Ember Road, Part 2 (2013)", Some(MatchKind::Title)),
        ("Twin, The (1962)", Some(MatchKind::Title)),
        // Two movies, and neither is written like this.
        ("Pair, The (1963)", None),
        ("Orchard, Salt The (1992)", None),
    ] {
        let list = import(&store, format!("7001\n{row}\n").as_bytes(), request()).await.unwrap();
        let kind = match &list.matches[1] {
            RowMatch::Matched { kind, .. } => Some(*kind),
            _ => None,
        };
        assert_eq!(kind, expected, "{row}: {list}");
    }
}

#[sqlx::test(migrations = false)]
async fn names_editions_and_years_are_checked(pool: PgPool) {
    let store = catalogue(&pool).await;
    let long = "é".repeat(501);
    for (request, says) in [
        (ListRequest { name: Some(&long), ..request() }, "the name has 501 characters, expected 1 to 500"),
        (ListRequest { name: Some("  "), ..request() }, "the name has 0 characters"),
        (ListRequest { edition: Some("a\u{7}b"), ..request() }, "the edition has 3 characters"),
        (ListRequest { year: Some(-5), ..request() }, "the year is -5"),
    ] {
        let error = import(&store, b"7001\n", request).await.unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let padded = format!(" {} ", &long[2..]);
    import(&store, b"7001\n", ListRequest { name: Some(&padded), ..request() }).await.unwrap();
    let name = "SELECT name FROM movie_lists WHERE source_key = 'my-list'";
    assert_eq!(sqlx::query_scalar::<_, String>(name).fetch_one(&pool).await.unwrap(), long[2..]);
}

#[sqlx::test(migrations = false)]
async fn a_list_that_most_movies_would_leave_is_kept(pool: PgPool) {
    let store = catalogue(&pool).await;
    sqlx::query(
        "INSERT INTO movies (tmdb_id, title, canonical_sources, inserted_at, updated_at)
         SELECT n, n, '{\"my-list\": {\"included\": true}}', now(), now() FROM generate_series(1, 24) AS n",
    )
    .execute(&pool)
    .await
    .unwrap();
    let before = contents(&pool).await;
    let guarded = |dry_run| ListRequest { keep_most: true, dry_run, ..request() };
    let error = import(&store, b"1\n2\n3\n7001\n", guarded(false)).await.unwrap_err().to_string();
    assert!(error.starts_with("21 of the 24 movies of this list would leave it"), "{error}");
    assert_eq!(contents(&pool).await, before);
    let dry = import(&store, b"1\n7001\n", guarded(true)).await.unwrap();
    let refusal = "the import would be refused: 23 of the 24 movies of this list would leave it";
    assert!(dry.movies == 2 && dry.to_string().contains(refusal), "{dry}");
    let half: String = (1..=12).map(|id| format!("{id}\n")).collect();
    assert_eq!(import(&store, half.as_bytes(), guarded(false)).await.unwrap().movies, 12);
    assert_eq!(import(&store, b"7001\n", request()).await.unwrap().movies, 1);
}

#[sqlx::test(migrations = false)]
async fn corrected_reports_resolve_rows(pool: PgPool) {
    let store = catalogue(&pool).await;
    let file = sample("letterboxd-list-v7.csv");
    let list = import(&store, &file, request()).await.unwrap();
    let mut report = Vec::new();
    write_report(&mut report, list.rows()).unwrap();
    let report = String::from_utf8(report).unwrap();
    let expected = "\u{feff}line,position,title,year,problem,candidates,movie\n\
                    12,4,North of Quill,1994,several movies match,tt9100005 North of Quill (1994) | tt9100006 North of Quill (1994),\n";
    assert_eq!(report, expected);

    for movie in
        ["tt9100006", "7006", "09100006", "tt9100006 North of Quill (1994)", "https://www.imdb.com/title/tt9100006/"]
    {
        let corrected = report.replace("(1994),\n", &format!("(1994),{movie}\n"));
        // As a spreadsheet saves it.
        for text in [corrected.clone(), corrected.replace(',', ";").replace('\n', ";;\r\n")] {
            let request = ListRequest { resolutions: Resolutions::read(&text).unwrap(), ..request() };
            let list = import(&store, &file, request).await.unwrap();
            assert_eq!((list.matched(MatchKind::Resolved), list.unmatched(Unmatched::Ambiguous)), (1, 0), "{text}");
            assert_eq!(members(&pool).await[3].1, json!({"included": true, "list_position": 4}), "{text}");
            // The next report has the decision, too.
            let mut next = Vec::new();
            write_report(&mut next, list.rows()).unwrap();
            assert!(String::from_utf8(next).unwrap().contains("12,4,North of Quill,1994,resolved,,tt9100006"));
        }
    }
    let with = |movie: &str| report.replace("(1994),\n", &format!("(1994),{movie}\n"));
    let left_out = ListRequest { resolutions: Resolutions::read(&with("-")).unwrap(), ..request() };
    let list = import(&store, &file, left_out).await.unwrap();
    assert!(list.to_string().contains("skipped: 1 that the corrected report leaves out"), "{list}");

    // What has no effect is refused, and so are damages.
    let before = contents(&pool).await;
    let rows: Vec<String> = with("-").lines().map(str::to_owned).collect();
    let row = |line: u64| format!("{line},,North of Quill,1994,several movies match,,tt9100006\n");
    let twice = format!("{}\n{}{}", rows[0], row(2), row(3));
    let other_year = with("-").replace(",1994,", ",1995,");
    let other_file =
        "corrected report was made from another file: line 12 of the list is not \"North of Quill (1994)\"";
    for (report, file, expected) in [
        (with("tt0000009"), &file, "line 2: column movie: this movie is not in the database"),
        (twice, &b"title,year\nNorth of Quill,1994\nNorth of Quill,1994\n".to_vec(), "the row on line 2 of the list"),
        (with("-"), &sample("letterboxd-watched.csv"), other_file),
        (other_year, &file, "line 12 of the list is not \"North of Quill (1995)\""),
        (with("the second one"), &file, "line 2: column movie: expected an IMDb id"),
        (with("1994"), &file, "line 2: column movie: 1994 may be a year"),
        (with(""), &file, "has no corrections"),
        (format!("{}{}", with("-"), rows[1]), &file, "line 3: column line: 12 is there twice"),
        (with("-").replace("12,4", "x,4"), &file, "line 2: column line: not the number of a line"),
        (with("").replace("12,4", "\"12,4"), &file, "line 2: a quote is never closed"),
        (with(",tt9100006"), &file, "line 2: values in this row: 8, columns in the header: 7"),
        (format!("{}\n{}\n", rows[0], rows[1].replace(',', ";")), &file, "line 2: values in this row: 1"),
        (with("-").replace("movie\n", "movie,Movie\n"), &file, "line 1: the header has the column \"Movie\" twice"),
        ("a,b\n1,2\n".to_owned(), &file, "expected the columns line, position"),
    ] {
        let error = match Resolutions::read_corrected(&report) {
            Ok(resolutions) => import(&store, file, ListRequest { resolutions, ..request() }).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(expected), "{report}\n{error}");
    }
    assert_eq!(contents(&pool).await, before);
}

#[sqlx::test(migrations = false)]
async fn what_may_mean_several_movies_needs_attention(pool: PgPool) {
    let store = catalogue(&pool).await;
    sqlx::query("UPDATE movies SET title = '7002' WHERE tmdb_id = 7003").execute(&pool).await.unwrap();
    let file = "#comment\ntt9100001 tt9100004\n7002\nSable Crossing (2010)\ntt9100005\ntt9100005";
    let list = import(&store, file.as_bytes(), request()).await.unwrap();
    let text = list.to_string();
    for line in [
        "skipped: 1 that are comments, which begin with #",
        "note: the last line, 6, has no line break: check that it is complete",
        "skipped: 1 that repeat another row",
        "not matched: 2 neither one id nor a title with its year",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let RowMatch::Unmatched { candidates, .. } = &list.matches[1] else { panic!("{text}") };
    assert_eq!(candidates.iter().map(|movie| movie.title.as_str()).collect::<Vec<_>>(), ["Copper Meridian", "7002"]);
    assert_eq!(list.reported(), 2);

    let file = "position,title,year\n1,Sable Crossing,2010\n2,Lantern Weir,1990\n7,Sable Crossing,2010\n";
    let list = import(&store, file.as_bytes(), request()).await.unwrap();
    assert_eq!((list.unmatched(Unmatched::Disagrees), list.movies), (1, 2));
    let mut report = Vec::new();
    write_report(&mut report, list.rows()).unwrap();
    let report = String::from_utf8(report).unwrap();
    assert!(
        report.contains("4,7,Sable Crossing,2010,repeats another row with another position or edition,"),
        "{report}"
    );
    let resolutions = Resolutions::read(&report.replace("(2010),\n", "(2010),-\n")).unwrap();
    let list = import(&store, file.as_bytes(), ListRequest { resolutions, ..request() }).await.unwrap();
    assert_eq!((list.reported(), list.has_changed), (0, false));
}

#[sqlx::test(migrations = false)]
async fn doubt_is_reported_and_nothing_is_guessed(pool: PgPool) {
    let store = catalogue(&pool).await;
    sqlx::query("UPDATE movies SET imdb_id = 'tt9100001' WHERE tmdb_id = 7003").execute(&pool).await.unwrap();
    for (file, expected) in [
        ("tmdb_id,imdb_id\n7002,tt9100004\n7008,\n", "not matched: 1 its ids are of different movies"),
        ("imdb_id,x\ntt9100001,\ntt9100004,\n", "not matched: 1 several movies match"),
        // One of the two means another movie, which is not here.
        (
            "title,year\nSable Crossing,2009\nSable Crossing,2011\n",
            "not matched: 1 its only candidate is another row's movie",
        ),
        (
            "title,year\nSable Crossing,2010\nSable Crossing,2011\n",
            "not matched: 1 its only candidate is another row's movie",
        ),
        ("title,year\nSable Crossing,2010\nSable Crossing,2010\n", "skipped: 1 that repeat another row"),
        ("title,year\nSable Crossing,2010\nWinter Ledger,1914\n", "not matched: 1 not in the database"),
        // Another movie of the same title and year, as its id says.
        (
            "title,year,imdb_id\nSable Crossing,2010,tt5550000\nWinter Ledger,2014,\n",
            "not matched: 1 not in the database",
        ),
        (
            "title,year,tmdb_id\nThe Wrong One,1950,7008\n",
            "doubtful: 1 by an id, though the title or the year is another",
        ),
        ("title,year,tmdb_id\nAnother Title,2010,7008\n", "matched: 1 by TMDb id"),
        ("title,tmdb_id\nAnother Title,7008\n", "doubtful: 1 by an id, though the title or the year is another"),
        ("title,tmdb_id\nSABLE CROSSING,7008\n", "matched: 1 by TMDb id\nthe list"),
        ("year,tmdb_id\n1950,7008\n", "doubtful: 1 by an id, though the title or the year is another"),
        (
            "title,year,tmdb_id\nSable Crossing,1950,7008\n",
            "doubtful: 1 by an id, though the title or the year is another",
        ),
        (
            "title,year,tmdb_id\nWinter Ledger,2014,7008\n",
            "doubtful: 1 by an id, though the title or the year is another",
        ),
        ("title,year\nSable Crossing,2010\nSABLE crossing,2010\n", "skipped: 1 that repeat another row"),
    ] {
        let list = import(&store, file.as_bytes(), request()).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(list.to_string().contains(expected), "{file}\n{list}");
    }
}

#[sqlx::test(migrations = false)]
async fn former_ids_of_merged_movies_are_known(pool: PgPool) {
    let store = catalogue(&pool).await;
    let former =
        "INSERT INTO cinegraph.former_tmdb_ids (tmdb_id, movie_id) SELECT 9999, id FROM movies WHERE tmdb_id = 7003";
    sqlx::query(former).execute(&pool).await.unwrap();
    let with_imdb_id = "imdb_id,tmdb_id\ntt9100003,9999\ntt9100001,7001\n";
    for file in ["9999\n7001\n", "themoviedb.org/movie/9999\ntt9100001\n", with_imdb_id] {
        let list = import(&store, file.as_bytes(), ListRequest { dry_run: true, ..request() }).await.unwrap();
        assert_eq!((list.movies, list.reported()), (2, 0), "{file}: {list}");
    }
}

#[sqlx::test(migrations = false)]
async fn refused_imports_change_nothing(pool: PgPool) {
    let empty = TestService::on(pool.clone()).await;
    let error = import(&empty.store, b"7001\n", request()).await.unwrap_err();
    assert!(matches!(error, ListImportError::NoMovies), "{error}");
    let store = catalogue(&pool).await;
    import(&store, b"7001\n7002\n", request()).await.unwrap();
    let before = contents(&pool).await;
    let updated_at =
        sqlx::query_scalar!("SELECT updated_at FROM movie_lists").fetch_one(&pool).await.unwrap().and_utc();
    for (file, request) in [
        ("7003\n", ListRequest { key: "", ..request() }),
        ("7003\n", ListRequest { key: " my-list", ..request() }),
        ("7003\n", ListRequest { key: "My-List", ..request() }),
        ("7003\n", ListRequest { key: "my- list", ..request() }),
        ("Lantern Weir,1990\nCopper Meridian,1991\ntitle,year\nThe Salt Orchard,1992\n", request()),
        ("7003\n", ListRequest { key: "my\tlist", ..request() }),
        ("7003\n", ListRequest { key: "my\u{200b}list", ..request() }),
        ("title,year\nA", request()),
        ("7003\n", ListRequest { expected_updated_at: Some(updated_at - TimeDelta::seconds(1)), ..request() }),
        ("7003\n", ListRequest { key: "new", expected_updated_at: Some(updated_at), ..request() }),
    ] {
        let error = import(&store, file.as_bytes(), request).await.unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(contents(&pool).await, before, "{error}");
    }
    let nothing = import(&store, b"1\n2\n3\n", request()).await.unwrap();
    assert_eq!((nothing.movies, nothing.has_changed, nothing.unmatched(Unmatched::Absent)), (0, false, 3));
    assert_eq!(contents(&pool).await, before);
    import(&store, b"7003\n", ListRequest { expected_updated_at: Some(updated_at), ..request() }).await.unwrap();

    sqlx::query("UPDATE cinegraph.installation SET owns_catalogue = false").execute(&pool).await.unwrap();
    let error = import(&store, b"7001\n", request()).await.unwrap_err();
    assert!(matches!(error, ListImportError::ForeignCatalogue), "{error}");
}

#[sqlx::test(migrations = false)]
async fn damaged_files_never_leave_half_a_list(pool: PgPool) {
    let store = catalogue(&pool).await;
    let count: usize = std::env::var("FUZZ_IMPORTS").map_or(10, |count| count.parse().unwrap());
    let samples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/list-formats/samples")).unwrap();
    let mut names: Vec<_> = samples.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut random = ChaCha8Rng::seed_from_u64(19);
    for name in names {
        for _ in 0..count {
            let mut bytes = sample(&name);
            for _ in 0..random.random_range(1..=3) {
                let at = random.random_range(0..=bytes.len() - 1);
                match random.random_range(0..3) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes.insert(at, b"\",\n;\xff\0"[random.random_range(0..6)]),
                    _ => bytes[at] = b' ',
                }
            }
            let before = contents(&pool).await;
            match import(&store, &bytes, request()).await {
                Err(error) => assert_eq!(contents(&pool).await, before, "{name}: {error}"),
                Ok(list) if list.movies == 0 => assert_eq!(contents(&pool).await, before, "{name}"),
                Ok(list) => {
                    let stored: BTreeSet<String> = members(&pool).await.into_iter().map(|(title, _)| title).collect();
                    let matched: BTreeSet<String> = list
                        .matches
                        .iter()
                        .filter_map(|found| match found {
                            RowMatch::Matched { movie, .. } => Some(movie.title.clone()),
                            _ => None,
                        })
                        .collect();
                    assert_eq!(stored, matched, "{name}");
                    assert_eq!(list.matches.len(), list.file.rows.len(), "{name}");
                }
            }
        }
    }
}
