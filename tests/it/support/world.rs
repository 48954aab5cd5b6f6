//! A small random catalogue, from which tests compute in plain Rust what SQL computes from its tables.

use cinegraph::scoring::{Inputs, PersonRecord, person_quality};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;

/// The list whose labels the blind basis hides.
pub(crate) const TARGET: &str = "1001_movies";

const METRICS: [(&str, &str, f64); 5] = [
    ("tmdb", "rating_average", 10.0),
    ("imdb", "rating_average", 10.0),
    ("metacritic", "metascore", 100.0),
    ("rotten_tomatoes", "tomatometer", 100.0),
    ("tmdb", "popularity_score", 2000.0),
];

/// Movies and people, with ids from 1.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) movies: Vec<AnyMovie>,
    people: i64,
    /// Quality rows that another application left: person and score.
    qualities: Vec<(i64, Option<f64>)>,
}

/// A movie as its rows describe it, with implausible values too.
#[derive(Debug, Clone)]
pub(crate) struct AnyMovie {
    pub(crate) id: i64,
    pub(crate) full: bool,
    released: Option<&'static str>,
    sources: Json<Vec<&'static str>>,
    tmdb_data: Json<Option<f64>>,
    metrics: Vec<(&'static str, &'static str, Option<f64>)>,
    metadata: &'static str,
    /// The linked person, and whether it was won.
    nominations: Vec<(Option<i64>, Option<bool>)>,
    /// Credited people, in row order.
    credits: Vec<i64>,
}

/// A JSON column or NULL, and the value that Cinegraph must read from it.
#[derive(Debug, Clone)]
struct Json<T> {
    text: Option<String>,
    meaning: T,
}

impl World {
    /// Random, but the same in every run.
    pub(crate) fn of(movies: usize, people: usize) -> Self {
        let qualities = prop::collection::vec(prop::option::of(prop::option::of(quality())), people);
        let people = i64::try_from(people).unwrap();
        let drawn = (prop::collection::vec(movie(people), movies), qualities);
        let (mut movies, qualities) = drawn.new_tree(&mut TestRunner::deterministic()).unwrap().current();
        (1..).zip(&mut movies).for_each(|(id, movie)| movie.id = id);
        let qualities = (1..).zip(qualities).filter_map(|(person, row)| Some((person, row?))).collect();
        Self { movies, people, qualities }
    }

    /// Inserts movies, people, credits and nominations, but no quality.
    pub(crate) async fn insert(&self, pool: &PgPool) {
        let movies = &self.movies;
        sqlx::query(
            "INSERT INTO movies (id, tmdb_id, title, release_date, import_status, canonical_sources, tmdb_data,
                                 inserted_at, updated_at)
             SELECT id, id, 'Film ' || id, day::date, CASE WHEN complete THEN 'full' ELSE 'soft' END, sources::jsonb,
                    data::jsonb, now(), now()
             FROM unnest($1::integer[], $2::text[], $3::boolean[], $4::text[], $5::text[])
                  AS film (id, day, complete, sources, data)",
        )
        .bind(movies.iter().map(|movie| i32::try_from(movie.id).unwrap()).collect::<Vec<_>>())
        .bind(movies.iter().map(|movie| movie.released).collect::<Vec<_>>())
        .bind(movies.iter().map(|movie| movie.full).collect::<Vec<_>>())
        .bind(movies.iter().map(|movie| movie.sources.text.clone()).collect::<Vec<_>>())
        .bind(movies.iter().map(|movie| movie.tmdb_data.text.clone()).collect::<Vec<_>>())
        .execute(pool)
        .await
        .unwrap();

        let metrics = movies.iter().flat_map(|movie| movie.metrics.iter().map(move |metric| (movie, metric)));
        sqlx::query(
            "INSERT INTO external_metrics (movie_id, source, metric_type, value, metadata, fetched_at, inserted_at,
                                           updated_at)
             SELECT movie, source, kind, value, metadata::jsonb, now(), now(), now()
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::double precision[], $5::text[])
                  AS metric (movie, source, kind, value, metadata)",
        )
        .bind(metrics.clone().map(|(movie, _)| movie.id).collect::<Vec<_>>())
        .bind(metrics.clone().map(|(_, (source, _, _))| *source).collect::<Vec<_>>())
        .bind(metrics.clone().map(|(_, (_, kind, _))| *kind).collect::<Vec<_>>())
        .bind(metrics.clone().map(|(_, (_, _, value))| *value).collect::<Vec<_>>())
        .bind(metrics.map(|(movie, _)| movie.metadata).collect::<Vec<_>>())
        .execute(pool)
        .await
        .unwrap();

        sqlx::query(
            "INSERT INTO people (id, tmdb_id, name, inserted_at, updated_at)
             SELECT id, id, 'Person ' || id, now(), now() FROM generate_series(1, $1::integer) AS id",
        )
        .bind(i32::try_from(self.people).unwrap())
        .execute(pool)
        .await
        .unwrap();

        // Inserted last row first, because the order on disk must not matter.
        let credits = movies.iter().flat_map(|movie| movie.credits.iter().map(|person| (movie.id, *person)));
        sqlx::query(
            "INSERT INTO movie_credits (id, movie_id, person_id, credit_id, credit_type, inserted_at, updated_at)
             SELECT n, movie, person, n::text, 'cast', now(), now()
             FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS credit (movie, person, n) ORDER BY credit.n DESC",
        )
        .bind(credits.clone().map(|(movie, _)| movie).collect::<Vec<_>>())
        .bind(credits.map(|(_, person)| person).collect::<Vec<_>>())
        .execute(pool)
        .await
        .unwrap();

        let nominations = movies.iter().flat_map(|movie| movie.nominations.iter().map(|row| (movie.id, row.0, row.1)));
        sqlx::query(
            "WITH organization AS (
                 INSERT INTO festival_organizations (name, inserted_at, updated_at) VALUES ('Jury', now(), now())
                 RETURNING id
             ), ceremony AS (
                 INSERT INTO festival_ceremonies (organization_id, year, inserted_at, updated_at)
                 SELECT id, 2000, now(), now() FROM organization RETURNING id
             ), category AS (
                 INSERT INTO festival_categories (organization_id, name, inserted_at, updated_at)
                 SELECT id, 'Best', now(), now() FROM organization RETURNING id
             )
             INSERT INTO festival_nominations (ceremony_id, category_id, movie_id, person_id, won, details, inserted_at,
                                               updated_at)
             SELECT ceremony.id, category.id, movie, person, won, jsonb_build_object('nominee_names', n), now(), now()
             FROM ceremony, category,
                  unnest($1::bigint[], $2::bigint[], $3::boolean[]) WITH ORDINALITY AS nomination (movie, person, won, n)",
        )
        .bind(nominations.clone().map(|(movie, _, _)| movie).collect::<Vec<_>>())
        .bind(nominations.clone().map(|(_, person, _)| person).collect::<Vec<_>>())
        .bind(nominations.map(|(_, _, won)| won).collect::<Vec<_>>())
        .execute(pool)
        .await
        .unwrap();
    }

    /// Inserts the quality rows that another application left.
    pub(crate) async fn insert_qualities(&self, pool: &PgPool) {
        for (person, score) in &self.qualities {
            super::quality(pool, *person, *score).await;
        }
    }

    /// The inputs of a movie's criteria, with the quality rows of [`World::insert_qualities`].
    pub(crate) fn inputs(&self, movie: &AnyMovie) -> Inputs {
        let quality = |person| self.qualities.iter().find(|row| row.0 == person).and_then(|row| row.1);
        movie.inputs(quality)
    }

    /// The non-empty records, by person id.
    pub(crate) fn records(&self) -> Vec<(i64, PersonRecord)> {
        (1..=self.people).filter_map(|person| Some((person, self.record(person)?))).collect()
    }

    /// A movie's inputs on the blind basis, with person quality computed from the records.
    pub(crate) fn blind_inputs(&self, movie: &AnyMovie) -> Inputs {
        let inputs = movie.inputs(|person| {
            let hidden = self.movies_of(person).filter(|other| {
                other.is_listed() && other.decade().is_some_and(|decade| Some(decade) == movie.decade())
            });
            let raw = self.record(person)?.raw() - 10.0 * f64::from(count(hidden));
            Some(person_quality(raw))
        });
        Inputs { lists: inputs.lists - u32::from(movie.is_listed()), ..inputs }
    }

    fn movies_of(&self, person: i64) -> impl Iterator<Item = &AnyMovie> + Clone {
        self.movies.iter().filter(move |movie| movie.credits.contains(&person))
    }

    fn record(&self, person: i64) -> Option<PersonRecord> {
        let movies = self.movies_of(person);
        let own = self.movies.iter().flat_map(|movie| &movie.nominations).filter(|row| row.0 == Some(person));
        let unnamed = movies.clone().flat_map(|movie| &movie.nominations).filter(|row| row.0.is_none());
        let record = PersonRecord {
            canonical: movies.clone().map(|movie| count(&movie.sources.meaning)).sum(),
            well_rated: count(movies.clone().filter(|movie| movie.is_well_rated())),
            movies: count(movies),
            wins: count(own.clone().chain(unnamed.clone()).filter(|row| row.1 == Some(true))),
            nominations: count(own.clone().chain(unnamed)),
            direct_wins: count(own.clone().filter(|row| row.1 == Some(true))),
            direct_nominations: count(own),
        };
        (record != PersonRecord::default()).then_some(record)
    }
}

impl AnyMovie {
    /// First year of its decade.
    fn decade(&self) -> Option<i32> {
        self.released.map(|day| day[..4].parse::<i32>().unwrap() / 10 * 10)
    }

    fn is_listed(&self) -> bool {
        self.sources.meaning.contains(&TARGET)
    }

    fn is_well_rated(&self) -> bool {
        let rating = |source| self.metric(source, "rating_average").is_some_and(|value| value >= 7.0);
        rating("tmdb") || rating("imdb")
    }

    fn metric(&self, source: &str, kind: &str) -> Option<f64> {
        self.metrics.iter().find(|metric| (metric.0, metric.1) == (source, kind)).and_then(|metric| metric.2)
    }

    fn inputs(&self, quality: impl Fn(i64) -> Option<f64>) -> Inputs {
        let trapped = self.metadata.contains("list_appearances");
        let has_popularity = self.metrics.iter().any(|metric| metric.1 == "popularity_score");
        Inputs {
            tmdb_rating: self.metric("tmdb", "rating_average"),
            imdb_rating: self.metric("imdb", "rating_average"),
            metascore: self.metric("metacritic", "metascore"),
            tomatometer: self.metric("rotten_tomatoes", "tomatometer"),
            popularity: if trapped && has_popularity {
                self.tmdb_data.meaning
            } else {
                self.metric("tmdb", "popularity_score")
            },
            nominations: count(&self.nominations),
            wins: count(self.nominations.iter().filter(|row| row.1 == Some(true))),
            lists: count(&self.sources.meaning),
            people: self.credits.iter().filter_map(|person| quality(*person)).collect(),
        }
    }
}

fn count(items: impl IntoIterator) -> u32 {
    u32::try_from(items.into_iter().count()).unwrap()
}

fn movie(people: i64) -> impl Strategy<Value = AnyMovie> {
    let days = vec![None, Some("1994-05-01"), Some("1999-12-31"), Some("2003-07-07"), Some("2029-12-31")];
    let metadata = vec!["{}", r#"{"type": "list_appearances"}"#, r#"{"type": "popularity"}"#, "[]", "null"];
    let metrics = METRICS.map(|(source, kind, scale)| {
        let row = prop::option::weighted(0.8, prop::option::weighted(0.9, number(scale)));
        row.prop_map(move |row| row.map(|value| (source, kind, value)))
    });
    let nomination = (prop::option::of(1..=people), prop::option::of(any::<bool>()));
    (
        select(days),
        prop::bool::weighted(0.8),
        sources(),
        tmdb_data(),
        metrics,
        select(metadata),
        prop::collection::vec(nomination, 0..5),
        prop::collection::vec(1..=people, 0..6),
    )
        .prop_map(|(released, full, sources, tmdb_data, metrics, metadata, nominations, credits)| AnyMovie {
            id: 0,
            full,
            released,
            sources,
            tmdb_data,
            metrics: metrics.into_iter().flatten().collect(),
            metadata,
            nominations,
            credits,
        })
}

/// Mostly plausible, sometimes implausible.
fn number(scale: f64) -> impl Strategy<Value = f64> {
    let implausible = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, -0.0, 0.0, 1e4, 1e308, -1e308, 5e-324];
    prop_oneof![6 => 0.0..=scale, 1 => Just(7.0), 2 => select(implausible)]
}

fn quality() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..=100.0, 1 => select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -20.0, 0.0, 1e6])]
}

fn sources() -> impl Strategy<Value = Json<Vec<&'static str>>> {
    let entry = select(vec!["{}", "true", "null", "[]", r#"{"included": false}"#]);
    let lists = (subsequence(vec![TARGET, "criterion", "sight_and_sound"], 0..=3), entry).prop_map(|(lists, entry)| {
        let entries: Vec<_> = lists.iter().map(|key| format!("\"{key}\": {entry}")).collect();
        Json { text: Some(format!("{{{}}}", entries.join(", "))), meaning: lists }
    });
    let nothing = vec![None, Some("null"), Some("[]"), Some(r#"["1001_movies"]"#), Some(r#""1001_movies""#), Some("7")];
    let nothing = select(nothing).prop_map(|text| Json { text: text.map(Into::into), meaning: vec![] });
    prop_oneof![3 => lists, 1 => nothing]
}

fn tmdb_data() -> impl Strategy<Value = Json<Option<f64>>> {
    let popularity = (0.0..2000.0)
        .prop_map(|number| Json { text: Some(format!(r#"{{"popularity": {number}}}"#)), meaning: Some(number) });
    let nothing = vec![
        None,
        Some("{}"),
        Some("[12]"),
        Some(r#""popularity""#),
        Some(r#"{"popularity": "12.5"}"#),
        Some(r#"{"popularity": null}"#),
        Some(r#"{"popularity": 1e400}"#),
    ];
    let nothing = select(nothing).prop_map(|text| Json { text: text.map(Into::into), meaning: None });
    prop_oneof![popularity, nothing]
}
