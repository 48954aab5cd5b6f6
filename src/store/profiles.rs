//! Weight profiles.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::error::StoreError;
use super::pool::Store;
use super::query_name::QueryName;
use super::transaction::OpenTransaction;
use crate::scoring::Weights;
use crate::versions::Versions;

/// Database id of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(pub i64);

/// Named, stored weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Database id.
    pub id: ProfileId,
    /// Unique name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Normalised weights.
    pub weights: Weights,
    /// Category weights of the host application from which the weights are mapped; `None` if exact weights are stored.
    pub category_weights: Option<Value>,
    /// Whether it is the default.
    pub is_default: bool,
    /// Whether it is a system profile.
    pub is_system: bool,
    /// Whether queries can use it.
    pub active: bool,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Requested state of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileDraft {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Weights.
    pub weights: Weights,
    /// Whether queries can use it.
    pub active: bool,
}

/// A row of `sql/profiles.sql`.
struct ProfileRow {
    id: i64,
    name: String,
    description: Option<String>,
    category_weights: Value,
    /// The category weights again; `None` if there are exact weights.
    stored_categories: Option<Value>,
    /// Exact weights that Cinegraph stored; `None` if there are none, or if another application has changed the
    /// category weights since.
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
    /// All profiles, sorted by name.
    ///
    /// # Errors
    /// [`StoreError::Row`] for a profile with invalid weights; other [`StoreError`]s if the database is unavailable.
    pub async fn profiles(&self) -> Result<Vec<Profile>, StoreError> {
        let mut statement = self.statement(QueryName::Profiles).await?;
        let rows = sqlx::query_file_as!(ProfileRow, "src/store/sql/profiles.sql", None::<i64>)
            .fetch_all(statement.connection())
            .await;
        statement.rows(rows)?.into_iter().map(Profile::try_from).collect()
    }

    /// Whether the default profile may still be chosen by accuracy: the movies were imported into tables of Cinegraph, and
    /// nobody has chosen it.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn default_is_open(&self) -> Result<bool, StoreError> {
        let mut statement = self.statement(QueryName::Profiles).await?;
        let open = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM cinegraph.installation WHERE owns_catalogue AND catalogue_origin = 'imported')
                  AND NOT EXISTS (SELECT FROM cinegraph.default_profile_choice) AS "open!""#
        )
        .fetch_one(statement.connection())
        .await;
        statement.finish(open)
    }

    /// Starts a transaction that changes profiles. Waits for other such transactions, on any instance.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn change_profiles(&self) -> Result<ProfileChanges, StoreError> {
        let mut transaction = self.transaction(QueryName::Profiles).await?;
        // The version is raised first, although nothing has changed yet: its row then stays locked until the
        // transaction ends, so that profile changes run one after the other, and each sees the result of the previous
        // one.
        let raised = sqlx::query!("SELECT cinegraph.raise_version('profiles', '', 0, true)")
            .execute(transaction.connection())
            .await;
        transaction.checked(raised)?;
        Ok(ProfileChanges { transaction, store: self.clone() })
    }
}

/// Profile changes in one transaction. Dropped before [`commit`](Self::commit), they are rolled back.
#[derive(Debug)]
pub struct ProfileChanges {
    transaction: OpenTransaction,
    store: Store,
}

impl ProfileChanges {
    /// Reads a profile and locks its row until the end of the transaction, so that other applications cannot change it
    /// meanwhile. `None` if it does not exist.
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
        // A statement of its own, which sees the change of another application that the lock may have waited for.
        let row = sqlx::query_file_as!(ProfileRow, "src/store/sql/profiles.sql", id.0)
            .fetch_optional(self.transaction.connection())
            .await;
        self.transaction.checked(row)?.map(Profile::try_from).transpose()
    }

    /// Adds a profile that is neither the default nor a system profile.
    ///
    /// # Errors
    /// [`StoreError`] if the name is taken ([`StoreError::duplicate_in`]) or the database is unavailable.
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
        self.set_weights(id, draft.weights, now).await?;
        Ok(id)
    }

    /// Applies a draft to a profile, except its weights. `updated_at` increases by at least one second, the resolution
    /// of its column, so that it is different for each state of a profile: clients use it to detect changes by others.
    ///
    /// # Errors
    /// As [`ProfileChanges::insert`].
    pub async fn update(&mut self, id: ProfileId, draft: &ProfileDraft, now: DateTime<Utc>) -> Result<(), StoreError> {
        let updated = sqlx::query!(
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
        self.transaction.checked(updated).map(|_| ())
    }

    /// Stores the weights of a profile: the exact shares for Cinegraph, and category weights for other applications. The
    /// host application renamed the keys of `category_weights` in March 2026 ([`Weights::to_lenses`]); the keys written
    /// are those that the other profiles use. Does not set `updated_at`; [`Self::update`] does.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn set_weights(&mut self, id: ProfileId, weights: Weights, now: DateTime<Utc>) -> Result<(), StoreError> {
        let stored = sqlx::query_file!(
            "src/store/sql/set_profile_weights.sql",
            id.0,
            weights.to_categories(),
            weights.to_lenses(),
            &weights.shares(),
            now
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(stored).map(|_| ())
    }

    /// Makes a profile the only default.
    ///
    /// # Errors
    /// [`StoreError`] if another application chose another default at the same time ([`StoreError::duplicate_in`]), or
    /// if the database is unavailable.
    pub async fn make_default(&mut self, id: ProfileId, now: DateTime<Utc>) -> Result<(), StoreError> {
        // Two statements: the first clears the previous default, the second sets the new one. A unique index allows one
        // default and checks each row as it is written, so one statement that does both could fail.
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

    /// Whether the default profile was chosen before, by accuracy or by an administrator.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn default_was_chosen(&mut self) -> Result<bool, StoreError> {
        let chosen =
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM cinegraph.default_profile_choice) AS "chosen!""#)
                .fetch_one(self.transaction.connection())
                .await;
        self.transaction.checked(chosen)
    }

    /// Records that the default profile was chosen, so that it is not chosen by accuracy again.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn record_default_choice(&mut self) -> Result<(), StoreError> {
        let recorded = sqlx::query!(
            "INSERT INTO cinegraph.default_profile_choice (singleton) VALUES (true) ON CONFLICT DO NOTHING"
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(recorded).map(|_| ())
    }

    /// Deletes a profile.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn delete(&mut self, id: ProfileId) -> Result<(), StoreError> {
        // The weights have no foreign key to the host table, so nothing else deletes them.
        let deleted = sqlx::query!(
            "WITH weights AS (DELETE FROM cinegraph.profile_weights WHERE profile_id = $1)
             DELETE FROM public.metric_weight_profiles WHERE id = $1",
            id.0
        )
        .execute(self.transaction.connection())
        .await;
        self.transaction.checked(deleted).map(|_| ())
    }

    /// Commits the changes, applies them to `versions`, the versions of this process, and notifies all instances.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable; the outcome of the commit is then unknown.
    pub async fn commit(self, versions: &Versions) -> Result<(), StoreError> {
        self.transaction.commit_and_apply(&self.store, versions).await
    }
}
