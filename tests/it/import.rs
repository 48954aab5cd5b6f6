//! Importing CSV files: imported values, rejected files, and atomicity.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use cinegraph::clock::Clock;
use cinegraph::services::import::{
    FileSummary, Generated, ImportError, ImportOptions, ImportSummary, Nominees, SkipReason, import_csv,
};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::store_of;

/// A small catalogue: every file, with quotes, commas, line breaks and empty values in it.
const CATALOGUE: [(&str, &str); 7] = [
    (
        "movies.csv",
        "tmdb_id,imdb_id,title,release_date,adult,import_status,original_language\n\
         1,tt0000001,\"The \"\"Quoted\"\", Film\",1994-10-14,false,full,en\n\
         2,tt0000002,\"Two\nLines\",2029-12-31,false,full,fr\n\
         3,,Tab\tand \\backslash,,false,soft,\n",
    ),
    ("people.csv", "tmdb_id,name\n11,Ann Lee\n12,Bo Lee\n13,Cy Lee\n14,Cy Lee\n"),
    (
        "external_metrics.csv",
        "tmdb_id,source,metric_type,value\n\
         1,tmdb,rating_average,7.5\n\
         1,imdb,rating_average,8.25\n\
         2,tmdb,budget,1e7\n\
         2,tmdb,popularity_score,\n\
         3,tmdb,rating_average,0\n",
    ),
    (
        "movie_lists.csv",
        "list_key,tmdb_id,list_position,edition\n\
         1001_movies,1,7,2008\n\
         my_best-films,1,,\n\
         1001_movies,2,8,\n",
    ),
    (
        "movie_credits.csv",
        "movie_tmdb_id,person_tmdb_id,credit_id,credit_type,department,job,character,cast_order\n\
         1,11,c1,crew,Directing,Director,,\n\
         1,11,c2,cast,Acting,,Herself,0\n\
         1,13,c3,cast,Acting,,Twin,1\n\
         1,14,c4,cast,Acting,,Other twin,2\n\
         2,12,c5,crew,Directing,Director,,\n",
    ),
    (
        "festival_nominations.csv",
        "organization,year,category,movie_tmdb_id,person_name,won\n\
         AMPAS,1995,BEST PICTURE,1,,false\n\
         AMPAS,1995,DIRECTING,1,Ann Lee,true\n\
         AMPAS,1995,ACTOR,1,Cy Lee,false\n\
         AMPAS,1995,WRITING,1,\"Ann Lee, Cy Lee\",false\n\
         AMPAS,1995,DIRECTING,1,Bo Lee,false\n\
         LOCAL,2030,Prize,2,Bo Lee,true\n",
    ),
    ("movie_genres.csv", "tmdb_id,genre\n1,Drama\n1,Heist\n2,Drama\n3,Noir\n"),
];

/// The catalogue in a directory, for tests to damage.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for (name, text) in CATALOGUE {
            files.write(name, text);
        }
        files
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join(name)).unwrap();
    }

    /// Replaces the only occurrence of `from`.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.0.path().join(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}");
        self.write(name, text.replacen(from, to, 1));
    }

    pub(crate) fn append(&self, name: &str, rows: &str) {
        let text = fs::read_to_string(self.0.path().join(name)).unwrap();
        self.write(name, text + rows);
    }

    pub(crate) async fn import(&self, pool: &PgPool) -> Result<ImportSummary, ImportError> {
        self.import_with(pool, Generated::Refuse).await
    }

    pub(crate) async fn import_with(
        &self,
        pool: &PgPool,
        options: impl Into<ImportOptions>,
    ) -> Result<ImportSummary, ImportError> {
        import_csv(&store_of(pool), self.0.path(), options, &Clock::system(), &mut |_| ()).await
    }
}

pub(crate) fn of<'a>(summary: &'a ImportSummary, name: &str) -> &'a FileSummary {
    summary.files.iter().find(|file| file.name == name).unwrap()
}

/// All rows of the movie tables, with the transaction that wrote each.
pub(crate) async fn contents(pool: &PgPool) -> Vec<String> {
    let mut rows = Vec::new();
    for table in [
        "cinegraph.installation",
        "public.movies",
        "public.people",
        "public.external_metrics",
        "public.movie_lists",
        "public.movie_credits",
        "public.festival_organizations",
        "public.festival_ceremonies",
        "public.festival_categories",
        "public.festival_nominations",
        "public.genres",
        "public.movie_genres",
    ] {
        let statement = format!("SELECT xmin::text || ' ' || t::text FROM {table} AS t ORDER BY 1");
        rows.extend(sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement)).fetch_all(pool).await.unwrap());
    }
    rows
}

pub(crate) async fn strings(pool: &PgPool, statement: &'static str) -> Vec<String> {
    sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
}

#[sqlx::test]
async fn values_arrive_as_given(pool: PgPool) {
    let summary = Files::new().import(&pool).await.unwrap();

    assert_eq!(of(&summary, "movies.csv").inserted, 3);
    let movies =
        "SELECT concat_ws('|', tmdb_id, coalesce(imdb_id, '-'), title, coalesce(release_date::text, '-'), adult,
                                   import_status, coalesce(original_language, '-')) FROM movies ORDER BY id";
    assert_eq!(
        strings(&pool, movies).await,
        [
            "1|tt0000001|The \"Quoted\", Film|1994-10-14|f|full|en",
            "2|tt0000002|Two\nLines|2029-12-31|f|full|fr",
            "3|-|Tab\tand \\backslash|-|f|soft|-",
        ]
    );
    let metrics = "SELECT concat_ws('|', m.tmdb_id, e.source, e.metric_type, e.value)
                   FROM external_metrics AS e JOIN movies AS m ON m.id = e.movie_id ORDER BY e.id";
    assert_eq!(
        strings(&pool, metrics).await,
        [
            "1|tmdb|rating_average|7.5",
            "1|imdb|rating_average|8.25",
            "2|tmdb|budget|10000000",
            "3|tmdb|rating_average|0"
        ]
    );
    let credits =
        "SELECT concat_ws('|', m.tmdb_id, p.name, c.credit_id, c.credit_type, c.department, coalesce(c.job, '-'),
                                    coalesce(c.character, '-'), coalesce(c.cast_order::text, '-'))
                   FROM movie_credits AS c JOIN movies AS m ON m.id = c.movie_id JOIN people AS p ON p.id = c.person_id
                   ORDER BY c.id LIMIT 2";
    assert_eq!(
        strings(&pool, credits).await,
        ["1|Ann Lee|c1|crew|Directing|Director|-|-", "1|Ann Lee|c2|cast|Acting|-|Herself|0"]
    );
    let origin = "SELECT catalogue_origin FROM cinegraph.installation";
    assert_eq!(strings(&pool, origin).await, ["imported"]);
}

#[sqlx::test]
async fn lists_are_stored_in_canonical_sources(pool: PgPool) {
    Files::new().import(&pool).await.unwrap();

    let sources = "SELECT canonical_sources::text FROM movies ORDER BY id";
    assert_eq!(
        strings(&pool, sources).await,
        [
            r#"{"1001_movies": {"edition": "2008", "included": true, "list_position": 7}, "my_best-films": {"included": true, "list_position": null}}"#,
            r#"{"1001_movies": {"included": true, "list_position": 8}}"#,
            "{}",
        ]
    );
    let names = "SELECT source_key || '=' || name FROM movie_lists ORDER BY id";
    assert_eq!(
        strings(&pool, names).await,
        ["1001_movies=1001 Movies You Must See Before You Die", "my_best-films=My Best Films"]
    );
}

#[sqlx::test]
async fn imported_lists_are_merged_into_existing_ones(pool: PgPool) {
    let files = Files::new();
    files.import(&pool).await.unwrap();
    sqlx::query("UPDATE movies SET canonical_sources = '{\"other\": {\"included\": true}, \"1001_movies\": {}}' WHERE tmdb_id = 1")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE movies SET canonical_sources = '[1]' WHERE tmdb_id = 2").execute(&pool).await.unwrap();

    let summary = files.import(&pool).await.unwrap();

    let lists = of(&summary, "movie_lists.csv");
    assert_eq!((lists.inserted, lists.updated, lists.unchanged), (2, 1, 0));
    let keys = "SELECT array_to_string(cinegraph.list_keys(canonical_sources), ' ') FROM movies ORDER BY id";
    assert_eq!(strings(&pool, keys).await, ["1001_movies my_best-films other", "1001_movies", ""]);
}

#[sqlx::test]
async fn genres_have_tmdb_ids_or_negative_ids(pool: PgPool) {
    let files = Files::new();
    files.import(&pool).await.unwrap();
    files.append("movie_genres.csv", "3,Essay\n3,Heist\n3,Western\n");
    files.import(&pool).await.unwrap();

    let genres = "SELECT tmdb_id || ' ' || name FROM genres ORDER BY id";
    assert_eq!(strings(&pool, genres).await, ["18 Drama", "-1 Heist", "-2 Noir", "-3 Essay", "37 Western"]);
}

#[sqlx::test]
async fn a_second_import_changes_no_row(pool: PgPool) {
    let files = Files::new();
    assert!(!files.import(&pool).await.unwrap().is_unchanged());
    let before = contents(&pool).await;

    let summary = files.import(&pool).await.unwrap();

    assert!(summary.is_unchanged(), "{summary}");
    assert_eq!(contents(&pool).await, before);
}

#[sqlx::test]
async fn changed_rows_are_updated_and_absent_ones_kept(pool: PgPool) {
    let files = Files::new();
    files.import(&pool).await.unwrap();
    files.replace("external_metrics.csv", "rating_average,7.5", "rating_average,7.6");
    files.replace("movies.csv", "3,,Tab\tand \\backslash,,false,soft,\n", "");
    files.replace("external_metrics.csv", "3,tmdb,rating_average,0\n", "");
    files.replace("movie_genres.csv", "3,Noir\n", "");
    files.replace("festival_nominations.csv", "BEST PICTURE,1,,false", "BEST PICTURE,1,,true");

    let summary = files.import(&pool).await.unwrap();

    let metrics = of(&summary, "external_metrics.csv");
    assert_eq!((metrics.inserted, metrics.updated, metrics.unchanged), (0, 1, 2));
    assert_eq!(of(&summary, "festival_nominations.csv").updated, 1);
    assert_eq!(strings(&pool, "SELECT value::text FROM external_metrics WHERE id = 1").await, ["7.6"]);
    assert_eq!(strings(&pool, "SELECT count(*)::text FROM movies").await, ["3"]);
}

#[sqlx::test]
async fn rows_of_one_nomination_are_merged_and_won_if_any_row_is_won(pool: PgPool) {
    let files = Files::new();
    files.append("festival_nominations.csv", "AMPAS,1995,BEST PICTURE,1,,true\nAMPAS,1995,BEST PICTURE,1,,false\n");

    let summary = files.import(&pool).await.unwrap();

    let nominations = of(&summary, "festival_nominations.csv");
    assert_eq!((nominations.rows, nominations.inserted), (8, 6));
    assert_eq!(nominations.skipped, [(SkipReason::SameNomination, 2)]);
    let rows = "SELECT concat_ws('|', o.abbreviation, o.name, c.year, k.name, n.details, n.won)
                FROM festival_nominations AS n
                JOIN festival_ceremonies AS c ON c.id = n.ceremony_id JOIN festival_categories AS k ON k.id = n.category_id
                JOIN festival_organizations AS o ON o.id = c.organization_id AND o.id = k.organization_id
                ORDER BY n.id";
    let rows = strings(&pool, rows).await;
    assert_eq!(rows[0], "AMPAS|Academy of Motion Picture Arts and Sciences|1995|BEST PICTURE|{}|t");
    assert_eq!(rows[5], r#"LOCAL|LOCAL|2030|Prize|{"nominee_names": "Bo Lee"}|t"#);
}

#[sqlx::test]
async fn organization_given_by_name_and_abbreviation_is_one_row(pool: PgPool) {
    let files = Files::new();
    files.append(
        "festival_nominations.csv",
        "CFF,2000,Palme,1,,false\nCannes Film Festival,2000,Palme,1,,true\nCannes Film Festival,2001,Palme,1,,true\n",
    );

    let summary = files.import(&pool).await.unwrap();

    assert_eq!(of(&summary, "festival_nominations.csv").inserted, 8);
    assert!(files.import(&pool).await.unwrap().is_unchanged());
}

#[sqlx::test]
async fn a_nominee_is_linked_when_exactly_one_credited_person_has_that_name(pool: PgPool) {
    let files = Files::new();

    let summary = files.import(&pool).await.unwrap();

    assert_eq!(summary.nominees, Nominees { linked: 2, unlinked: 3, changed: 2 });
    let links = "SELECT concat_ws('|', m.tmdb_id, n.details ->> 'nominee_names', coalesce(p.tmdb_id::text, '-'))
                 FROM festival_nominations AS n JOIN movies AS m ON m.id = n.movie_id LEFT JOIN people AS p ON p.id = n.person_id
                 WHERE n.details ? 'nominee_names' ORDER BY n.id";
    assert_eq!(
        strings(&pool, links).await,
        // Credited twice; two people of that name; two names; credited for another movie only; credited.
        ["1|Ann Lee|11", "1|Cy Lee|-", "1|Ann Lee, Cy Lee|-", "1|Bo Lee|-", "2|Bo Lee|12"]
    );
}

#[sqlx::test]
async fn later_credit_links_the_nominee(pool: PgPool) {
    let files = Files::new();
    files.import(&pool).await.unwrap();
    files.append("movie_credits.csv", "1,12,c6,crew,Writing,Writer,,\n");
    files.remove("festival_nominations.csv");

    let summary = files.import(&pool).await.unwrap();

    assert_eq!(summary.nominees, Nominees { linked: 3, unlinked: 2, changed: 1 });
}

#[sqlx::test]
async fn the_summary_says_what_was_skipped_ignored_and_missing(pool: PgPool) {
    let files = Files::new();
    files.write("people.csv", "name,shoe_size,tmdb_id\nAnn Lee,39,11\nBo Lee,45,12\nCy Lee,,13\nCy Lee,,14\n");
    files.append("external_metrics.csv", "1,tmdb,rating_average,7.50\n");
    files.append("movie_lists.csv", "1001_movies,2,8,\n");
    files.append("movie_genres.csv", "1,Drama\n");
    files.remove("festival_nominations.csv");

    let summary = files.import(&pool).await.unwrap();

    insta::assert_snapshot!(summary, @r#"
    file                           rows   inserted    updated  unchanged    skipped
    movies.csv                        3          3          0          0          0
    people.csv                        4          4          0          0          0
    external_metrics.csv              6          4          0          0          2
    movie_lists.csv                   4          3          0          0          1
    movie_credits.csv                 5          5          0          0          0
    movie_genres.csv                  5          4          0          0          1
    skipped in external_metrics.csv: 1 without a value
    skipped in external_metrics.csv: 1 the same as an earlier row
    skipped in movie_lists.csv: 1 the same as an earlier row
    skipped in movie_genres.csv: 1 the same as an earlier row
    columns ignored in people.csv: shoe_size
    check in movie_genres.csv: 2 new genres (line 3: "Heist")
    missing (optional): festival_nominations.csv
    "#);
    assert_eq!(of(&summary, "external_metrics.csv").skipped, [(SkipReason::NoValue, 1), (SkipReason::Repeated, 1)]);
}

#[sqlx::test]
async fn movies_csv_alone_is_enough(pool: PgPool) {
    let files = Files::new();
    for (name, _) in &CATALOGUE[1..] {
        files.remove(name);
    }

    let summary = files.import(&pool).await.unwrap();

    assert_eq!((summary.files.len(), summary.missing_files.len()), (1, 6));
}

#[sqlx::test]
async fn byte_order_mark_crlf_and_empty_lines_are_accepted(pool: PgPool) {
    let files = Files::new();
    files.import(&pool).await.unwrap();
    for (name, text) in CATALOGUE {
        let text = if name == "movies.csv" { text.to_owned() } else { text.replace('\n', "\r\n") + "\r\n" };
        files.write(name, format!("\u{feff}{text}\n\n"));
    }

    assert!(files.import(&pool).await.unwrap().is_unchanged());
}

/// One way to damage the files, and what the error must say.
struct Damage {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    says: &'static str,
}

#[rustfmt::skip]
const DAMAGES: &[Damage] = &[
    // Columns.
    Damage { file: "movies.csv", from: "imdb_id", to: "imdb", says: "movies.csv, line 1, column imdb_id: the header lacks this column" },
    Damage { file: "people.csv", from: "tmdb_id,name", to: "name,name", says: "people.csv, line 1, column name: the header has this column twice" },
    Damage { file: "people.csv", from: "tmdb_id,name\n", to: "", says: "people.csv, line 1, column tmdb_id: the header lacks this column" },
    Damage { file: "people.csv", from: "12,Bo Lee", to: "12,Bo,Lee", says: "people.csv, line 3: values in this row: 3, columns in the header: 2" },
    Damage { file: "people.csv", from: "12,Bo Lee", to: "12", says: "people.csv, line 3: values in this row: 1, columns in the header: 2" },
    // Values. In movies.csv the title of movie 2 spans two lines.
    Damage { file: "movies.csv", from: "\n3,", to: "\nthree,", says: "movies.csv, line 5, column tmdb_id: \"three\" is not a whole number" },
    Damage { file: "movies.csv", from: "\n3,", to: "\n2147483648,", says: "movies.csv, line 5, column tmdb_id: 2147483648 is out of range: expected 1 to 2147483647" },
    Damage { file: "movies.csv", from: "\n3,", to: "\n0,", says: "movies.csv, line 5, column tmdb_id: 0 is out of range" },
    Damage { file: "movies.csv", from: "\n3,", to: "\n,", says: "movies.csv, line 5, column tmdb_id: the value is missing" },
    Damage { file: "movies.csv", from: "Tab\tand \\backslash", to: "", says: "movies.csv, line 5, column title: the value is missing" },
    Damage { file: "movies.csv", from: "1994-10-14", to: "1994-10-32", says: "movies.csv, line 2, column release_date: \"1994-10-32\" is not a date" },
    Damage { file: "movies.csv", from: "1994-10-14", to: "1994-1-2", says: "column release_date: \"1994-1-2\" is not a date" },
    Damage { file: "movies.csv", from: "1994-10-14", to: "0000-01-01", says: "column release_date: \"0000-01-01\" is not a date" },
    Damage { file: "movies.csv", from: "2029-12-31,false", to: "2029-12-31,no", says: "movies.csv, line 3, column adult: \"no\" is not one of true, false" },
    Damage { file: "movies.csv", from: "soft", to: "half", says: "movies.csv, line 5, column import_status: \"half\" is not one of full, soft" },
    Damage { file: "external_metrics.csv", from: "7.5", to: "7,5", says: "external_metrics.csv, line 2: values in this row: 5" },
    Damage { file: "external_metrics.csv", from: "7.5", to: "good", says: "external_metrics.csv, line 2, column value: \"good\" is not a number" },
    Damage { file: "external_metrics.csv", from: "1e7", to: "1e999", says: "external_metrics.csv, line 4, column value: 1e999 is out of range" },
    Damage { file: "movie_lists.csv", from: "1,7,", to: "1,7.5,", says: "movie_lists.csv, line 2, column list_position: \"7.5\" is not a whole number" },
    Damage { file: "movie_credits.csv", from: "c1,crew", to: "c1,staff", says: "movie_credits.csv, line 2, column credit_type: \"staff\" is not one of cast, crew" },
    Damage { file: "festival_nominations.csv", from: "2030", to: "20300", says: "festival_nominations.csv, line 7, column year: 20300 is out of range" },
    Damage { file: "festival_nominations.csv", from: "Prize,2,Bo Lee,true", to: "Prize,2,Bo Lee,", says: "festival_nominations.csv, line 7, column won: the value is missing" },
    // References between files, and duplicates.
    Damage { file: "external_metrics.csv", from: "2,tmdb,budget", to: "9,tmdb,budget", says: "external_metrics.csv, line 4, column tmdb_id: movie 9 is not in movies.csv" },
    Damage { file: "movie_genres.csv", from: "3,Noir", to: "4,Noir", says: "movie_genres.csv, line 5, column tmdb_id: movie 4 is not in movies.csv" },
    Damage { file: "movie_credits.csv", from: "2,12,c5", to: "2,21,c5", says: "movie_credits.csv, line 6, column person_tmdb_id: person 21 is not in people.csv" },
    Damage { file: "movies.csv", from: "\n3,", to: "\n1,", says: "movies.csv, line 5, column tmdb_id: 1 is on line 2 already" },
    Damage { file: "movies.csv", from: "\n3,", to: "\n3,tt0000001", says: "movies.csv, line 5, column imdb_id: tt0000001 is on line 2 already" },
    Damage { file: "people.csv", from: "14,", to: "11,", says: "people.csv, line 5, column tmdb_id: 11 is on line 2 already" },
    Damage { file: "movie_credits.csv", from: "c4", to: "c2", says: "movie_credits.csv, line 5, column credit_id: c2 is on line 3 already" },
    Damage { file: "external_metrics.csv", from: "3,tmdb,rating_average,0", to: "1,tmdb,rating_average,8", says: "external_metrics.csv, line 6: tmdb rating_average of film 1 is on line 2 already, with other values" },
    Damage { file: "movie_lists.csv", from: "1001_movies,2,8,", to: "1001_movies,1,8,", says: "movie_lists.csv, line 4: film 1 of list 1001_movies is on line 2 already, with other values" },
    // The file as a whole.
    Damage { file: "movies.csv", from: "false,soft,\n", to: "fal", says: "movies.csv, line 5: the file is cut off" },
    Damage { file: "movies.csv", from: "Tab", to: "\"Tab", says: "movies.csv, line 5: the file is cut off" },
    Damage { file: "people.csv", from: "tmdb_id,name\n11,Ann Lee\n12,Bo Lee\n13,Cy Lee\n14,Cy Lee\n", to: "tmdb_id,na", says: "people.csv, line 1: the file is cut off" },
    Damage { file: "people.csv", from: "tmdb_id,name\n11,Ann Lee\n12,Bo Lee\n13,Cy Lee\n14,Cy Lee\n", to: "", says: "people.csv, line 1: the file is empty" },
    Damage { file: "people.csv", from: "12,Bo Lee\n13,Cy Lee\n", to: "12,\"Bo Lee\n13,\"Cy Lee\"\n", says: "people.csv, line 3: a quote in the wrong place" },
    Damage { file: "people.csv", from: "Bo Lee", to: "Bo \"Lee\"", says: "people.csv, line 3: a quote in the wrong place" },
    Damage { file: "people.csv", from: "Bo Lee", to: "Bo\0Lee", says: "people.csv, line 3: a NUL character" },
];

#[sqlx::test]
async fn damaged_files_are_rejected_and_leave_the_database_unchanged(pool: PgPool) {
    Files::new().import(&pool).await.unwrap();
    let before = contents(&pool).await;
    for damage in DAMAGES {
        let files = Files::new();
        // A valid change, which must not be imported.
        files.replace("movies.csv", "full,fr", "full,it");
        files.replace(damage.file, damage.from, damage.to);

        let error = files.import(&pool).await.expect_err(damage.says).to_string();

        assert!(error.contains(damage.says), "{:?} gave {error:?}, expected {:?}", damage.to, damage.says);
    }
    assert_eq!(contents(&pool).await, before);
}

#[sqlx::test]
async fn texts_longer_than_their_columns_are_rejected(pool: PgPool) {
    let files = Files::new();
    files.replace("people.csv", "Bo Lee", &"é".repeat(255));
    files.import(&pool).await.unwrap();
    files.replace("people.csv", "Ann Lee", &"é".repeat(256));

    let error = files.import(&pool).await.unwrap_err().to_string();

    assert!(
        error.starts_with("people.csv, line 2, column name: the text has 256 characters, expected 255 at most"),
        "{error}"
    );
}

#[sqlx::test]
async fn rows_and_headers_that_never_end_are_rejected_before_they_fill_the_memory(pool: PgPool) {
    let header = "tmdb_id,name\n11,Ann Lee\n\r\n";
    let (lines, wide) = ("x,\"\"y\n".repeat(300_000), "1,".repeat(300_000));
    for (people, says) in [
        (format!("{header}12,\"Bo {lines}"), "people.csv, line 4, column name: the row is longer than 1 MiB"),
        (format!("{header}\"12{lines}"), "people.csv, line 4, column tmdb_id: the row is longer than 1 MiB"),
        (
            format!("{header}12,{}\n", "é".repeat(600_000)),
            "people.csv, line 4, column name: the row is longer than 1 MiB",
        ),
        (format!("{header}{wide}1\n"), "people.csv, line 4: values in this row: 300001, columns in the header: 2"),
        (
            format!("{header}{wide}{wide}1\n"),
            "people.csv, line 4: the row is longer than 1 MiB, which value 524289 exceeds",
        ),
        (format!("tmdb_id,{}name\n", lines.replace('\n', "")), "people.csv, line 1: the row is longer than 1 MiB"),
        (
            format!("tmdb_id,{}name\n", (0..100_000).map(|n| format!("c{n},")).collect::<String>()),
            "people.csv, line 1, column c999: the header has 100002 columns, expected 1000 at most",
        ),
    ] {
        let files = Files::new();
        files.write("people.csv", people.as_bytes());
        let error = files.import(&pool).await.unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}, expected {says}");
    }
    let files = Files::new();
    files.write("people.csv", format!("{header}12,\"").as_bytes());
    // A hole of 64 GB: nothing that reads the file to its end could finish.
    std::fs::File::options().write(true).open(files.0.path().join("people.csv")).unwrap().set_len(1 << 36).unwrap();
    let error = files.import(&pool).await.unwrap_err().to_string();
    assert!(error.starts_with("people.csv, line 4, column name: the row is longer than 1 MiB"), "{error}");
}

#[sqlx::test]
async fn a_long_value_of_an_unknown_column_is_no_reason_to_reject_a_row(pool: PgPool) {
    let files = Files::new();
    let note = "a, \"\"b\"\"\n".repeat(100_000);
    files.write(
        "people.csv",
        format!("tmdb_id,note,name\n11,\"{note}\",Ann Lee\n12,,Bo Lee\n13,,Cy Lee\n14,,Cy Lee\n").as_bytes(),
    );
    files.import(&pool).await.unwrap();
}

#[sqlx::test]
async fn other_encodings_are_rejected(pool: PgPool) {
    let files = Files::new();
    files.write("people.csv", b"tmdb_id,name\n11,Ann Lee\n12,Andr\xe9\n");
    let latin1 = files.import(&pool).await.unwrap_err().to_string();
    assert!(latin1.starts_with("people.csv, line 3, column name: the text is not UTF-8"), "{latin1}");

    let utf16: Vec<u8> = "\u{feff}tmdb_id,name\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    files.write("people.csv", &utf16);
    let marked = files.import(&pool).await.unwrap_err().to_string();
    assert!(marked.starts_with("people.csv, line 1: the file is UTF-16"), "{marked}");

    files.write("people.csv", &utf16[2..]);
    let unmarked = files.import(&pool).await.unwrap_err().to_string();
    assert!(unmarked.starts_with("people.csv, line 1: a NUL character"), "{unmarked}");
    assert!(strings(&pool, "SELECT title FROM movies").await.is_empty());
}

#[sqlx::test]
async fn lines_are_counted_past_crlf_and_empty_lines(pool: PgPool) {
    let files = Files::new();
    files.write("people.csv", "\u{feff}tmdb_id,name\r\n\r\n11,\"Ann\r\nLee\"\r\n\n12,\r\n");

    let error = files.import(&pool).await.unwrap_err().to_string();

    assert!(error.starts_with("people.csv, line 6, column name: the value is missing"), "{error}");
}

#[sqlx::test]
async fn directory_without_movies_csv_is_rejected(pool: PgPool) {
    let files = Files::new();
    files.remove("movies.csv");
    assert!(matches!(files.import(&pool).await, Err(ImportError::NoMovies(_))));

    let file = files.0.path().join("people.csv");
    let import = import_csv(&store_of(&pool), &file, Generated::Refuse, &Clock::system(), &mut |_| ()).await;
    assert!(matches!(import, Err(ImportError::NotADirectory(_))));
}

#[sqlx::test]
async fn host_and_generated_movies_are_not_replaced(pool: PgPool) {
    let generated = "UPDATE cinegraph.installation SET catalogue_origin = 'generated'";
    sqlx::query(generated).execute(&pool).await.unwrap();
    assert!(matches!(Files::new().import(&pool).await, Err(ImportError::GeneratedCatalogue)));

    let empty = Files(tempfile::tempdir().unwrap());
    empty.write("movies.csv", "tmdb_id,imdb_id,title,release_date,adult,import_status,original_language\n");
    let replaced =
        import_csv(&store_of(&pool), empty.0.path(), Generated::Replace, &Clock::system(), &mut |_| ()).await;
    assert!(matches!(replaced, Err(ImportError::Empty)), "{replaced:?}");

    let foreign = "UPDATE cinegraph.installation SET owns_catalogue = false, catalogue_origin = NULL";
    sqlx::query(foreign).execute(&pool).await.unwrap();
    assert!(matches!(Files::new().import(&pool).await, Err(ImportError::ForeignCatalogue)));
    assert!(strings(&pool, "SELECT title FROM movies").await.is_empty());
}
