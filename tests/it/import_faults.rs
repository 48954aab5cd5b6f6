//! Importing CSV files as people have them: other forms of values, other separators, files of other kinds. Each is read
//! and counted, or refused with its line; nothing goes wrong silently.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use cinegraph::scoring::MovieId;
use cinegraph::services::import::{Change, Generated, ImportError, ImportOptions, SkipReason};
use cinegraph::store::MovieKey;
use sqlx::PgPool;

use crate::import::{Files, contents, of, strings};
use crate::support::store_of;

const MOVIES: &str = "tmdb_id,imdb_id,title,release_date,adult,import_status,original_language\n";
const METRICS: &str = "tmdb_id,source,metric_type,value\n";

/// Files with these movies, each row after the header, and nothing else.
fn only_movies(rows: &str) -> Files {
    let files = Files::new();
    for name in [
        "people.csv",
        "external_metrics.csv",
        "movie_lists.csv",
        "movie_credits.csv",
        "festival_nominations.csv",
        "movie_genres.csv",
    ] {
        files.remove(name);
    }
    files.write("movies.csv", format!("{MOVIES}{rows}"));
    files
}

fn movie(tmdb_id: &str, imdb_id: &str, language: &str) -> String {
    format!("{tmdb_id},{imdb_id},A Title,1994-10-14,false,full,{language}\n")
}

/// The error of importing the catalogue with this metrics file.
async fn metrics_error(pool: &PgPool, row: &str) -> String {
    let files = Files::new();
    files.write("external_metrics.csv", format!("{METRICS}{row}\n"));
    files.import(pool).await.expect_err(row).to_string()
}

#[sqlx::test]
async fn ids_in_other_forms_are_normalised_and_counted(pool: PgPool) {
    let rows = [
        movie("1", "55", "en"),
        movie(" 2 ", "TT0000066", "en"),
        movie("3.0", "https://www.imdb.com/es/title/tt77/?ref_=fn_al", "en"),
        movie("https://www.themoviedb.org/movie/4-a-title", "  tt0000088", "en"),
        movie("5", "tt0000099", "en"),
    ];
    let files = only_movies(&rows.concat());
    files.write("movie_genres.csv", "tmdb_id,genre\n3.0,Drama\n");

    let summary = files.import(&pool).await.unwrap();

    let ids = "SELECT tmdb_id || ' ' || imdb_id FROM movies ORDER BY tmdb_id";
    assert_eq!(strings(&pool, ids).await, ["1 tt0000055", "2 tt0000066", "3 tt0000077", "4 tt0000088", "5 tt0000099"]);
    let changes = &of(&summary, "movies.csv").changes;
    assert_eq!([Change::ImdbId, Change::TmdbId, Change::Spaces].map(|change| changes.of(change)), [3, 2, 2]);
    let text = summary.to_string();
    assert!(text.contains("changed in movies.csv: 3 IMDb ids normalised (line 2: \"55\")"), "{text}");

    for (row, says) in [
        (movie("7", "tt００１２", "en"), "line 2, column imdb_id: \"tt００１２\" is not an id like tt0111161"),
        (movie("7", "nm0000151", "en"), "line 2, column imdb_id: \"nm0000151\" is not an id"),
        (
            movie("7", "tt0000055", "en") + &movie("8", "55", "en"),
            "line 3, column imdb_id: tt0000055 is on line 2 already",
        ),
        (movie("7", "", "en") + &movie("7.00", "", "en"), "line 3, column tmdb_id: 7 is on line 2 already"),
    ] {
        let error = only_movies(&row).import(&pool).await.expect_err(says).to_string();
        assert!(error.contains(says), "{error:?}, expected {says:?}");
    }
}

#[sqlx::test]
async fn placeholders_in_optional_columns_are_no_values(pool: PgPool) {
    let files = Files::new();
    files.write(
        "movies.csv",
        format!("{MOVIES}1,\\N,Nan,NULL,FALSE,Full,n/a\n2,nan,None,,False,full,None\n3,NaN,x,#N/A,false,soft,\n"),
    );
    files.replace("movie_credits.csv", "Directing,Director,,\n1,11,c2", "\\N,NULL,,N/A\n1,11,c2");
    files.replace("external_metrics.csv", "7.5", "NaN");

    let summary = files.import(&pool).await.unwrap();

    let movies = "SELECT concat_ws('|', title, imdb_id, release_date, original_language) FROM movies ORDER BY id";
    assert_eq!(strings(&pool, movies).await, ["Nan", "None", "x"]);
    let changes = &of(&summary, "movies.csv").changes;
    assert_eq!((changes.of(Change::Placeholder), changes.of(Change::Letters)), (7, 3));
    assert_eq!(of(&summary, "movie_credits.csv").changes.of(Change::Placeholder), 3);
    assert!(of(&summary, "external_metrics.csv").skipped.contains(&(SkipReason::NoValue, 2)));

    let error = only_movies(&movie("\\N", "", "en")).import(&pool).await.unwrap_err().to_string();
    assert!(error.contains("line 2, column tmdb_id: \"\\\\N\" is not a whole number"), "{error}");
}

#[sqlx::test]
async fn sources_and_metric_types_are_normalised_and_unknown_ones_reported(pool: PgPool) {
    let files = Files::new();
    files.write(
        "external_metrics.csv",
        format!(
            "{METRICS}1,TMDB,Rating Average,7\n1,IMDb.com,rating-average,8\n1,Rotten Tomatoes,TOMATOMETER,90\n\
             1,Metacritic,metascore,70\n1,tmdb,ratng_average,7\n2,tmdb,ratng_average,7\n2,letterboxd,stars,4\n"
        ),
    );

    let summary = files.import(&pool).await.unwrap();

    let metrics = "SELECT source || ' ' || metric_type FROM external_metrics ORDER BY id";
    assert_eq!(
        strings(&pool, metrics).await,
        [
            "tmdb rating_average",
            "imdb rating_average",
            "rotten_tomatoes tomatometer",
            "metacritic metascore",
            "tmdb ratng_average",
            "tmdb ratng_average",
            "letterboxd stars"
        ]
    );
    assert_eq!(of(&summary, "external_metrics.csv").changes.of(Change::MetricName), 7);
    let text = summary.to_string();
    let unknown = "unknown in external_metrics.csv: 2 rows of the metric \"tmdb ratng_average\", which no score uses \
                   (line 6); the nearest known one is \"tmdb rating_average\"";
    assert!(text.contains(unknown) && text.contains("1 rows of the metric \"letterboxd stars\""), "{text}");

    // Two names of one metric contradict each other.
    let error = metrics_error(&pool, "1,TMDB,rating_average,7\n1,tmdb,rating_average,8").await;
    assert!(error.contains("line 3: tmdb rating_average of film 1 is on line 2 already, with other values"), "{error}");
}

#[sqlx::test]
async fn values_off_their_scale_are_refused(pool: PgPool) {
    for (row, says) in [
        (
            "1,imdb,rating_average,75",
            "line 2, column value: 75 is off the scale of imdb rating_average: expected 0 to 10",
        ),
        ("1,TMDb,rating_average,-0.1", "-0.1 is off the scale of tmdb rating_average"),
        ("1,metacritic,metascore,101", "101 is off the scale of metacritic metascore: expected 0 to 100"),
        ("1,rotten_tomatoes,tomatometer,1e3", "1e3 is off the scale"),
        ("1,tmdb,budget,-1", "-1 is off the scale of tmdb budget: expected 0 at least"),
        ("1,tmdb,popularity_score,-3", "-3 is off the scale"),
        ("1,imdb,rating_votes,1.234", "1.234 is off the scale of imdb rating_votes: expected a whole number"),
        ("1,imdb,rating_average,inf", "line 2, column value: \"inf\" is not a number"),
        ("1,other,anything,-Infinity", "\"-Infinity\" is not a number"),
        ("1,other,anything,Nan", "\"Nan\" is not a number"),
        ("1,imdb,rating_average,\"7,5\"", "\"7,5\" is not a number: write it like 7.5"),
    ] {
        let error = metrics_error(&pool, row).await;
        assert!(error.contains(says), "{error:?}, expected {says:?}");
    }
}

#[sqlx::test]
async fn languages_genres_and_organizations_have_one_spelling(pool: PgPool) {
    let files = Files::new();
    files.replace("movies.csv", "full,en", "full,English");
    files.replace("movies.csv", "full,fr", "full, FR ");
    files.write("movie_genres.csv", "tmdb_id,genre\n1,drama\n1,Sci-Fi\n2,Film-Noir\n2,film noir\n3,SCIENCE FICTION\n");
    files.append(
        "festival_nominations.csv",
        "local,2030,Prize,1,,true\n\" LOC AL\",2030,Prize,3,,true\nampas,1995,BEST PICTURE,2,,true\n",
    );
    files.append("movie_lists.csv", "1001_Movies,3,9,\n");

    let summary = files.import(&pool).await.unwrap();

    let languages = "SELECT original_language FROM movies WHERE original_language IS NOT NULL ORDER BY id";
    assert_eq!(strings(&pool, languages).await, ["en", "fr"]);
    let genres = "SELECT tmdb_id || ' ' || name FROM genres ORDER BY id";
    assert_eq!(strings(&pool, genres).await, ["18 Drama", "878 Science Fiction", "-1 Film-Noir"]);
    let organizations = "SELECT abbreviation FROM festival_organizations ORDER BY id";
    assert_eq!(strings(&pool, organizations).await, ["AMPAS", "LOCAL"]);
    let lists = "SELECT source_key FROM movie_lists ORDER BY id";
    assert_eq!(strings(&pool, lists).await, ["1001_movies", "my_best-films"]);
    assert_eq!(of(&summary, "movies.csv").changes.of(Change::Language), 2);
    let names = ["movie_genres.csv", "festival_nominations.csv", "movie_lists.csv"];
    assert_eq!(names.map(|name| of(&summary, name).changes.of(Change::Name)), [4, 3, 1]);

    // In a later import, the spelling of the database counts.
    files.write("movie_genres.csv", "tmdb_id,genre\n3,FILM-NOIR\n");
    files.write(
        "festival_nominations.csv",
        "organization,year,category,movie_tmdb_id,person_name,won\nLocal,2031,Prize,1,,true\n",
    );
    files.import(&pool).await.unwrap();
    assert_eq!(strings(&pool, genres).await.len(), 3);
    assert_eq!(strings(&pool, organizations).await.len(), 2);

    for language in ["Klingon", "qq", "1994"] {
        let error = only_movies(&movie("1", "", language)).import(&pool).await.unwrap_err().to_string();
        assert!(
            error.starts_with("movies.csv, line 2, column original_language: ") && error.contains(language),
            "{error}"
        );
    }
}

#[sqlx::test]
async fn control_characters_become_spaces(pool: PgPool) {
    let files = Files::new();
    files.replace("people.csv", "Ann Lee", "Ann\x1b[2JLee\x07");
    files.replace("people.csv", "Bo Lee", "\"Bo\rLee\r\nJr \u{85}\u{202b}x\u{202c}\"");

    let summary = files.import(&pool).await.unwrap();

    let names = "SELECT name FROM people ORDER BY id LIMIT 2";
    assert_eq!(strings(&pool, names).await, ["Ann [2JLee", "Bo Lee\nJr  \u{202b}x\u{202c}"]);
    assert_eq!(of(&summary, "people.csv").changes.of(Change::ControlCharacters), 2);
    assert!(!summary.to_string().contains('\x1b'), "the example is escaped");
}

/// Writes a file in another form.
type Rewrite = fn(&str) -> String;

#[sqlx::test]
async fn other_separators_and_line_ends_are_read(pool: PgPool) {
    Files::new().import(&pool).await.unwrap();
    let forms: [(&str, Rewrite); 6] = [
        ("semicolons and decimal commas", |text| text.replace(',', ";").replace("7.5", "7,5").replace("8.25", "8,25")),
        ("tabs", |text| text.replace(',', "\t")),
        ("bars", |text| text.replace(',', "|")),
        ("CR alone", |text| text.replace('\n', "\r")),
        ("a line with the separator", |text| format!("sep=;\r\n{}", text.replace(',', ";").replace('\n', "\r\n"))),
        ("header in other letters", |text| {
            let (header, rows) = text.split_once('\n').unwrap();
            format!("{}\n{rows}", header.to_uppercase().replace(',', " , "))
        }),
    ];
    for (form, write) in forms {
        let files = Files::new();
        for (name, text) in [
            (
                "external_metrics.csv",
                "tmdb_id,source,metric_type,value\n1,tmdb,rating_average,7.5\n1,imdb,rating_average,8.25\n",
            ),
            ("movie_genres.csv", "tmdb_id,genre\n1,Drama\n3,Noir\n"),
        ] {
            files.write(name, write(text));
        }
        let summary = files.import(&pool).await.unwrap_or_else(|error| panic!("{form}: {error}"));
        assert!(summary.is_unchanged(), "{form}: {summary}");
    }
    let files = Files::new();
    files.write("movie_genres.csv", "tmdb_id;genre\r1;Drama\rx;Noir\r");
    let error = files.import(&pool).await.unwrap_err().to_string();
    assert!(error.starts_with("movie_genres.csv, line 3, column tmdb_id: \"x\""), "{error}");
}

#[sqlx::test]
async fn files_of_other_kinds_are_named(pool: PgPool) {
    for (bytes, says) in [
        (&b"\x1f\x8b\x08\0"[..], "the file is a gzip file: unpack it"),
        (b"PK\x03\x04\x14\0", "the file is a ZIP archive, or a workbook of Excel (.xlsx)"),
        (b"<!DOCTYPE html><html>", "the file is a web page"),
        (b" [{\"tmdb_id\": 1}]", "the file is JSON"),
        (b"\xff\xfet\0", "the file is UTF-16"),
        // The file of another name, and one without a header.
        (
            b"list_key,tmdb_id\nx,1\n",
            "line 1, column genre: the header lacks this column: add it. It has list_key, tmdb_id",
        ),
        (b"1,Drama\n2,Drama\n", "It has 1, Drama"),
    ] {
        let files = Files::new();
        files.write("movie_genres.csv", bytes);
        let error = files.import(&pool).await.unwrap_err().to_string();
        assert!(error.starts_with("movie_genres.csv, line 1") && error.contains(says), "{error:?}, expected {says:?}");
    }
    assert!(strings(&pool, "SELECT title FROM movies").await.is_empty());
}

#[sqlx::test]
async fn a_complete_last_row_needs_no_line_break(pool: PgPool) {
    for last in ["3,Essay", "3,\"Essay\"", "3,Essay\r", "3,\"A \"\"B\"\", C\nD\""] {
        let files = Files::new();
        files.append("movie_genres.csv", last);
        let summary = files.import(&pool).await.unwrap();
        assert_eq!(of(&summary, "movie_genres.csv").changes.of(Change::NoLineBreak), 1, "{last:?}");
        assert!(summary.to_string().contains("movie_genres.csv: the last row has no line break (line 6)"), "{summary}");
    }
    for cut in ["3", "3,\"Essay", "3,\"Essay\"\"", "3,\"Essay, \"\"a\"\", b", "\"3,Essay"] {
        let files = Files::new();
        files.append("movie_genres.csv", cut);
        let error = files.import(&pool).await.expect_err(cut).to_string();
        assert!(error.starts_with("movie_genres.csv, line 6: the file is cut off"), "{cut:?}: {error}");
    }
}

#[sqlx::test]
async fn rows_of_separators_alone_are_skipped(pool: PgPool) {
    let files = Files::new();
    files.append("movie_lists.csv", ",,,\n , ,,\n,,,");

    let summary = files.import(&pool).await.unwrap();

    assert_eq!(of(&summary, "movie_lists.csv").skipped, [(SkipReason::Blank, 3)]);
}

#[sqlx::test]
async fn optional_columns_are_stored_and_absent_ones_keep_their_values(pool: PgPool) {
    let movies = "SELECT concat_ws('|', poster_path, overview, runtime, original_title) FROM movies ORDER BY id";
    let metrics = "SELECT fetched_at::text FROM external_metrics ORDER BY id";
    let files = only_movies("");
    let header = MOVIES.trim_end();
    let rows = [
        "1,,A,,false,full,en,/a.jpg,\"Two\nlines\",102,Á,2026-11-01T10:00:00+02:00\n",
        "2,,B,,false,full,en,,,0,,2025-01-02\n",
    ];
    files.write(
        "movies.csv",
        format!("{header},poster_path,overview,runtime,original_title,fetched_at\n{}", rows.concat()),
    );
    files.write(
        "external_metrics.csv",
        "tmdb_id,source,metric_type,value,fetched_at\n1,imdb,rating_average,7,\n2,imdb,rating_average,7,2024-05-06 07:08:09\n",
    );

    files.import(&pool).await.unwrap();

    assert_eq!(strings(&pool, movies).await, ["/a.jpg|Two\nlines|102|Á", "0"]);
    assert_eq!(strings(&pool, metrics).await, ["2026-11-01 08:00:00", "2024-05-06 07:08:09"]);
    assert!(files.import(&pool).await.unwrap().is_unchanged());

    files.write("movies.csv", format!("{MOVIES}{}{}", movie("1", "", "en"), movie("2", "", "en")));
    files.write("external_metrics.csv", format!("{METRICS}1,imdb,rating_average,7\n2,imdb,rating_average,7\n"));
    files.import(&pool).await.unwrap();
    assert_eq!(strings(&pool, movies).await, ["/a.jpg|Two\nlines|102|Á", "0"]);
    assert_eq!(strings(&pool, metrics).await, ["2026-11-01 08:00:00", "2024-05-06 07:08:09"]);

    // A column that is there, but empty, empties the value.
    files.write("movies.csv", format!("{header},overview,runtime\n1,,A,,false,full,en,,90\n2,,B,,false,full,en,,\n"));
    files.import(&pool).await.unwrap();
    assert_eq!(strings(&pool, movies).await, ["/a.jpg|90|Á", ""]);

    for (value, says) in
        [("-1", "column runtime: -1 is out of range: expected 0"), ("1h42", "column runtime: \"1h42\"")]
    {
        files.write("movies.csv", format!("{header},runtime\n1,,A,,false,full,en,{value}\n"));
        let error = files.import(&pool).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    files.write("movies.csv", format!("{header},fetched_at\n1,,A,,false,full,en,1.11.2026\n"));
    let error = files.import(&pool).await.unwrap_err().to_string();
    assert!(error.contains("column fetched_at: \"1.11.2026\" is not a time"), "{error}");
}

/// The database id of the movie that a TMDb id finds.
async fn found(pool: &PgPool, tmdb_id: i32) -> Option<MovieId> {
    store_of(pool).movie_id(&MovieKey::Tmdb(tmdb_id)).await.unwrap()
}

#[sqlx::test]
async fn a_movie_with_another_tmdb_id_is_the_same_movie(pool: PgPool) {
    Files::new().import(&pool).await.unwrap();
    let movie = found(&pool, 1).await;
    let renamed = |id: &str| {
        let files = only_movies(&format!("{id},TT1,Renamed,1994-10-14,false,full,en\n"));
        files.write("movie_lists.csv", format!("list_key,tmdb_id,list_position,edition\n1001_movies,{id},7,2008\n"));
        files
    };

    let summary = renamed("901").import(&pool).await.unwrap();

    let movies = of(&summary, "movies.csv");
    assert_eq!((movies.updated, movies.changes.of(Change::Merged)), (1, 1));
    let merged = "movies.csv: 1 movies that had another TMDb id (line 2: \"1 The \\\"Quoted\\\", Film (1994) is now 901 Renamed (1994)\")";
    assert!(summary.to_string().contains(merged), "{summary}");
    assert_eq!(strings(&pool, "SELECT title FROM movies WHERE imdb_id = 'tt0000001'").await, ["Renamed"]);
    assert_eq!(
        strings(
            &pool,
            "SELECT count(*)::text FROM external_metrics AS e JOIN movies AS m ON m.id = movie_id WHERE m.tmdb_id = 901"
        )
        .await,
        ["2"]
    );
    assert!(movie.is_some() && found(&pool, 1).await == movie && found(&pool, 901).await == movie);
    assert!(renamed("901").import(&pool).await.unwrap().is_unchanged());

    // Once more, and back to the first id.
    renamed("902").import(&pool).await.unwrap();
    for id in [1, 901, 902] {
        assert_eq!(found(&pool, id).await, movie, "{id}");
    }
    renamed("1").import(&pool).await.unwrap();
    for id in [1, 901, 902] {
        assert_eq!(found(&pool, id).await, movie, "{id}");
    }
    assert_eq!(strings(&pool, "SELECT tmdb_id::text FROM cinegraph.former_tmdb_ids ORDER BY 1").await, ["901", "902"]);

    // A former id that another movie gets is this movie's.
    only_movies("901,tt0000555,Another,1994-10-14,false,full,en\n").import(&pool).await.unwrap();
    let other = found(&pool, 901).await;
    assert!(other.is_some() && other != movie);
}

#[sqlx::test]
async fn a_movie_stored_twice_becomes_one_with_the_data_of_both(pool: PgPool) {
    let files = Files::new();
    files.import(&pool).await.unwrap();
    // Under the new id without an IMDb id at first, on another list.
    let new = only_movies("901,,The Film,1994-10-14,false,full,en\n");
    new.write("movie_lists.csv", "list_key,tmdb_id,list_position,edition\nother,901,1,\n");
    new.write("external_metrics.csv", format!("{METRICS}901,tmdb,rating_average,7.9\n"));
    new.import(&pool).await.unwrap();
    let kept = found(&pool, 901).await;
    let former = found(&pool, 1).await.unwrap();

    new.write("movies.csv", format!("{MOVIES}901,tt0000001,The Film,1994-10-14,false,full,en\n"));
    let summary = new.import(&pool).await.unwrap();

    assert_eq!(of(&summary, "movies.csv").changes.of(Change::Merged), 1);
    assert_eq!(found(&pool, 1).await, kept);
    assert_eq!(store_of(&pool).movie_id(&MovieKey::Id(former)).await.unwrap(), kept);
    let one = "SELECT tmdb_id || ' ' || array_to_string(cinegraph.list_keys(canonical_sources), ' ') FROM movies WHERE imdb_id = 'tt0000001'";
    assert_eq!(strings(&pool, one).await, ["901 1001_movies my_best-films other"]);
    let metrics = "SELECT source || ' ' || value FROM external_metrics AS e JOIN movies AS m ON m.id = movie_id
                   WHERE m.tmdb_id = 901 ORDER BY source";
    assert_eq!(strings(&pool, metrics).await, ["imdb 8.25", "tmdb 7.9"]);
    let rows = "SELECT concat_ws(' ', (SELECT count(*) FROM movie_credits AS c WHERE c.movie_id = m.id),
                                      (SELECT count(*) FROM festival_nominations AS n WHERE n.movie_id = m.id),
                                      (SELECT count(*) FROM movie_genres AS g WHERE g.movie_id = m.id))
                FROM movies AS m WHERE tmdb_id = 901";
    assert_eq!(strings(&pool, rows).await, ["4 5 2"]);

    // Once more: links with either id lead to the third one.
    only_movies("902,,The Film,1994-10-14,false,full,en\n").import(&pool).await.unwrap();
    only_movies("902,tt0000001,The Film,1994-10-14,false,full,en\n").import(&pool).await.unwrap();
    let last = found(&pool, 902).await;
    for id in [former, kept.unwrap()] {
        assert_eq!(store_of(&pool).movie_id(&MovieKey::Id(id)).await.unwrap(), last);
    }
}

#[sqlx::test]
async fn strict_imports_refuse_what_would_be_changed_or_ignored(pool: PgPool) {
    let strict = ImportOptions { strict: true, ..Generated::Refuse.into() };
    // The first import brings names that are new.
    Files::new().import(&pool).await.unwrap();
    Files::new().import_with(&pool, strict).await.unwrap();
    let before = contents(&pool).await;
    let faults: [(&str, &str, &str, &str); 7] = [
        ("movies.csv", "tt0000001", "1", "IMDb ids normalised (line 2: \"1\")"),
        ("movies.csv", "full,fr", "full,fra", "languages normalised (line 3: \"fra\")"),
        ("people.csv", "Bo Lee", "Bo\x07Lee", "texts with control characters"),
        ("people.csv", "12,Bo Lee", "12, Bo Lee", "values with spaces around them"),
        ("external_metrics.csv", "2,tmdb,budget", "2,tmdb,buget", "the nearest known one is \"tmdb budget\""),
        (
            "movie_genres.csv",
            "tmdb_id,genre\n1,Drama\n1,Heist\n2,Drama\n3,Noir\n",
            "tmdb_id,genre,note\n1,Drama,x\n",
            "columns ignored in movie_genres.csv: note",
        ),
        ("movie_genres.csv", "3,Noir\n", "3,Noir", "the last row has no line break"),
    ];
    for (file, from, to, says) in faults {
        let files = Files::new();
        files.replace(file, from, to);
        let error = files.import_with(&pool, strict).await.expect_err(says);
        assert!(matches!(error, ImportError::Changes(_)) && error.to_string().contains(says), "{error}");
    }
    assert_eq!(contents(&pool).await, before);
}

/// A row of movies.csv with a title and a year.
fn titled(tmdb_id: i32, imdb_id: &str, title: &str, year: &str) -> String {
    format!("{tmdb_id},{imdb_id},{title},{year},false,full,en\n")
}

/// Movies with the ids 1 to 12, whose titles are those of the row `shift` places further down.
fn twelve(shift: usize) -> String {
    (1..=12_usize)
        .map(|id| {
            let film = (id - 1 + shift) % 12;
            titled(i32::try_from(id).unwrap(), "", &format!("Film {film}"), &format!("{}-01-01", 1950 + 3 * film))
        })
        .collect()
}

#[sqlx::test]
async fn movies_that_become_others_are_counted_and_refused_if_most_do(pool: PgPool) {
    let twelve_with_ids = |ids: [&str; 2]| {
        twelve(0).replacen("2,,", &format!("2,{},", ids[0]), 1).replacen("\n3,,", &format!("\n3,{},", ids[1]), 1)
    };
    only_movies(&twelve_with_ids(["tt0000022", "tt0000033"])).import(&pool).await.unwrap();

    // One row, and IMDb ids of two that are exchanged.
    let rows = twelve_with_ids(["tt0000033", "tt0000022"]).replace("Film 4,1962", "Quite Another,1990");
    let summary = only_movies(&rows).import(&pool).await.unwrap();
    let changes = &of(&summary, "movies.csv").changes;
    assert_eq!([Change::Title, Change::Year, Change::OtherImdbId].map(|change| changes.of(change)), [1, 1, 2]);
    let text = summary.to_string();
    for says in [
        "check in movies.csv: 1 movies that get another title (line 6: \"Film 4 becomes Quite Another\")",
        "1 movies that get another year (line 6: \"Quite Another: 1962 becomes 1990\")",
        "2 movies that get another IMDb id (line 3: \"Film 1: tt0000022 becomes tt0000033\")",
    ] {
        assert!(text.contains(says), "{text}");
    }
    // Other letters and a neighbouring year are no other film.
    let respelt = rows.replace("Film 5,1965", "FÌLM 5,1966");
    let changes = only_movies(&respelt).import(&pool).await.unwrap().files[0].changes.clone();
    assert_eq!([Change::Title, Change::Year].map(|change| changes.of(change)), [0, 0]);

    let before = contents(&pool).await;
    let error = only_movies(&twelve(1)).import(&pool).await.unwrap_err();
    assert!(matches!(error, ImportError::MostRenamed { line: 2, renamed: 12, existing: 12, .. }), "{error}");
    assert!(error.to_string().contains("12 of its 12 movies") && error.to_string().contains("--replace"), "{error}");
    assert_eq!(contents(&pool).await, before);
    let replace = ImportOptions { replace: true, ..Generated::Refuse.into() };
    let summary = only_movies(&twelve(1)).import_with(&pool, replace).await.unwrap();
    assert_eq!(of(&summary, "movies.csv").changes.of(Change::Title), 12);
}

#[sqlx::test]
async fn different_movies_do_not_become_one(pool: PgPool) {
    let films = titled(71, "tt0000071", "One", "1950-05-05") + &titled(72, "tt0000072", "Two", "1980-05-05");
    only_movies(&films).import(&pool).await.unwrap();
    // One of IMDb's dumps, which has no TMDb id.
    sqlx::query("INSERT INTO movies (tmdb_id, imdb_id, title, release_date, inserted_at, updated_at) VALUES (-73, 'tt0000073', 'Three', '2000-01-01', now(), now())")
        .execute(&pool)
        .await
        .unwrap();
    let before = contents(&pool).await;
    for (row, says) in [
        // Of a movie that is new, and of one that is there.
        (
            titled(99, "tt0000071", "New", "2014-01-01"),
            "71 One (1950) has this IMDb id, which is another movie than 99 New (2014)",
        ),
        (
            titled(72, "tt0000071", "Two", "1980-05-05"),
            "71 One (1950) has this IMDb id, which is another movie than 72 Two (1980)",
        ),
    ] {
        let error = only_movies(&row).import(&pool).await.expect_err(says).to_string();
        assert!(error.starts_with("movies.csv, line 2, column imdb_id: ") && error.contains(says), "{error}");
    }
    assert_eq!(contents(&pool).await, before);

    // Another title alone may be a translation; another year alone, another cut. IMDb's own titles and years differ more.
    for row in [
        titled(98, "tt0000071", "Eins", "1951-01-01"),
        titled(99, "tt0000072", "TWO", "1995-01-01"),
        titled(73, "tt0000073", "Trois", "2010-01-01"),
    ] {
        let summary = only_movies(&row).import(&pool).await.unwrap();
        assert_eq!(of(&summary, "movies.csv").changes.of(Change::Merged), 1, "{summary}");
    }
    let replace = ImportOptions { replace: true, ..Generated::Refuse.into() };
    only_movies(&titled(97, "tt0000071", "New", "2014-01-01")).import_with(&pool, replace).await.unwrap();
}

#[sqlx::test]
async fn values_that_empty_cells_remove_are_counted(pool: PgPool) {
    let header = format!("{},poster_path,overview,runtime\n", MOVIES.trim_end());
    let files = Files::new();
    let rows = "1,tt0000001,A,1994-10-14,false,full,en,/a.jpg,Text,90\n2,,B,,false,full,,,,\n3,,C,,false,full,,,,\n";
    files.write("movies.csv", format!("{header}{rows}"));
    files.import(&pool).await.unwrap();

    files.write("movies.csv", format!("{header}1,,A,,false,full,,,,\n2,,B,,false,full,,,,\n3,,C,,false,full,,,,\n"));
    files.replace("movie_lists.csv", "1001_movies,1,7,2008", "1001_movies,1,,");
    files.replace("movie_credits.csv", "Acting,,Herself,0", "Acting,,,");
    let summary = files.import(&pool).await.unwrap();

    let removed = ["movies.csv", "movie_lists.csv", "movie_credits.csv", "people.csv"];
    assert_eq!(removed.map(|name| of(&summary, name).changes.of(Change::Removed)), [6, 2, 2, 0]);
    let text = summary.to_string();
    for says in [
        "check in movies.csv: 6 stored values that empty cells remove (line 2: \"imdb_id tt0000001\")",
        "movie_lists.csv: 2 stored values that empty cells remove (line 2: \"list_position 7\")",
    ] {
        assert!(text.contains(says), "{text}");
    }
    let summary = files.import(&pool).await.unwrap();
    assert_eq!(removed.map(|name| of(&summary, name).changes.of(Change::Removed)), [0; 4]);
}

#[sqlx::test]
async fn strict_imports_refuse_rows_that_are_skipped_and_names_that_are_new(pool: PgPool) {
    let strict = ImportOptions { strict: true, ..Generated::Refuse.into() };
    Files::new().import(&pool).await.unwrap();
    let before = contents(&pool).await;
    for (file, row, says) in [
        ("movie_genres.csv", "1,Drama\n", "skipped in movie_genres.csv: 1 the same as an earlier row"),
        ("movie_genres.csv", ",\n", "skipped in movie_genres.csv: 1 empty"),
        ("movie_genres.csv", "1,Action|Comedy\n", "1 new genres (line 6: \"Action|Comedy\")"),
        ("festival_nominations.csv", "AMPAS,1995,BEST PICTURE,1,,true\n", "1 merged with an earlier row"),
        ("festival_nominations.csv", "AMPASS,1995,X,1,,true\n", "1 new organizations (line 8: \"AMPASS\")"),
        ("external_metrics.csv", "1,tmdb,rating_votes,1.23E+05\n", "1 numbers that are rounded, or whose point"),
        ("movies.csv", "4,tt0000001,The “Quoted” Film,1994-01-01,false,full,en\n", "tt0000001 is on line 2 already"),
    ] {
        let files = Files::new();
        files.append(file, row);
        let error = files.import_with(&pool, strict).await.expect_err(says).to_string();
        assert!(error.contains(says), "{error:?}, expected {says:?}");
    }
    assert_eq!(contents(&pool).await, before);
}

#[sqlx::test]
async fn files_that_cannot_be_read_are_not_missing_and_others_are_named(pool: PgPool) {
    let files = Files::new();
    files.remove("people.csv");
    std::os::unix::fs::symlink("nowhere.csv", files.path().join("people.csv")).unwrap();
    let error = files.import(&pool).await.unwrap_err();
    assert!(matches!(error, ImportError::Unreadable { file: "people.csv", .. }), "{error}");

    files.remove("people.csv");
    let fifo = std::process::Command::new("mkfifo").arg(files.path().join("people.csv")).status().unwrap();
    assert!(fifo.success());
    let error = files.import(&pool).await.unwrap_err();
    assert!(
        matches!(&error, ImportError::Unreadable { file: "people.csv", source } if source.to_string().contains("regular")),
        "{error:?}"
    );

    let files = Files::new();
    files.remove("movie_genres.csv");
    for name in ["external_metrics (1).csv", "Movie_Genres.CSV", "metrics.csv.gz", "notes.md"] {
        files.write(name, "x");
    }
    let text = files.import(&pool).await.unwrap().to_string();
    let others = "not read: Movie_Genres.CSV, external_metrics (1).csv, metrics.csv.gz\n";
    assert!(text.contains(others) && text.contains("missing (optional): movie_genres.csv"), "{text}");

    let files = Files::new();
    files.write("people.csv", "tmdb_id,name,Name\n11,Ann Lee,x\n");
    let error = files.import(&pool).await.unwrap_err().to_string();
    assert!(error.contains("column Name: the header has this column twice"), "{error}");
}

#[sqlx::test]
async fn categories_in_other_spellings_are_one_for_each_organization(pool: PgPool) {
    let header = "organization,year,category,movie_tmdb_id,person_name,won\n";
    let files = Files::new();
    let rows = "AMPAS,1995,Best Film,1,,false\nAMPAS,1995,BEST  FILM,1,,true\nAMPAS,1995,\u{200b}Best\u{200b}Film,1,,false\n\
                LOCAL,1995,best film,1,,false\nlocal,1995,BEST FILM,1,,true\n";
    files.write("festival_nominations.csv", format!("{header}{rows}"));
    let summary = files.import(&pool).await.unwrap();
    let nominations = of(&summary, "festival_nominations.csv");
    assert_eq!((nominations.inserted, nominations.skipped_rows()), (2, 3));

    // In a later import, the spelling of the database counts, under both names of the organization.
    let rows = "Academy of Motion Picture Arts and Sciences,1996,best film,1,,false\nLocal,1995,Best Film,2,,true\n";
    files.write("festival_nominations.csv", format!("{header}{rows}"));
    files.import(&pool).await.unwrap();
    assert_eq!(strings(&pool, "SELECT name FROM festival_categories ORDER BY id").await, ["Best Film", "best film"]);
}

#[sqlx::test]
async fn numbers_off_their_usual_values_are_counted(pool: PgPool) {
    for (rows, counts) in [
        ("1,tmdb,budget,63.000\n1,tmdb,rating_votes,1.23E+05\n1,tmdb,revenue_worldwide,1e7\n", [2, 0]),
        ("1,tmdb,popularity_score,63.123\n2,tmdb,popularity_score,3.8e-05\n1,tmdb,rating_average,7.125\n", [0, 0]),
        ("1,tmdb,budget,1e300\n1,imdb,rating_votes,20000000000\n", [0, 2]),
        ("1,metacritic,metascore,73.5\n", [0, 1]),
        // Each file of ratings on another scale.
        ("1,imdb,rating_average,0.87\n2,imdb,rating_average,0.5\n3,imdb,rating_average,0.9\n", [0, 3]),
        ("1,imdb,rating_average,0\n2,imdb,rating_average,0\n3,imdb,rating_average,0\n", [0, 0]),
        ("1,metacritic,metascore,7\n2,metacritic,metascore,9\n3,metacritic,metascore,61\n", [0, 0]),
    ] {
        let files = Files::new();
        files.write("external_metrics.csv", format!("{METRICS}{rows}"));
        let summary = files.import(&pool).await.unwrap();
        let changes = &of(&summary, "external_metrics.csv").changes;
        assert_eq!([Change::Rounded, Change::Unusual].map(|change| changes.of(change)), counts, "{rows}");
    }
}

#[sqlx::test]
async fn implausible_values_are_counted_or_refused(pool: PgPool) {
    let header = format!("{},poster_path,runtime,fetched_at\n", MOVIES.trim_end());
    let files = only_movies("");
    let rows = "1,,A,9999-12-31,false,full,en,/a.jpg,8160000,2999-01-01\n2,,B,0001-01-01,false,full,en,,90,\n\
                3,,nan,1891-01-01,false,full,en,,0,2020-01-01\n";
    files.write("movies.csv", format!("{header}{rows}"));
    let summary = files.import(&pool).await.unwrap();
    let changes = &of(&summary, "movies.csv").changes;
    let kinds = [Change::Implausible, Change::Future, Change::PlaceholderText];
    assert_eq!(kinds.map(|change| changes.of(change)), [3, 1, 1], "{summary}");

    for path in ["javascript:alert(1)", "//elsewhere.example/a.jpg", "https://image.tmdb.org/t/p/w500/a.jpg", "/"] {
        files.write("movies.csv", format!("{header}1,,A,,false,full,en,{path},,\n"));
        let error = files.import(&pool).await.expect_err(path).to_string();
        assert!(error.starts_with("movies.csv, line 2, column poster_path: ") && error.contains("like /"), "{error}");
    }
    for (file, row, says) in [
        ("movie_lists.csv", "1001_movies,3,-5,\n", "column list_position: -5 is out of range"),
        ("movie_lists.csv", "NULL,3,5,\n", "column list_key: the value is missing"),
        ("movie_genres.csv", "3,\\N\n", "column genre: the value is missing"),
        ("movie_genres.csv", "3,\u{200b}\n", "column genre: the value is missing"),
        ("movies.csv", "4,,\u{200b} \u{feff},,false,soft,\n", "column title: the value is missing"),
    ] {
        let files = Files::new();
        files.append(file, row);
        let error = files.import(&pool).await.expect_err(says).to_string();
        assert!(error.contains(says), "{error:?}, expected {says:?}");
    }
}

#[sqlx::test]
async fn values_older_than_the_stored_ones_are_counted(pool: PgPool) {
    let files = Files::new();
    let header = "tmdb_id,source,metric_type,value,fetched_at\n";
    files.write(
        "external_metrics.csv",
        format!("{header}1,imdb,rating_average,7,2024-01-01\n2,imdb,rating_average,7,2024-01-01\n"),
    );
    files.import(&pool).await.unwrap();

    files.write(
        "external_metrics.csv",
        format!("{header}1,imdb,rating_average,6,2017-01-01\n2,imdb,rating_average,6,2025-01-01\n"),
    );
    let summary = files.import(&pool).await.unwrap();

    assert_eq!(of(&summary, "external_metrics.csv").changes.of(Change::Older), 1);
    let older = "(line 2: \"imdb rating_average of 2017-01-01 00:00:00 over 2024-01-01 00:00:00\")";
    assert!(summary.to_string().contains(older), "{summary}");
}
