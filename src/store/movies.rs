//! Movies and their details: each statement takes many ids, so that a page needs as many statements as one movie.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::{Store, StoreError, WithDeadline};
use crate::scoring::MovieId;

/// A movie without its details.
#[derive(Debug, Clone, PartialEq)]
pub struct Movie {
    /// Database id.
    pub id: MovieId,
    /// `TMDb` id; `None` for a movie without one.
    pub tmdb_id: Option<i32>,
    /// `IMDb` id, "tt…".
    pub imdb_id: Option<String>,
    /// Title.
    pub title: String,
    /// Release date.
    pub release_date: Option<NaiveDate>,
    /// Two-letter code.
    pub original_language: Option<String>,
    /// Path of the poster at `TMDb`.
    pub poster_path: Option<String>,
    /// List memberships, by key.
    pub lists: Vec<Membership>,
}

/// Membership of a movie in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Key of the list.
    pub list_key: String,
    /// Position on the list, if the list is numbered.
    pub position: Option<i32>,
    /// Edition that added the movie.
    pub edition: Option<String>,
}

/// Key of a movie lookup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MovieKey {
    /// Database id.
    Id(MovieId),
    /// `TMDb` id.
    Tmdb(i32),
    /// `IMDb` id.
    Imdb(String),
}

/// A genre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genre {
    /// Database id.
    pub id: i64,
    /// `TMDb` id; `None` for a genre from another source.
    pub tmdb_id: Option<i32>,
    /// Name.
    pub name: String,
}

/// A country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1, two letters.
    pub code: String,
    /// Name.
    pub name: String,
}

/// An external metric of a movie.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Source.
    pub source: String,
    /// Metric type.
    pub metric_type: String,
    /// Value; `None` for texts and non-finite numbers.
    pub value: Option<f64>,
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
}

/// A nomination, won or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FestivalEntry {
    /// Abbreviation of the organization, or its name.
    pub organization: String,
    /// Year of the ceremony.
    pub year: i32,
    /// Category.
    pub category: String,
    /// Name of the nominee, if any.
    pub person_name: Option<String>,
    /// Whether it won.
    pub won: bool,
}

/// Database id of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub i64);

/// A person with credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Database id.
    pub id: PersonId,
    /// `TMDb` id; `None` for a person without one.
    pub tmdb_id: Option<i32>,
    /// Name.
    pub name: String,
}

/// A credit of a person in a movie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// `TMDb`'s id of the credit.
    pub credit_id: String,
    /// The person.
    pub person: Person,
    /// Whether it is a cast credit; otherwise a crew credit.
    pub cast: bool,
    /// Department (crew).
    pub department: Option<String>,
    /// Job (crew).
    pub job: Option<String>,
    /// Character (cast).
    pub character: Option<String>,
}

/// Quality of a person's record.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonQuality {
    /// 0 to 100.
    pub score: f64,
    /// Counts that the score is derived from.
    pub components: Value,
    /// When it was computed.
    pub calculated_at: DateTime<Utc>,
}

impl Store {
    /// Existing movies among `ids`, in no particular order.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn existing_movies(&self, ids: &[MovieId]) -> Result<Vec<MovieId>, StoreError> {
        let ids = numbers(ids);
        let mut statement = self.statement("movie_id").await?;
        let rows = sqlx::query_scalar!("SELECT id FROM public.movies WHERE id = ANY ($1)", &ids)
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        Ok(statement.rows(rows)?.into_iter().map(MovieId).collect())
    }

    /// Movies by id, in no particular order; omits unknown ids.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_by_id(&self, ids: &[MovieId]) -> Result<Vec<Movie>, StoreError> {
        let ids = numbers(ids);
        let mut statement = self.statement("movies_by_id").await?;
        let rows = sqlx::query!(
            "SELECT id, tmdb_id, imdb_id, title, release_date, original_language, poster_path, canonical_sources
             FROM public.movies WHERE id = ANY ($1)",
            &ids
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        Ok(statement
            .rows(rows)?
            .into_iter()
            .map(|row| Movie {
                id: MovieId(row.id),
                tmdb_id: mapped(row.tmdb_id),
                imdb_id: row.imdb_id,
                title: row.title,
                release_date: row.release_date,
                original_language: row.original_language,
                poster_path: row.poster_path,
                lists: memberships(row.canonical_sources.as_ref()),
            })
            .collect())
    }

    /// Id of a movie; the lowest if several have the same `IMDb` id.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movie_id(&self, key: &MovieKey) -> Result<Option<MovieId>, StoreError> {
        let (id, tmdb, imdb) = match key {
            MovieKey::Id(id) => (Some(id.0), None, None),
            MovieKey::Tmdb(id) => (None, Some(*id), None),
            MovieKey::Imdb(id) => (None, None, Some(id.as_str())),
        };
        let mut statement = self.statement("movie_id").await?;
        let row = sqlx::query_scalar!(
            "SELECT id FROM public.movies WHERE id = $1 OR tmdb_id = $2 OR imdb_id = $3 ORDER BY id LIMIT 1",
            id,
            tmdb,
            imdb
        )
        .fetch_optional(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        Ok(statement.row(row)?.map(MovieId))
    }

    /// Movies after `after` whose title contains a text, case-insensitive, sorted by lower-case title, then id.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_by_title(
        &self,
        contains: &str,
        after: Option<&(String, MovieId)>,
        limit: usize,
    ) -> Result<Vec<(String, MovieId)>, StoreError> {
        let pattern = format!("%{}%", literal(contains));
        let mut statement = self.statement("movies_by_title").await?;
        let rows = sqlx::query_file!(
            "src/store/sql/movies_by_title.sql",
            pattern,
            after.map(|(title, _)| title.as_str()),
            after.map(|(_, id)| id.0),
            i64::try_from(limit).unwrap_or(i64::MAX)
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        Ok(statement.rows(rows)?.into_iter().map(|row| (row.title, MovieId(row.id))).collect())
    }

    /// Genres of movies, by name.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn genres_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Genre>>, StoreError> {
        let mut statement = self.statement("genres_of_movies").await?;
        let rows = sqlx::query!(
            "SELECT mg.movie_id, g.id, g.tmdb_id, g.name
             FROM public.movie_genres AS mg JOIN public.genres AS g ON g.id = mg.genre_id
             WHERE mg.movie_id = ANY ($1) ORDER BY g.name, g.id",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        let genre = |id, tmdb_id, name| Genre { id, tmdb_id: mapped(tmdb_id), name };
        Ok(grouped(statement.rows(rows)?.into_iter().map(|r| (MovieId(r.movie_id), genre(r.id, r.tmdb_id, r.name)))))
    }

    /// Production countries of movies, by code.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn countries_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Country>>, StoreError> {
        let mut statement = self.statement("countries_of_movies").await?;
        let rows = sqlx::query!(
            "SELECT mc.movie_id, c.iso_3166_1 AS code, c.name
             FROM public.movie_production_countries AS mc
             JOIN public.production_countries AS c ON c.id = mc.production_country_id
             WHERE mc.movie_id = ANY ($1) ORDER BY c.iso_3166_1",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        let rows = statement.rows(rows)?.into_iter();
        Ok(grouped(rows.map(|row| (MovieId(row.movie_id), Country { code: row.code, name: row.name }))))
    }

    /// Metrics of movies, by source and type.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn metrics_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Metric>>, StoreError> {
        let mut statement = self.statement("metrics_of_movies").await?;
        let rows = sqlx::query!(
            "SELECT movie_id, source, metric_type, value, fetched_at
             FROM public.external_metrics WHERE movie_id = ANY ($1) ORDER BY source, metric_type",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        Ok(grouped(statement.rows(rows)?.into_iter().map(|row| {
            let metric = Metric {
                source: row.source,
                metric_type: row.metric_type,
                value: row.value.filter(|value| value.is_finite()),
                fetched_at: row.fetched_at.and_utc(),
            };
            (MovieId(row.movie_id), metric)
        })))
    }

    /// Nominations of movies: latest first, then by organization and category.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn festival_entries_of(
        &self,
        ids: &[MovieId],
    ) -> Result<HashMap<MovieId, Vec<FestivalEntry>>, StoreError> {
        let mut statement = self.statement("festival_entries_of_movies").await?;
        let rows = sqlx::query_file!("src/store/sql/festival_entries_of_movies.sql", &numbers(ids))
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        Ok(grouped(statement.rows(rows)?.into_iter().map(|row| {
            let entry = FestivalEntry {
                organization: row.organization,
                year: row.year,
                category: row.category,
                person_name: row.person_name,
                won: row.won,
            };
            (MovieId(row.movie_id), entry)
        })))
    }

    /// Credits of movies: directors, then cast by billing order, then other crew.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn credits_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Credit>>, StoreError> {
        let mut statement = self.statement("credits_of_movies").await?;
        let rows = sqlx::query_file!("src/store/sql/credits_of_movies.sql", &numbers(ids))
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        Ok(grouped(statement.rows(rows)?.into_iter().map(|row| {
            let credit = Credit {
                credit_id: row.credit_id,
                person: Person { id: PersonId(row.person_id), tmdb_id: mapped(row.tmdb_id), name: row.name },
                cast: row.cast,
                department: row.department,
                job: row.job,
                character: row.character.filter(|character| !character.is_empty()),
            };
            (MovieId(row.movie_id), credit)
        })))
    }

    /// People by id; omits unknown ids.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn people_by_id(&self, ids: &[PersonId]) -> Result<HashMap<PersonId, Person>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut statement = self.statement("people_by_id").await?;
        let rows = sqlx::query!("SELECT id, tmdb_id, name FROM public.people WHERE id = ANY ($1)", &ids)
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        let rows = statement.rows(rows)?.into_iter().map(|row| {
            let id = PersonId(row.id);
            (id, Person { id, tmdb_id: mapped(row.tmdb_id), name: row.name })
        });
        Ok(rows.collect())
    }

    /// Quality of people; omits people without one.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn qualities_of(&self, ids: &[PersonId]) -> Result<HashMap<PersonId, PersonQuality>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut statement = self.statement("qualities_of_people").await?;
        let rows = sqlx::query!(
            r#"SELECT person_id, score AS "score!", coalesce(components, '{}') AS "components!", calculated_at
               FROM public.person_metrics
               WHERE person_id = ANY ($1) AND metric_type = 'quality_score' AND score <> 'NaN'"#,
            &ids
        )
        .fetch_all(statement.connection())
        .with_deadline(self.limits.request)
        .await;
        let rows = statement.rows(rows)?.into_iter().map(|row| {
            let calculated_at = row.calculated_at.and_utc();
            (PersonId(row.person_id), PersonQuality { score: row.score, components: row.components, calculated_at })
        });
        Ok(rows.collect())
    }
}

fn numbers(ids: &[MovieId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

fn grouped<K: Eq + Hash, V>(rows: impl Iterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in rows {
        groups.entry(key).or_default().push(value);
    }
    groups
}

/// Escapes a text as a LIKE pattern that matches it literally.
fn literal(text: &str) -> String {
    let escaped = |c| ['\\', '%', '_'].contains(&c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}

/// Negative ids mark rows without a `TMDb` id.
pub(super) fn mapped(tmdb_id: i32) -> Option<i32> {
    Some(tmdb_id).filter(|id| *id >= 0)
}

/// Memberships by key; empty if the column is not a JSON object.
fn memberships(sources: Option<&Value>) -> Vec<Membership> {
    let Some(Value::Object(sources)) = sources else { return Vec::new() };
    let membership = |(key, value): (&String, &Value)| Membership {
        list_key: key.clone(),
        position: value.get("list_position").and_then(Value::as_i64).and_then(|position| i32::try_from(position).ok()),
        edition: value.get("edition").and_then(|edition| match edition {
            Value::String(edition) => Some(edition.clone()),
            Value::Number(edition) => Some(edition.to_string()),
            _ => None,
        }),
    };
    sources.iter().map(membership).collect()
}
