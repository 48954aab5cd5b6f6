//! Weight profiles.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Store, StoreError};
use crate::scoring::Weights;

/// A profile's number in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(pub i64);

/// Named, stored weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Its name, unique.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its weights, normalised.
    pub weights: Weights,
    /// The category weights that they were mapped from; none where the exact weights are ours.
    pub category_weights: Option<Value>,
    /// Whether it is the default.
    pub is_default: bool,
    /// Whether it came with the database.
    pub is_system: bool,
    /// Whether it can be asked for.
    pub active: bool,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Store {
    /// All profiles, by name.
    ///
    /// # Errors
    /// [`StoreError::Row`] when a profile's weights are none; other [`StoreError`]s when the database does not answer.
    pub async fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        let mut statement = self.statement("profiles").await?;
        let rows = sqlx::query_file!("src/store/sql/profiles.sql").fetch_all(statement.connection()).await;
        let rows = statement.rows(rows)?.into_iter();
        rows.map(|row| {
            let weights = match row.exact {
                Some(exact) => <[f64; 5]>::try_from(exact)
                    .map_err(|exact| format!("{} weights", exact.len()))
                    .and_then(|exact| Weights::normalised(exact).map_err(|error| error.to_string())),
                None => Weights::from_categories(&row.category_weights).map_err(|error| error.to_string()),
            };
            Ok(Profile {
                id: ProfileId(row.id),
                name: row.name,
                description: row.description,
                weights: weights.map_err(|problem| StoreError::Row {
                    table: "metric_weight_profiles",
                    column: "category_weights",
                    id: row.id,
                    problem,
                })?,
                category_weights: row.stored_categories,
                is_default: row.is_default,
                is_system: row.is_system,
                active: row.active,
                updated_at: row.updated_at.and_utc(),
            })
        })
        .collect()
    }
}
