//! Weight profiles.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::transaction::OpenTransaction;
use super::{Store, StoreError, WithDeadline};
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

/// A profile as somebody wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileDraft {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its weights.
    pub weights: Weights,
    /// Whether it can be asked for.
    pub active: bool,
}

struct ProfileRow {
    id: i64,
    name: String,
    description: Option<String>,
    category_weights: Value,
    stored_categories: Option<Value>,
    exact: Option<Vec<f64>>,
    is_default: bool,
    is_system: bool,
    active: bool,
    updated_at: NaiveDateTime,
}

impl TryFrom<ProfileRow> for Profile {
    type Error = StoreError;

    fn try_from(row: ProfileRow) -> Result<Self, StoreError> {
        let weights = match row.exact {
            Some(exact) => <[f64; 5]>::try_from(exact)
                .map_err(|exact| format!("{} weights", exact.len()))
                .and_then(|exact| Weights::normalised(exact).map_err(|error| error.to_string())),
            None => Weights::from_categories(&row.category_weights).map_err(|error| error.to_string()),
        };
        Ok(Self {
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
    }
}

impl Store {
    /// All profiles, by name.
    ///
    /// # Errors
    /// [`StoreError::Row`] when a profile's weights are none; other [`StoreError`]s when the database does not answer.
    pub async fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        let mut statement = self.statement("profiles").await?;
        let rows = sqlx::query_file_as!(ProfileRow, "src/store/sql/profiles.sql", None::<i64>)
            .fetch_all(statement.connection())
            .with_deadline(self.limits.request)
            .await;
        statement.rows(rows)?.into_iter().map(Profile::try_from).collect()
    }

    /// Begins to change profiles. Waits for others who do, on whichever instance.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn change_profiles(&self) -> Result<ProfileChanges, StoreError> {
        let mut transaction = self.transaction("profiles").await?;
        // First of all: its row is the lock that all who change profiles take in turn, so that each of them sees what the
        // one before has left.
        let raised = sqlx::query!("SELECT cinegraph.raise_version('profiles', '', 0, true)")
            .execute(transaction.connection())
            .await;
        transaction.checked(raised)?;
        Ok(ProfileChanges { transaction })
    }
}

/// Changes of profiles that are made together. Dropped before [`commit`](Self::commit), they are undone.
#[derive(Debug)]
pub struct ProfileChanges {
    transaction: OpenTransaction,
}

impl ProfileChanges {
    /// A profile as it stands, and stays until the end: other applications wait, too.
    ///
    /// # Errors
    /// As [`Store::profiles`].
    pub async fn profile(&mut self, id: ProfileId) -> Result<Option<Profile>, StoreError> {
        let locked = sqlx::query!("SELECT id FROM public.metric_weight_profiles WHERE id = $1 FOR UPDATE", id.0)
            .fetch_optional(self.transaction.connection())
            .await;
        if self.transaction.checked(locked)?.is_none() {
            return Ok(None);
        }
        let row = sqlx::query_file_as!(ProfileRow, "src/store/sql/profiles.sql", id.0)
            .fetch_optional(self.transaction.connection())
            .await;
        self.transaction.checked(row)?.map(Profile::try_from).transpose()
    }

    /// Adds a profile that is neither the default nor a system profile.
    ///
    /// # Errors
    /// [`StoreError`] when the name is taken ([`StoreError::duplicate_in`]) or the database does not answer.
    pub async fn insert(&mut self, draft: &ProfileDraft, now: DateTime<Utc>) -> Result<ProfileId, StoreError> {
        let inserted = sqlx::query_scalar!(
            "INSERT INTO public.metric_weight_profiles (name, description, active, inserted_at, updated_at)
             VALUES ($1, $2, $3, $4::timestamptz AT TIME ZONE 'UTC', $4::timestamptz AT TIME ZONE 'UTC') RETURNING id",
            draft.name,
            draft.description,
            draft.active,
            now
        )
        .fetch_one(self.transaction.connection())
        .await;
        let id = ProfileId(self.transaction.checked(inserted)?);
        self.weigh(id, draft.weights, now).await?;
        Ok(id)
    }

    /// Gives a profile everything that a draft says but its weights. The time of the change is later than that of the
    /// former one, by a second at least, so that each state of a profile has a time of its own.
    ///
    /// # Errors
    /// As [`ProfileChanges::insert`].
    pub async fn describe(
        &mut self,
        id: ProfileId,
        draft: &ProfileDraft,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let described = sqlx::query!(
            "UPDATE public.metric_weight_profiles
             SET name = $2, description = $3, active = $4,
                 updated_at = greatest($5::timestamptz AT TIME ZONE 'UTC', updated_at + interval '1 second')
             WHERE id = $1",
            id.0,
            draft.name,
            draft.description,
            draft.active,
            now
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(described).map(|_| ())
    }

    /// Gives a profile its weights: exactly here, and as category weights for other readers.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn weigh(&mut self, id: ProfileId, weights: Weights, now: DateTime<Utc>) -> Result<(), StoreError> {
        let weighed = sqlx::query_file!(
            "src/store/sql/weigh_profile.sql",
            id.0,
            weights.to_categories(),
            weights.to_lenses(),
            &weights.shares(),
            now
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(weighed).map(|_| ())
    }

    /// Makes a profile the default, and no other.
    ///
    /// # Errors
    /// [`StoreError`] when another application made another one the default at the same moment
    /// ([`StoreError::duplicate_in`]), or the database does not answer.
    pub async fn make_default(&mut self, id: ProfileId, now: DateTime<Utc>) -> Result<(), StoreError> {
        // Two statements: the index that allows one default looks at each row as it is written.
        for is_default in [false, true] {
            let made = sqlx::query!(
                "UPDATE public.metric_weight_profiles
                 SET is_default = $2,
                     updated_at = greatest($3::timestamptz AT TIME ZONE 'UTC', updated_at + interval '1 second')
                 WHERE (id = $1) = $2 AND coalesce(is_default, false) <> $2",
                id.0,
                is_default,
                now
            )
            .execute(self.transaction.connection())
            .await;
            self.transaction.checked(made)?;
        }
        Ok(())
    }

    /// Removes a profile.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn delete(&mut self, id: ProfileId) -> Result<(), StoreError> {
        let deleted = sqlx::query!(
            "WITH weights AS (DELETE FROM cinegraph.profile_weights WHERE profile_id = $1)
             DELETE FROM public.metric_weight_profiles WHERE id = $1",
            id.0
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(deleted).map(|_| ())
    }

    /// Makes the changes, and tells every instance of them.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; whether they were made is then not known.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await
    }
}
