//! A small catalogue at random: what SQL computes over its tables, a test computes plainly over the same rows.

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

/// Films and people with ids from 1 up.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) films: Vec<AnyFilm>,
    people: i64,
    /// Rows of quality that another system left: person and score.
    qualities: Vec<(i64, Option<f64>)>,
}

/// A film as its rows have it, absurd ones included.
#[derive(Debug, Clone)]
pub(crate) struct AnyFilm {
    pub(crate) id: i64,
    pub(crate) full: bool,
    released: Option<&'static str>,
    sources: Json<Vec<&'static str>>,
    tmdb_data: Json<Option<f64>>,
    metrics: Vec<(&'static str, &'static str, Option<f64>)>,
    metadata: &'static str,
    /// Who is named, and whether it was won.
    nominations: Vec<(Option<i64>, Option<bool>)>,
    /// Who is credited, in the order of the rows.
    credits: Vec<i64>,
}

/// A column of JSON, or NULL, and what there is to be read from it.
#[derive(Debug, Clone)]
struct Json<T> {
    text: Option<String>,
    meaning: T,
}

impl World {
    /// At random, yet the same in every run.
    pub(crate) fn of(films: usize, people: usize) -> Self {
        let qualities = prop::collection::vec(prop::option::of(prop::option::of(quality())), people);
        let people = i64::try_from(people).unwrap();
        let drawn = (prop::collection::vec(film(people), films), qualities);
        let (mut films, qualities) = drawn.new_tree(&mut TestRunner::deterministic()).unwrap().current();
        (1..).zip(&mut films).for_each(|(id, film)| film.id = id);
        let qualities = (1..).zip(qualities).filter_map(|(person, row)| Some((person, row?))).collect();
        Self { films, people, qualities }
    }

    /// Puts films, people, credits and nominations into the database, but no quality.
    pub(crate) async fn insert(&self, pool: &PgPool) {
        let films = &self.films;
        sqlx::query(
            "INSERT INTO movies (id, tmdb_id, title, release_date, import_status, canonical_sources, tmdb_data,
                                 inserted_at, updated_at)
             SELECT id, id, 'Film ' || id, day::date, CASE WHEN complete THEN 'full' ELSE 'soft' END, sources::jsonb,
                    data::jsonb, now(), now()
             FROM unnest($1::integer[], $2::text[], $3::boolean[], $4::text[], $5::text[])
                  AS film (id, day, complete, sources, data)",
        )
        .bind(films.iter().map(|film| i32::try_from(film.id).unwrap()).collect::<Vec<_>>())
        .bind(films.iter().map(|film| film.released).collect::<Vec<_>>())
        .bind(films.iter().map(|film| film.full).collect::<Vec<_>>())
        .bind(films.iter().map(|film| film.sources.text.clone()).collect::<Vec<_>>())
        .bind(films.iter().map(|film| film.tmdb_data.text.clone()).collect::<Vec<_>>())
        .execute(pool)
        .await
        .unwrap();

        let metrics = films.iter().flat_map(|film| film.metrics.iter().map(move |metric| (film, metric)));
        sqlx::query(
            "INSERT INTO external_metrics (movie_id, source, metric_type, value, metadata, fetched_at, inserted_at,
                                           updated_at)
             SELECT movie, source, kind, value, metadata::jsonb, now(), now(), now()
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::double precision[], $5::text[])
                  AS metric (movie, source, kind, value, metadata)",
        )
        .bind(metrics.clone().map(|(film, _)| film.id).collect::<Vec<_>>())
        .bind(metrics.clone().map(|(_, (source, _, _))| *source).collect::<Vec<_>>())
        .bind(metrics.clone().map(|(_, (_, kind, _))| *kind).collect::<Vec<_>>())
        .bind(metrics.clone().map(|(_, (_, _, value))| *value).collect::<Vec<_>>())
        .bind(metrics.map(|(film, _)| film.metadata).collect::<Vec<_>>())
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

        // The last row first: the order on disk must not matter.
        let credits = films.iter().flat_map(|film| film.credits.iter().map(|person| (film.id, *person)));
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

        let nominations = films.iter().flat_map(|film| film.nominations.iter().map(|row| (film.id, row.0, row.1)));
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

    /// Puts the qualities of people into the database as another system might have left them.
    pub(crate) async fn insert_qualities(&self, pool: &PgPool) {
        for (person, score) in &self.qualities {
            super::quality(pool, *person, *score).await;
        }
    }

    /// What a film's criteria are made of, with the qualities that [`World::insert_qualities`] leaves.
    pub(crate) fn inputs(&self, film: &AnyFilm) -> Inputs {
        let quality = |person| self.qualities.iter().find(|row| row.0 == person).and_then(|row| row.1);
        film.inputs(quality)
    }

    /// The record of each person who has one.
    pub(crate) fn records(&self) -> Vec<(i64, PersonRecord)> {
        (1..=self.people).filter_map(|person| Some((person, self.record(person)?))).collect()
    }

    /// A film's inputs as the blind basis has them, with qualities of our own computing.
    pub(crate) fn blind_inputs(&self, film: &AnyFilm) -> Inputs {
        let inputs = film.inputs(|person| {
            let hidden = self.films_of(person).filter(|other| {
                other.is_listed() && other.decade().is_some_and(|decade| Some(decade) == film.decade())
            });
            let raw = self.record(person)?.raw() - 10.0 * f64::from(count(hidden));
            Some(person_quality(raw))
        });
        Inputs { lists: inputs.lists - u32::from(film.is_listed()), ..inputs }
    }

    fn films_of(&self, person: i64) -> impl Iterator<Item = &AnyFilm> + Clone {
        self.films.iter().filter(move |film| film.credits.contains(&person))
    }

    fn record(&self, person: i64) -> Option<PersonRecord> {
        let films = self.films_of(person);
        let own = self.films.iter().flat_map(|film| &film.nominations).filter(|row| row.0 == Some(person));
        let unnamed = films.clone().flat_map(|film| &film.nominations).filter(|row| row.0.is_none());
        let record = PersonRecord {
            canonical: films.clone().map(|film| count(&film.sources.meaning)).sum(),
            well_rated: count(films.clone().filter(|film| film.is_well_rated())),
            films: count(films),
            wins: count(own.clone().chain(unnamed.clone()).filter(|row| row.1 == Some(true))),
            nominations: count(own.clone().chain(unnamed)),
            direct_wins: count(own.clone().filter(|row| row.1 == Some(true))),
            direct_nominations: count(own),
        };
        (record != PersonRecord::default()).then_some(record)
    }
}

impl AnyFilm {
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

fn film(people: i64) -> impl Strategy<Value = AnyFilm> {
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
        .prop_map(|(released, full, sources, tmdb_data, metrics, metadata, nominations, credits)| AnyFilm {
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

/// Mostly plausible, at times absurd.
fn number(scale: f64) -> impl Strategy<Value = f64> {
    let absurd = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, -0.0, 0.0, 1e4, 1e308, -1e308, 5e-324];
    prop_oneof![6 => 0.0..=scale, 1 => Just(7.0), 2 => select(absurd)]
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
