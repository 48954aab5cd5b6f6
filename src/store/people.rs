//! People and the quality of their record.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::error::StoreError;
use super::movies::real_tmdb_id;
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::MovieId;

/// Database id of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub i64);

/// An id of a person from another source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonKey {
    /// `TMDb` id.
    Tmdb(i32),
    /// `IMDb` id.
    Imdb(String),
}

/// A part of the movies of a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilmographyPage {
    /// The person.
    pub person: PersonId,
    /// Release date and id of the last movie before the part; `None`: from the beginning.
    pub after: Option<(Option<NaiveDate>, MovieId)>,
    /// Maximum number of movies.
    pub size: usize,
}

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

/// A person with what is known of their life. Empty texts are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Biography {
    /// The person.
    pub person: Person,
    /// `IMDb` id, "nm…".
    pub imdb_id: Option<String>,
    /// Text about the person.
    pub text: Option<String>,
    /// Date of birth.
    pub birthday: Option<NaiveDate>,
    /// Date of death.
    pub deathday: Option<NaiveDate>,
    /// Place of birth.
    pub place_of_birth: Option<String>,
    /// Department that the person is known for.
    pub known_for_department: Option<String>,
    /// Path of the portrait at `TMDb`.
    pub profile_path: Option<String>,
}

/// Quality of a person's record.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonQuality {
    /// 0 to 100.
    pub score: f64,
    /// The counts that the score is derived from, as a JSON object.
    pub components: Value,
    /// When it was computed.
    pub calculated_at: DateTime<Utc>,
}

impl Store {
    /// Id of the person with this key; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn person_id(&self, key: &PersonKey) -> Result<Option<PersonId>, StoreError> {
        // The parameter that is NULL matches no person.
        let (tmdb, imdb) = match key {
            PersonKey::Tmdb(id) => (Some(*id), None),
            PersonKey::Imdb(id) => (None, Some(id.as_str())),
        };
        let mut statement = self.statement(QueryName::PeopleById).await?;
        let row = sqlx::query_scalar!(
            "SELECT id FROM public.people WHERE tmdb_id = $1 OR imdb_id = nullif($2, '') ORDER BY id LIMIT 1",
            tmdb,
            imdb
        );
        let row = row.fetch_optional(statement.connection()).await;
        Ok(statement.row(row)?.map(PersonId))
    }

    /// The movies of each page with their release dates, the latest first and undated ones last. Leaves out pages without
    /// movies.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn movies_of_people(
        &self,
        pages: &[FilmographyPage],
    ) -> Result<HashMap<FilmographyPage, Vec<(Option<NaiveDate>, MovieId)>>, StoreError> {
        let people: Vec<i64> = pages.iter().map(|page| page.person.0).collect();
        let days: Vec<Option<NaiveDate>> = pages.iter().map(|page| page.after?.0).collect();
        let ids: Vec<Option<i64>> = pages.iter().map(|page| Some(page.after?.1.0)).collect();
        let sizes: Vec<i64> = pages.iter().map(|page| i64::try_from(page.size).unwrap_or(i64::MAX)).collect();
        let mut statement = self.statement(QueryName::PeopleById).await?;
        let rows = sqlx::query_file!(
            "src/store/sql/movies_of_people.sql",
            &people,
            &days as &[Option<NaiveDate>],
            &ids as &[Option<i64>],
            &sizes
        );
        let rows = rows.fetch_all(statement.connection()).await;
        let mut found: HashMap<FilmographyPage, Vec<_>> = HashMap::new();
        for row in statement.rows(rows)? {
            // Places count from 1.
            let page = usize::try_from(row.place).ok().and_then(|place| pages.get(place.checked_sub(1)?));
            if let Some(page) = page {
                found.entry(page.clone()).or_default().push((row.released, MovieId(row.id)));
            }
        }
        Ok(found)
    }

    /// People by id. Omits unknown ids.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn people_by_id(&self, ids: &[PersonId]) -> Result<HashMap<PersonId, Biography>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut statement = self.statement(QueryName::PeopleById).await?;
        let rows = sqlx::query!(
            "SELECT id, tmdb_id, name, nullif(imdb_id, '') AS imdb_id, nullif(biography, '') AS biography, birthday,
                    deathday, nullif(place_of_birth, '') AS place_of_birth,
                    nullif(known_for_department, '') AS known_for_department, nullif(profile_path, '') AS profile_path
             FROM public.people WHERE id = ANY ($1)",
            &ids
        )
        .fetch_all(statement.connection())
        .await;
        let rows = statement.rows(rows)?.into_iter().map(|row| {
            let id = PersonId(row.id);
            let biography = Biography {
                person: Person { id, tmdb_id: real_tmdb_id(row.tmdb_id), name: row.name },
                imdb_id: row.imdb_id,
                text: row.biography,
                birthday: row.birthday,
                deathday: row.deathday,
                place_of_birth: row.place_of_birth,
                known_for_department: row.known_for_department,
                profile_path: row.profile_path,
            };
            (id, biography)
        });
        Ok(rows.collect())
    }

    /// Quality of people by id. Omits people without one, and those whose score is NaN.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn qualities_of(&self, ids: &[PersonId]) -> Result<HashMap<PersonId, PersonQuality>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut statement = self.statement(QueryName::QualitiesOfPeople).await?;
        let rows = sqlx::query!(
            r#"SELECT person_id, score AS "score!", coalesce(components, '{}') AS "components!", calculated_at
               FROM public.person_metrics
               WHERE person_id = ANY ($1) AND metric_type = 'quality_score' AND score <> 'NaN'"#,
            &ids
        )
        .fetch_all(statement.connection())
        .await;
        let rows = statement.rows(rows)?.into_iter().map(|row| {
            let calculated_at = row.calculated_at.and_utc();
            (PersonId(row.person_id), PersonQuality { score: row.score, components: row.components, calculated_at })
        });
        Ok(rows.collect())
    }
}
