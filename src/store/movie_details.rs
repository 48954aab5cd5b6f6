//! Details of movies. Each statement takes many ids, so that a page of movies needs no more statements than one movie.
//! Movies without any detail of a kind are not in the map that is returned.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};

use super::error::StoreError;
use super::movies::{numbers, real_tmdb_id};
use super::people::{Person, PersonId};
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::MovieId;

/// What a movie is about: what lists of movies do not need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Title in the original language.
    pub original_title: Option<String>,
    /// Summary of the plot.
    pub overview: Option<String>,
    /// Running time in minutes.
    pub runtime: Option<i32>,
    /// Path of the backdrop at `TMDb`.
    pub backdrop_path: Option<String>,
}

/// A genre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genre {
    /// Database id.
    pub id: i64,
    /// `TMDb` id; `None` for a genre that `TMDb` does not have.
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
    /// Name of the organization.
    pub organization_name: String,
    /// Year of the ceremony.
    pub year: i32,
    /// Category.
    pub category: String,
    /// Name of the nominee, if any.
    pub person_name: Option<String>,
    /// Whether it won.
    pub won: bool,
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

impl Store {
    /// What each movie is about. Empty texts and a running time of 0, which `TMDb` has for what it does not know, are
    /// `None`. Measured under the name of the statement that loads the movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn descriptions_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Description>, StoreError> {
        let mut statement = self.statement(QueryName::MoviesById).await?;
        let rows = sqlx::query!(
            "SELECT id, nullif(original_title, '') AS original_title, nullif(overview, '') AS overview,
                    CASE WHEN runtime > 0 THEN runtime END AS runtime, nullif(backdrop_path, '') AS backdrop_path
             FROM public.movies WHERE id = ANY ($1)",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .await;
        let rows = statement.rows(rows)?.into_iter().map(|row| {
            let description = Description {
                original_title: row.original_title,
                overview: row.overview,
                runtime: row.runtime,
                backdrop_path: row.backdrop_path,
            };
            (MovieId(row.id), description)
        });
        Ok(rows.collect())
    }

    /// Directors of each movie, each once, in the order of their credits. Measured under the name of the statement that
    /// loads all credits, which takes longer.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn directors_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Person>>, StoreError> {
        let mut statement = self.statement(QueryName::CreditsOfMovies).await?;
        let rows = sqlx::query!(
            "SELECT c.movie_id, p.id, p.tmdb_id, p.name
             FROM public.movie_credits AS c JOIN public.people AS p ON p.id = c.person_id
             WHERE c.movie_id = ANY ($1) AND c.credit_type = 'crew' AND c.job = 'Director'
             GROUP BY c.movie_id, p.id ORDER BY min(c.id)",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .await;
        let person = |id, tmdb_id, name| Person { id: PersonId(id), tmdb_id: real_tmdb_id(tmdb_id), name };
        Ok(grouped(statement.rows(rows)?.into_iter().map(|r| (MovieId(r.movie_id), person(r.id, r.tmdb_id, r.name)))))
    }

    /// Genres of each movie, sorted by name.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn genres_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Genre>>, StoreError> {
        let mut statement = self.statement(QueryName::GenresOfMovies).await?;
        let rows = sqlx::query!(
            "SELECT mg.movie_id, g.id, g.tmdb_id, g.name
             FROM public.movie_genres AS mg JOIN public.genres AS g ON g.id = mg.genre_id
             WHERE mg.movie_id = ANY ($1) ORDER BY g.name, g.id",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .await;
        let genre = |id, tmdb_id, name| Genre { id, tmdb_id: real_tmdb_id(tmdb_id), name };
        Ok(grouped(statement.rows(rows)?.into_iter().map(|r| (MovieId(r.movie_id), genre(r.id, r.tmdb_id, r.name)))))
    }

    /// Production countries of each movie, sorted by code.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn countries_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Country>>, StoreError> {
        let mut statement = self.statement(QueryName::CountriesOfMovies).await?;
        let rows = sqlx::query!(
            "SELECT mc.movie_id, c.iso_3166_1 AS code, c.name
             FROM public.movie_production_countries AS mc
             JOIN public.production_countries AS c ON c.id = mc.production_country_id
             WHERE mc.movie_id = ANY ($1) ORDER BY c.iso_3166_1",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
        .await;
        let rows = statement.rows(rows)?.into_iter();
        Ok(grouped(rows.map(|row| (MovieId(row.movie_id), Country { code: row.code, name: row.name }))))
    }

    /// Metrics of each movie, sorted by source and type.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn metrics_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Metric>>, StoreError> {
        let mut statement = self.statement(QueryName::MetricsOfMovies).await?;
        let rows = sqlx::query!(
            "SELECT movie_id, source, metric_type, value, fetched_at
             FROM public.external_metrics WHERE movie_id = ANY ($1) ORDER BY source, metric_type",
            &numbers(ids)
        )
        .fetch_all(statement.connection())
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

    /// Nominations of each movie: the latest year first; within a year, sorted by organization and category.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn festival_entries_of(
        &self,
        ids: &[MovieId],
    ) -> Result<HashMap<MovieId, Vec<FestivalEntry>>, StoreError> {
        let mut statement = self.statement(QueryName::FestivalEntriesOfMovies).await?;
        let rows = sqlx::query_file!("src/store/sql/festival_entries_of_movies.sql", &numbers(ids))
            .fetch_all(statement.connection())
            .await;
        Ok(grouped(statement.rows(rows)?.into_iter().map(|row| {
            let entry = FestivalEntry {
                organization: row.organization,
                organization_name: row.organization_name,
                year: row.year,
                category: row.category,
                person_name: row.person_name,
                won: row.won,
            };
            (MovieId(row.movie_id), entry)
        })))
    }

    /// Credits of each movie: directors, then the cast in billing order, then the other crew.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn credits_of(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, Vec<Credit>>, StoreError> {
        let mut statement = self.statement(QueryName::CreditsOfMovies).await?;
        let rows = sqlx::query_file!("src/store/sql/credits_of_movies.sql", &numbers(ids))
            .fetch_all(statement.connection())
            .await;
        Ok(grouped(statement.rows(rows)?.into_iter().map(|row| {
            let credit = Credit {
                credit_id: row.credit_id,
                person: Person { id: PersonId(row.person_id), tmdb_id: real_tmdb_id(row.tmdb_id), name: row.name },
                cast: row.cast,
                department: row.department,
                job: row.job,
                character: row.character.filter(|character| !character.is_empty()),
            };
            (MovieId(row.movie_id), credit)
        })))
    }
}

/// Groups values by their keys; each group keeps the order of the rows.
fn grouped<K: Eq + Hash, V>(rows: impl Iterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in rows {
        groups.entry(key).or_default().push(value);
    }
    groups
}
