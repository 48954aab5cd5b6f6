//! What learned rankings are trained on and computed from: all fully imported movies, and who made them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;

use super::error::StoreError;
use super::people::PersonId;
use super::pool::Store;
use super::query_name::QueryName;
use super::transaction::TABLE_LIMIT;
use crate::scoring::MovieId;
use crate::scoring::learned::{Ages, Award, CategoryGroup, MovieInputs, Organization, Rating, genre_bits};

/// A fully imported movie with a release date.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningMovie {
    /// Its inputs without lists and people's other works, which depend on the target list and on other movies.
    pub inputs: MovieInputs,
    /// Keys of the lists that it is on, with its position.
    pub lists: Vec<(String, Option<u32>)>,
}

/// A credit of a director or of a member of the cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearningCredit {
    /// The movie.
    pub movie: MovieId,
    /// The person.
    pub person: PersonId,
    /// Whether the person acts in it; else the person directs it.
    pub is_cast: bool,
}

impl Store {
    /// The time by the database's clock, which also dates the changes of data.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn database_time(&self) -> Result<DateTime<Utc>, StoreError> {
        let mut statement = self.statement(QueryName::TaskStatus).await?;
        let time = sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(statement.connection()).await;
        statement.finish(time)
    }

    /// All fully imported movies with a release date, sorted by id.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn learning_movies(&self) -> Result<Vec<LearningMovie>, StoreError> {
        let categories = self.award_categories().await?;
        self.run_in_transaction(QueryName::TaskScoreInputs, TABLE_LIMIT, async |connection| {
            let mut movies = Vec::new();
            let mut rows = sqlx::query_file!("src/store/sql/learning_movies.sql").fetch(connection);
            while let Some(row) = rows.try_next().await? {
                let number = |value: Option<f64>| value.map(single).filter(|value| value.is_finite());
                let names = row.genres.unwrap_or_default();
                let mut inputs = MovieInputs::unknown(MovieId(row.id), row.year);
                inputs.imdb = Rating { average: number(row.imdb_rating), votes: number(row.imdb_votes) };
                inputs.tmdb = Rating { average: number(row.tmdb_rating), votes: number(row.tmdb_votes) };
                inputs.popularity = number(row.popularity);
                inputs.metascore = number(row.metascore);
                inputs.tomatometer = number(row.tomatometer);
                inputs.budget = number(row.budget);
                inputs.revenue = number(row.revenue);
                inputs.language = row.language.as_deref().and_then(language);
                inputs.genres = genre_bits(names.iter().map(String::as_str));
                let (nominations, wins) = (row.nominations.unwrap_or_default(), row.wins.unwrap_or_default());
                let counts = nominations.into_iter().zip(wins);
                inputs.awards = awards(row.categories.unwrap_or_default().into_iter().zip(counts), &categories);
                inputs.ages = Ages {
                    imdb: number(row.imdb_age),
                    tmdb: number(row.tmdb_age),
                    metacritic: number(row.metacritic_age),
                    rotten_tomatoes: number(row.rotten_tomatoes_age),
                };
                let positions = row.list_positions.into_iter().map(|at| at.and_then(|at| u32::try_from(at).ok()));
                movies.push(LearningMovie { inputs, lists: row.list_keys.into_iter().zip(positions).collect() });
            }
            Ok(movies)
        })
        .await
    }

    /// The credits of directors and cast of these movies, movie by movie in ascending order; the cast in order of billing.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn learning_credits(&self) -> Result<Vec<LearningCredit>, StoreError> {
        self.run_in_transaction(QueryName::TaskScoreInputs, TABLE_LIMIT, async |connection| {
            let rows = sqlx::query_file!("src/store/sql/learning_credits.sql").fetch(connection);
            let credit = rows.map_ok(|row| LearningCredit {
                movie: MovieId(row.movie_id),
                person: PersonId(row.person_id),
                is_cast: row.is_cast,
            });
            credit.try_collect().await
        })
        .await
    }

    /// What the categories of awards honour, by their database ids.
    async fn award_categories(&self) -> Result<HashMap<i64, (Organization, CategoryGroup)>, StoreError> {
        let mut statement = self.statement(QueryName::TaskScoreInputs).await?;
        let rows = sqlx::query!(
            "SELECT c.id, c.name, o.abbreviation
             FROM public.festival_categories AS c
             JOIN public.festival_organizations AS o ON o.id = c.organization_id"
        )
        .fetch_all(statement.connection())
        .await;
        let category = |organization: Option<&str>, name: &str| {
            let organization = Organization::of(organization.unwrap_or_default());
            (organization, CategoryGroup::of(organization, name))
        };
        let rows = statement.rows(rows)?.into_iter();
        Ok(rows.map(|row| (row.id, category(row.abbreviation.as_deref(), &row.name))).collect())
    }
}

/// Two letters in lower case; `None` for anything else.
fn language(code: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|letter| letter.to_ascii_lowercase()))
}

/// Nominations and wins by category, summed by organization and group.
fn awards(
    counts: impl Iterator<Item = (i64, (i32, i32))>,
    categories: &HashMap<i64, (Organization, CategoryGroup)>,
) -> Vec<Award> {
    let mut awards: Vec<Award> = Vec::new();
    for (category, (nominations, wins)) in counts {
        let Some((organization, group)) = categories.get(&category).copied() else { continue };
        let [nominations, wins] = [nominations, wins].map(|count| u16::try_from(count).unwrap_or(u16::MAX));
        match awards.iter_mut().find(|award| (award.organization, award.group) == (organization, group)) {
            Some(award) => {
                award.nominations = award.nominations.saturating_add(nominations);
                award.wins = award.wins.saturating_add(wins);
            }
            None => awards.push(Award { organization, group, nominations, wins }),
        }
    }
    awards.shrink_to_fit();
    awards
}

#[expect(clippy::cast_possible_truncation, reason = "the features need no more digits")]
fn single(value: f64) -> f32 {
    value as f32
}
