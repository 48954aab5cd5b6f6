//! Movies and what hangs on them: each statement takes many ids, so that a page costs as much as one movie.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::{Store, StoreError, WithDeadline};
use crate::scoring::MovieId;

/// A movie, without what hangs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Movie {
    /// Its id here.
    pub id: MovieId,
    /// Its id at `TMDb`; none where no source has mapped it.
    pub tmdb_id: Option<i32>,
    /// Its id at `IMDb`, "tt…".
    pub imdb_id: Option<String>,
    /// Its title.
    pub title: String,
    /// When it was first shown.
    pub release_date: Option<NaiveDate>,
    /// Two letters.
    pub original_language: Option<String>,
    /// Path of its poster at `TMDb`.
    pub poster_path: Option<String>,
    /// The lists that it is on, by key.
    pub lists: Vec<Membership>,
}

/// One movie's place on one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The list's key.
    pub list_key: String,
    /// Its number on the list, where the list numbers its films.
    pub position: Option<i32>,
    /// The edition that it was added in.
    pub edition: Option<String>,
}

/// What a movie is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MovieKey {
    /// Its id here.
    Id(MovieId),
    /// Its id at `TMDb`.
    Tmdb(i32),
    /// Its id at `IMDb`.
    Imdb(String),
}

/// A genre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genre {
    /// Its id here.
    pub id: i64,
    /// Its id at `TMDb`; none where it is of another source.
    pub tmdb_id: Option<i32>,
    /// Its name.
    pub name: String,
}

/// A country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1, two letters.
    pub code: String,
    /// Its name.
    pub name: String,
}

/// A number about a movie, from one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Who says so.
    pub source: String,
    /// What it is.
    pub metric_type: String,
    /// The number; none where the metric is a text, or no number.
    pub value: Option<f64>,
    /// When it was taken.
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
    /// Who was nominated, where somebody is named.
    pub person_name: Option<String>,
    /// Whether it won.
    pub won: bool,
}

/// A person's number in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub i64);

/// Somebody who worked on movies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id here.
    pub id: PersonId,
    /// Their id at `TMDb`; none where no source has mapped them.
    pub tmdb_id: Option<i32>,
    /// Their name.
    pub name: String,
}

/// One thing that one person did for one movie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// `TMDb`'s id of the credit.
    pub credit_id: String,
    /// Who.
    pub person: Person,
    /// Whether they acted; otherwise they were of the crew.
    pub cast: bool,
    /// Of the crew: the department.
    pub department: Option<String>,
    /// Of the crew: the job.
    pub job: Option<String>,
    /// Of the cast: the character.
    pub character: Option<String>,
}

/// How much a person's record speaks for a movie.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonQuality {
    /// 0 to 100.
    pub score: f64,
    /// The counts that it was made of.
    pub components: Value,
    /// When.
    pub calculated_at: DateTime<Utc>,
}

impl Store {
    /// Which of these movies are there, in no order.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn existing_movies(&self, ids: &[MovieId]) -> Result<Vec<MovieId>, StoreError> {
        let ids = numbers(ids);
        let mut statement = self.statement("movie_id").await?;
        let rows = sqlx::query_scalar!("SELECT id FROM public.movies WHERE id = ANY ($1)", &ids)
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        Ok(statement.rows(rows)?.into_iter().map(MovieId).collect())
    }

    /// Movies by id, in no order; those that are not there are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
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

    /// The id of a movie; the lowest where several carry the same `IMDb` id.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
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

    /// Movies whose title contains a text, whatever the case: by title in lower case, then by id, those after `after`.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
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
    /// [`StoreError`] when the database does not answer.
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
    /// [`StoreError`] when the database does not answer.
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
    /// [`StoreError`] when the database does not answer.
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
    /// [`StoreError`] when the database does not answer.
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

    /// Credits of movies: directors, then the cast as billed, then the rest of the crew.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
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

    /// Qualities of people; those who have none are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
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

/// A text as a pattern that matches nothing but itself.
fn literal(text: &str) -> String {
    let escaped = |c| ['\\', '%', '_'].contains(&c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}

/// Ids below 0 stand for rows that `TMDb` does not know.
pub(super) fn mapped(tmdb_id: i32) -> Option<i32> {
    Some(tmdb_id).filter(|id| *id >= 0)
}

/// Memberships, by key; none where the column is no object.
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
