//! Importing IMDb dumps: imported values, precedence of another source, and atomicity.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use cinegraph::clock::Clock;
use cinegraph::services::import::{
    Change, FileSummary, Generated, ImportError, ImportOptions, ImportSummary, SkipReason, import_csv, import_imdb,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::store_of;

const BASICS: &str = "title.basics.tsv.gz";
const RATINGS: &str = "title.ratings.tsv.gz";
const PRINCIPALS: &str = "title.principals.tsv.gz";
const NAMES: &str = "name.basics.tsv.gz";

/// Small dumps: two movies, and one title of each kind that is not imported.
pub(crate) const DUMPS: [(&str, &str); 4] = [
    (
        BASICS,
        "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n\
         tt0000001\tmovie\tThe \"Quoted, Film\tLe \"Film\t0\t1994\t\\N\t90\tDrama,Sci-Fi\n\
         tt0000002\ttvEpisode\tEpisode\tEpisode\t0\t1994\t\\N\t\\N\t\\N\n\
         tt0000003\tmovie\tNo \\ Genre\tX\t0\t2001\t\\N\t\\N\t\\N\n\
         tt0000004\tmovie\tUndated\tX\t0\t\\N\t\\N\t\\N\tDrama\n\
         tt0000005\tmovie\tFor adults\tX\t1\t1980\t\\N\t\\N\tAdult\n\
         tt0000006\tmovie\tUnseen\tX\t0\t1980\t\\N\t\\N\tDrama\n\
         tt0000007\tmovie\t\\N\tX\t0\t1980\t\\N\t\\N\tDrama\n\
         tt10000001\tmovie\tLate\tX\t0\t1999\t\\N\t\\N\tFilm-Noir,Musical,Music\n",
    ),
    (
        RATINGS,
        "tconst\taverageRating\tnumVotes\n\
         tt0000001\t7.5\t1000\ntt0000002\t9.1\t5000\ntt0000003\t6.0\t100\ntt0000006\t5.5\t99\ntt10000001\t8\t2000000\n",
    ),
    (
        PRINCIPALS,
        "tconst\tordering\tnconst\tcategory\tjob\tcharacters\n\
         tt0000001\t1\tnm0000001\tactor\t\\N\t[\"Jules \\\"J\\\"\",\"Self\"]\n\
         tt0000001\t2\tnm0000001\tdirector\t\\N\t\\N\n\
         tt0000001\t3\tnm0000002\tcinematographer\tdirector of photography\t\\N\n\
         tt0000001\t4\tnm0000002\tarchive_footage\t\\N\t\\N\n\
         tt0000001\t5\tnm0000009\teditor\t\\N\t\\N\n\
         tt0000002\t1\tnm0000003\tself\t\\N\t[\"Self\"]\n\
         tt10000001\t1\tnm10000001\tself\t\\N\t\\N\n",
    ),
    (
        NAMES,
        "nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n\
         nm0000001\tAnn Lee\t1950\t\\N\tactress,director\ttt0000001\n\
         nm0000002\tBo \"Bob\" Lee\t\\N\t\\N\t\\N\t\\N\n\
         nm0000003\tCy Lee\t\\N\t\\N\t\\N\t\\N\n\
         nm10000001\tDé Lee\t\\N\t\\N\t\\N\t\\N\n",
    ),
];

/// The dumps in a directory, for tests to damage.
struct Dumps(TempDir);

impl Dumps {
    fn new() -> Self {
        let dumps = Self(tempfile::tempdir().unwrap());
        for (name, text) in DUMPS {
            dumps.write(name, text);
        }
        dumps
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), gzip(text.as_ref())).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Rewrites a dump with the only occurrence of `from` replaced.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let (_, text) = DUMPS.iter().find(|(dump, _)| *dump == name).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}");
        self.write(name, text.replacen(from, to, 1));
    }

    async fn import(&self, pool: &PgPool) -> Result<ImportSummary, ImportError> {
        self.import_with(pool, 100).await
    }

    async fn import_with(&self, pool: &PgPool, min_votes: u32) -> Result<ImportSummary, ImportError> {
        import_imdb(&store_of(pool), self.0.path(), min_votes, Generated::Refuse, &Clock::system(), &mut |_| ()).await
    }
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

/// Imports CSV files with two movies, one of which IMDb lists as an episode.
async fn import_csv_movies(pool: &PgPool, credits: bool) -> ImportSummary {
    let dir = tempfile::tempdir().unwrap();
    let write = |name, text| fs::write(dir.path().join(name), text).unwrap();
    write(
        "movies.csv",
        "tmdb_id,imdb_id,title,release_date,adult,import_status,original_language\n\
         71,tt0000001,The Film,1994-10-14,false,full,fr\n\
         72,tt0000002,Of Ten Hours,1994-05-01,false,full,en\n",
    );
    if credits {
        write("people.csv", "tmdb_id,name\n11,Ann Lee\n");
        write(
            "movie_credits.csv",
            "movie_tmdb_id,person_tmdb_id,credit_id,credit_type,department,job,character,cast_order\n\
             71,11,c1,crew,Directing,Director,,\n",
        );
    }
    import_csv(&store_of(pool), dir.path(), Generated::Refuse, &Clock::system(), &mut |_| ()).await.unwrap()
}

fn of<'a>(summary: &'a ImportSummary, name: &str) -> &'a FileSummary {
    summary.files.iter().find(|file| file.name == name).unwrap()
}

/// All rows of the tables that are filled, with the transaction that wrote each.
async fn contents(pool: &PgPool) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["movies", "people", "external_metrics", "movie_credits", "genres", "movie_genres"] {
        let statement = format!("SELECT xmin::text || ' ' || t::text FROM public.{table} AS t ORDER BY 1");
        rows.extend(sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement)).fetch_all(pool).await.unwrap());
    }
    rows
}

async fn strings(pool: &PgPool, statement: &'static str) -> Vec<String> {
    sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
}

const MOVIES: &str =
    "SELECT concat_ws('|', tmdb_id, imdb_id, title, release_date, import_status) FROM movies ORDER BY id";
const METRICS: &str = "SELECT concat_ws('|', m.imdb_id, e.source, e.metric_type, e.value)
                       FROM external_metrics AS e JOIN movies AS m ON m.id = e.movie_id ORDER BY 1";
const CREDITS: &str = "SELECT concat_ws('|', m.imdb_id, p.name, c.credit_id, c.credit_type, c.department,
                                        coalesce(c.job, '-'), coalesce(c.character, '-'), coalesce(c.cast_order::text, '-'))
                       FROM movie_credits AS c JOIN movies AS m ON m.id = c.movie_id JOIN people AS p ON p.id = c.person_id
                       ORDER BY c.credit_id";

#[sqlx::test]
async fn movies_with_votes_and_a_year_are_imported_with_ratings_genres_and_credits(pool: PgPool) {
    Dumps::new().import(&pool).await.unwrap();

    assert_eq!(
        strings(&pool, MOVIES).await,
        [
            "-1|tt0000001|The \"Quoted, Film|1994-01-01|full",
            "-3|tt0000003|No \\ Genre|2001-01-01|full",
            "-10000001|tt10000001|Late|1999-01-01|full"
        ]
    );
    assert_eq!(
        strings(&pool, METRICS).await,
        [
            "tt0000001|imdb|rating_average|7.5",
            "tt0000001|imdb|rating_votes|1000",
            "tt0000003|imdb|rating_average|6",
            "tt0000003|imdb|rating_votes|100",
            "tt10000001|imdb|rating_average|8",
            "tt10000001|imdb|rating_votes|2000000",
        ]
    );
    assert_eq!(
        strings(&pool, CREDITS).await,
        [
            "tt0000001|Ann Lee|imdb-tt0000001-1|cast|Acting|-|Jules \"J\" / Self|1",
            "tt0000001|Ann Lee|imdb-tt0000001-2|crew|Directing|Director|-|-",
            "tt0000001|Bo \"Bob\" Lee|imdb-tt0000001-3|crew|Camera|Director of Photography|-|-",
            "tt10000001|Dé Lee|imdb-tt10000001-1|cast|Acting|-|-|1",
        ]
    );
    let people = "SELECT concat_ws('|', tmdb_id, imdb_id, name) FROM people ORDER BY id";
    assert_eq!(
        strings(&pool, people).await,
        ["-1|nm0000001|Ann Lee", "-2|nm0000002|Bo \"Bob\" Lee", "-10000001|nm10000001|Dé Lee"]
    );
    let genres = "SELECT concat_ws('|', m.imdb_id, g.tmdb_id, g.name)
                  FROM movie_genres AS mg JOIN movies AS m ON m.id = mg.movie_id JOIN genres AS g ON g.id = mg.genre_id
                  ORDER BY 1";
    assert_eq!(
        strings(&pool, genres).await,
        ["tt0000001|18|Drama", "tt0000001|878|Science Fiction", "tt10000001|-1|Film-Noir", "tt10000001|10402|Music"]
    );
}

#[sqlx::test]
async fn the_summary_says_what_was_skipped_and_why(pool: PgPool) {
    let summary = Dumps::new().import(&pool).await.unwrap();

    insta::assert_snapshot!(summary, @r"
    file                           rows   inserted    updated  unchanged    skipped
    title.basics.tsv.gz               8          3          0          0          5
    - its genres                      4          4          0          0          0
    title.ratings.tsv.gz              5          3          0          0          2
    name.basics.tsv.gz                4          3          0          0          1
    title.principals.tsv.gz           7          4          0          0          3
    skipped in title.basics.tsv.gz: 1 of another type than movie
    skipped in title.basics.tsv.gz: 1 for adults
    skipped in title.basics.tsv.gz: 1 without a name
    skipped in title.basics.tsv.gz: 1 without a year
    skipped in title.basics.tsv.gz: 1 with too few votes
    skipped in title.ratings.tsv.gz: 2 of a movie that is not imported
    skipped in name.basics.tsv.gz: 1 without a credit in an imported movie
    skipped in title.principals.tsv.gz: 1 of an unsupported category
    skipped in title.principals.tsv.gz: 1 of a movie that is not imported
    skipped in title.principals.tsv.gz: 1 of a person missing from the files
    ");
}

#[sqlx::test]
async fn a_second_import_changes_no_row(pool: PgPool) {
    let dumps = Dumps::new();
    dumps.import(&pool).await.unwrap();
    let before = contents(&pool).await;

    let summary = dumps.import(&pool).await.unwrap();

    assert!(summary.is_unchanged(), "{summary}");
    assert_eq!(contents(&pool).await, before);
}

#[sqlx::test]
async fn changed_lines_update_their_rows(pool: PgPool) {
    let dumps = Dumps::new();
    dumps.import(&pool).await.unwrap();
    dumps.replace(RATINGS, "7.5\t1000", "7.6\t1000");
    dumps.replace(NAMES, "Dé Lee", "Dee Lee");

    let summary = dumps.import(&pool).await.unwrap();

    let counts = |name| (of(&summary, name).inserted, of(&summary, name).updated, of(&summary, name).unchanged);
    assert_eq!((counts(RATINGS), counts(NAMES)), ((0, 1, 2), (0, 1, 2)));
}

#[sqlx::test]
async fn min_votes_skips_titles_with_fewer_votes(pool: PgPool) {
    let dumps = Dumps::new();

    let many = dumps.import_with(&pool, 1001).await.unwrap();
    assert_eq!(of(&many, BASICS).inserted, 1);
    dumps.remove(RATINGS);
    let all = dumps.import_with(&pool, 0).await.unwrap();
    assert_eq!((of(&all, BASICS).inserted, of(&all, BASICS).unchanged), (3, 1));
    assert_eq!(all.missing_files, [RATINGS]);
}

#[sqlx::test]
async fn decompressed_and_multi_member_dumps_are_read(pool: PgPool) {
    let dumps = Dumps::new();
    dumps.import(&pool).await.unwrap();
    for (name, text) in DUMPS {
        if name == BASICS {
            let (one, two) = text.as_bytes().split_at(200);
            fs::write(dumps.path(name), [gzip(one), gzip(two)].concat()).unwrap();
        } else {
            dumps.remove(name);
            fs::write(dumps.path(name.strip_suffix(".gz").unwrap()), text).unwrap();
        }
    }

    let summary = dumps.import(&pool).await.unwrap();

    assert!(summary.is_unchanged(), "{summary}");
    assert_eq!(of(&summary, "title.ratings.tsv").unchanged, 3);
}

#[sqlx::test]
async fn movies_of_another_source_get_only_ratings(pool: PgPool) {
    import_csv_movies(&pool, true).await;

    let summary = Dumps::new().import(&pool).await.unwrap();

    assert_eq!(
        strings(&pool, MOVIES).await,
        [
            "71|tt0000001|The Film|1994-10-14|full",
            // Listed as an episode at IMDb.
            "72|tt0000002|Of Ten Hours|1994-05-01|full",
            "-3|tt0000003|No \\ Genre|2001-01-01|full",
            "-10000001|tt10000001|Late|1999-01-01|full",
        ]
    );
    assert_eq!(
        strings(&pool, METRICS).await[..3],
        ["tt0000001|imdb|rating_average|7.5", "tt0000001|imdb|rating_votes|1000", "tt0000002|imdb|rating_average|9.1",]
    );
    // The first has credits, the second none.
    assert_eq!(
        strings(&pool, CREDITS).await,
        [
            "tt0000001|Ann Lee|c1|crew|Directing|Director|-|-",
            "tt0000002|Cy Lee|imdb-tt0000002-1|cast|Acting|-|Self|1",
            "tt10000001|Dé Lee|imdb-tt10000001-1|cast|Acting|-|-|1",
        ]
    );
    assert!(of(&summary, BASICS).skipped.contains(&(SkipReason::OtherSource, 2)), "{summary}");
    assert!(Dumps::new().import(&pool).await.unwrap().is_unchanged());
}

#[sqlx::test]
async fn later_mapping_creates_no_duplicate_movie(pool: PgPool) {
    Dumps::new().import(&pool).await.unwrap();
    let ids = strings(&pool, "SELECT id::text FROM movies WHERE imdb_id = 'tt0000001'").await;

    let summary = import_csv_movies(&pool, true).await;

    let movies = of(&summary, "movies.csv");
    assert_eq!((movies.inserted, movies.updated, movies.unchanged), (1, 1, 0));
    assert_eq!(
        strings(&pool, MOVIES).await,
        [
            "71|tt0000001|The Film|1994-10-14|full",
            "-3|tt0000003|No \\ Genre|2001-01-01|full",
            "-10000001|tt10000001|Late|1999-01-01|full",
            "72|tt0000002|Of Ten Hours|1994-05-01|full",
        ]
    );
    assert_eq!(strings(&pool, "SELECT id::text FROM movies WHERE tmdb_id = 71").await, ids);
    // The CSV credits replace those of IMDb; the ratings stay.
    let credits = strings(&pool, CREDITS).await;
    assert_eq!(credits[0], "tt0000001|Ann Lee|c1|crew|Directing|Director|-|-");
    assert_eq!(credits.len(), 2);
    assert_eq!(strings(&pool, METRICS).await[0], "tt0000001|imdb|rating_average|7.5");
    assert!(import_csv_movies(&pool, true).await.is_unchanged());
}

#[sqlx::test]
async fn mapping_without_credits_keeps_imdb_credits(pool: PgPool) {
    let dumps = Dumps::new();
    dumps.import(&pool).await.unwrap();
    import_csv_movies(&pool, false).await;

    let summary = dumps.import(&pool).await.unwrap();

    assert_eq!(of(&summary, PRINCIPALS).unchanged, 4);
    // The title that IMDb lists as an episode is now a movie of the other source.
    assert_eq!(of(&summary, PRINCIPALS).inserted, 1);
}

#[sqlx::test]
async fn movie_stored_under_both_ids_is_merged(pool: PgPool) {
    import_csv_movies(&pool, false).await;
    sqlx::query("UPDATE movies SET imdb_id = NULL").execute(&pool).await.unwrap();
    Dumps::new().import(&pool).await.unwrap();

    import_csv_movies(&pool, false).await;

    assert_eq!(strings(&pool, MOVIES).await[0], "71|tt0000001|The Film|1994-10-14|full");
    assert_eq!(strings(&pool, "SELECT tmdb_id::text FROM movies WHERE imdb_id = 'tt0000001'").await, ["71"]);
    assert_eq!(strings(&pool, METRICS).await[0], "tt0000001|imdb|rating_average|7.5");
}

#[sqlx::test]
async fn people_of_another_source_are_matched_by_imdb_id(pool: PgPool) {
    let person = "INSERT INTO people (tmdb_id, imdb_id, name, inserted_at, updated_at)
                  VALUES (11, 'nm0000001', 'A. Lee', now(), now())";
    sqlx::query(person).execute(&pool).await.unwrap();

    let summary = Dumps::new().import(&pool).await.unwrap();

    assert_eq!(
        strings(&pool, CREDITS).await[0],
        "tt0000001|A. Lee|imdb-tt0000001-1|cast|Acting|-|Jules \"J\" / Self|1"
    );
    assert!(of(&summary, NAMES).skipped.contains(&(SkipReason::OtherSource, 1)));
}

/// One way to damage the dumps, and what the error must say.
struct Damage {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    says: &'static str,
}

#[rustfmt::skip]
const DAMAGES: &[Damage] = &[
    Damage { file: BASICS, from: "isAdult\t", to: "", says: "title.basics.tsv.gz, line 1, column isAdult: the header lacks this column" },
    Damage { file: BASICS, from: "tt0000003\tmovie", to: "tt0000003\tmovie\tmovie", says: "title.basics.tsv.gz, line 4: values in this row: 10, columns in the header: 9" },
    Damage { file: BASICS, from: "tt0000003", to: "3", says: "title.basics.tsv.gz, line 4, column tconst: \"3\" is not an id like tt0111161" },
    Damage { file: BASICS, from: "tt0000003", to: "tt0000001", says: "title.basics.tsv.gz, line 4: tt0000001 is on line 2 already" },
    Damage { file: BASICS, from: "0\t2001", to: "0\tMMI", says: "title.basics.tsv.gz, line 4, column startYear: \"MMI\" is not a whole number" },
    Damage { file: BASICS, from: "0\t2001", to: "2\t2001", says: "title.basics.tsv.gz, line 4, column isAdult: \"2\" is not one of 0, 1" },
    Damage { file: BASICS, from: "No \\ Genre", to: "N\0l", says: "title.basics.tsv.gz, line 4: a NUL character" },
    Damage { file: BASICS, from: "\t1999\t\\N\t\\N\tFilm-Noir,Musical,Music\n", to: "\t1999\t\\N", says: "title.basics.tsv.gz, line 9: the file is cut off" },
    Damage { file: RATINGS, from: "6.0", to: "good", says: "title.ratings.tsv.gz, line 4, column averageRating: \"good\" is not a number" },
    Damage { file: RATINGS, from: "6.0", to: "60", says: "title.ratings.tsv.gz, line 4, column averageRating: 60 is off the scale of imdb rating_average: expected 0 to 10" },
    Damage { file: RATINGS, from: "6.0", to: "NaN", says: "line 4, column averageRating: \"NaN\" is not a number" },
    Damage { file: RATINGS, from: "\t99\n", to: "\t-1\n", says: "title.ratings.tsv.gz, line 5, column numVotes: -1 is out of range" },
    Damage { file: RATINGS, from: "tt0000006", to: "tt0000003", says: "title.ratings.tsv.gz, line 5: tt0000003 is on line 4 already" },
    Damage { file: PRINCIPALS, from: "5\tnm0000009", to: "5\t9", says: "title.principals.tsv.gz, line 6, column nconst: \"9\" is not an id like nm0000151" },
    Damage { file: PRINCIPALS, from: "5\tnm0000009", to: "3\tnm0000009", says: "title.principals.tsv.gz, line 6: imdb-tt0000001-3 is on line 4 already" },
    Damage { file: NAMES, from: "nm0000002", to: "nm0000001", says: "name.basics.tsv.gz, line 3: nm0000001 is on line 2 already" },
];

#[sqlx::test]
async fn damaged_dumps_are_rejected_and_leave_the_database_unchanged(pool: PgPool) {
    Dumps::new().import(&pool).await.unwrap();
    let before = contents(&pool).await;
    for damage in DAMAGES {
        let dumps = Dumps::new();
        // A valid change, which must not be imported.
        dumps.replace(NAMES, "Dé Lee", "Dee Lee");
        dumps.replace(damage.file, damage.from, damage.to);

        let error = dumps.import(&pool).await.expect_err(damage.says).to_string();

        assert!(error.contains(damage.says), "{:?} gave {error:?}, expected {:?}", damage.to, damage.says);
    }
    assert_eq!(contents(&pool).await, before);
}

#[sqlx::test]
async fn damaged_archives_are_rejected(pool: PgPool) {
    let dumps = Dumps::new();
    let whole = fs::read(dumps.path(NAMES)).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xFF;
    let mut not_utf8 = DUMPS[3].1.as_bytes().to_vec();
    let at = DUMPS[3].1.find("Dé").unwrap();
    not_utf8[at] = 0xE9;
    for (bytes, says) in [
        (whole[..whole.len() - 1].to_vec(), "the file is cut off"),
        (whole[..whole.len() / 2].to_vec(), "the file is cut off"),
        (gzip(b"<html><body>404"), "the file is a web page"),
        (b"{\"error\": 404}".to_vec(), "the file is JSON"),
        (flipped, "the file is not gzip, or damaged"),
        (Vec::new(), "name.basics.tsv.gz, line 1: the file is empty"),
        (gzip(b""), "name.basics.tsv.gz, line 1: the file is empty"),
        (gzip(&not_utf8), "name.basics.tsv.gz, line 5, column primaryName: the text is not UTF-8"),
        (gzip(&vec![b'x'; 2 << 20]), "name.basics.tsv.gz, line 1: the line is longer than 1 MiB"),
    ] {
        fs::write(dumps.path(NAMES), bytes).unwrap();

        let error = dumps.import(&pool).await.expect_err(says).to_string();

        assert!(error.starts_with("name.basics.tsv.gz, line ") && error.contains(says), "{error:?}, expected {says:?}");
    }
    assert!(strings(&pool, MOVIES).await.is_empty());
}

#[sqlx::test]
async fn unpacked_dumps_with_crlf_and_without_a_last_line_break_are_read(pool: PgPool) {
    Dumps::new().import(&pool).await.unwrap();
    let dumps = Dumps::new();
    for (name, text) in DUMPS {
        dumps.remove(name);
        let plain = name.strip_suffix(".gz").unwrap();
        let text = format!("\u{feff}{}", text.trim_end().replace('\n', "\r\n"));
        fs::write(dumps.path(plain), text).unwrap();
    }

    let summary = dumps.import(&pool).await.unwrap();

    assert!(summary.is_unchanged(), "{summary}");
    assert_eq!(of(&summary, "title.ratings.tsv").changes.of(Change::NoLineBreak), 1);
}

#[sqlx::test]
async fn texts_of_dumps_are_cleaned_and_counted(pool: PgPool) {
    let dumps = Dumps::new();
    dumps.replace(BASICS, "No \\ Genre", &format!("\x1b[2J{}", "x".repeat(300)));
    dumps.replace(NAMES, "Dé Lee", "\x07");

    let summary = dumps.import(&pool).await.unwrap();

    let titles = "SELECT title FROM movies WHERE imdb_id = 'tt0000003'";
    assert_eq!(strings(&pool, titles).await, [format!("[2J{}", "x".repeat(252))]);
    let changes = &of(&summary, BASICS).changes;
    assert_eq!([Change::ControlCharacters, Change::Shortened].map(|change| changes.of(change)), [1, 1]);
    assert!(of(&summary, NAMES).skipped.contains(&(SkipReason::NoName, 1)));
    let strict = ImportOptions { strict: true, ..Generated::Refuse.into() };
    let refused = import_imdb(&store_of(&pool), dumps.0.path(), 100, strict, &Clock::system(), &mut |_| ()).await;
    assert!(matches!(refused, Err(ImportError::Changes(_))), "{refused:?}");
}

#[sqlx::test]
async fn title_basics_is_required_and_ratings_is_required_with_min_votes(pool: PgPool) {
    let dumps = Dumps::new();
    dumps.remove(RATINGS);
    assert!(matches!(dumps.import(&pool).await, Err(ImportError::NoRatings(_))));

    dumps.remove(BASICS);
    assert!(matches!(dumps.import(&pool).await, Err(ImportError::NoTitles(_))));
}

#[sqlx::test]
async fn host_and_generated_movies_are_not_replaced(pool: PgPool) {
    let generated = "UPDATE cinegraph.installation SET catalogue_origin = 'generated'";
    sqlx::query(generated).execute(&pool).await.unwrap();
    assert!(matches!(Dumps::new().import(&pool).await, Err(ImportError::GeneratedCatalogue)));
    let replace = Generated::Replace;
    let replaced =
        import_imdb(&store_of(&pool), Dumps::new().0.path(), 100, replace, &Clock::system(), &mut |_| ()).await;
    assert!(replaced.is_ok(), "{replaced:?}");

    let foreign = "UPDATE cinegraph.installation SET owns_catalogue = false, catalogue_origin = NULL";
    sqlx::query(foreign).execute(&pool).await.unwrap();
    assert!(matches!(Dumps::new().import(&pool).await, Err(ImportError::ForeignCatalogue)));
}
