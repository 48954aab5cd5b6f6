//! Detects the schema variant of a database and checks its tables and privileges.

use std::fmt;

use super::indexes::Index;
use super::trigger_setup;
use crate::store::connection::Connection;
use crate::store::error::{SchemaError, StoreError};

/// Schema variant of a database. The variants of a host database are told apart by the tables and columns that the
/// host's migrations added over time. They differ only in the text that `cinegraph migrate` prints: all of them have
/// the columns that Cinegraph needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaVariant {
    /// No movie tables.
    Empty,
    /// Movie tables created by our migrations.
    Ours,
    /// Host tables of 17 August 2025.
    August17,
    /// Host tables from 21 August 2025 on, when the host began to store predictions.
    August21,
    /// Host tables of March 2026, while the host renamed its *lenses*: the categories by which it weighs movies.
    March2026,
    /// Host tables from 25 March 2026 on, with the final names of the lenses.
    FinalLenses,
    /// Host tables from June 2026 on, with trained models.
    June2026,
}

impl fmt::Display for SchemaVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty database",
            Self::Ours => "movie tables created by Cinegraph",
            Self::August17 => "a Cinegraph database of 17 August 2025",
            Self::August21 => "a Cinegraph database of 21 August 2025 to March 2026",
            Self::March2026 => "a Cinegraph database of March 2026, in the middle of renaming its lenses",
            Self::FinalLenses => "a Cinegraph database of 25 March to June 2026",
            Self::June2026 => "a Cinegraph database of June 2026 or later",
        })
    }
}

/// Columns that Cinegraph reads in host tables, including those of `person_metrics` that it may also write. Every
/// variant has all of them. The table `movie_lists` is not required: a list without a name in it is named by its key.
const COLUMNS: [(&str, &[&str]); 14] = [
    (
        "movies",
        &[
            "id",
            "tmdb_id",
            "imdb_id",
            "title",
            "release_date",
            "original_language",
            "original_title",
            "overview",
            "runtime",
            "backdrop_path",
            "poster_path",
            "import_status",
            "canonical_sources",
            "tmdb_data",
        ],
    ),
    ("external_metrics", &["id", "movie_id", "source", "metric_type", "value", "metadata", "fetched_at"]),
    (
        "people",
        &[
            "id",
            "tmdb_id",
            "imdb_id",
            "name",
            "biography",
            "birthday",
            "deathday",
            "place_of_birth",
            "known_for_department",
            "profile_path",
        ],
    ),
    (
        "movie_credits",
        &["id", "movie_id", "person_id", "credit_id", "credit_type", "department", "job", "character", "cast_order"],
    ),
    (
        "person_metrics",
        &[
            "id",
            "person_id",
            "metric_type",
            "score",
            "components",
            "metadata",
            "calculated_at",
            "inserted_at",
            "updated_at",
        ],
    ),
    ("festival_organizations", &["id", "name", "abbreviation"]),
    ("festival_ceremonies", &["id", "organization_id", "year"]),
    ("festival_categories", &["id", "name"]),
    ("festival_nominations", &["id", "ceremony_id", "category_id", "movie_id", "person_id", "won", "details"]),
    ("genres", &["id", "tmdb_id", "name"]),
    ("movie_genres", &["movie_id", "genre_id"]),
    ("production_countries", &["id", "iso_3166_1", "name"]),
    ("movie_production_countries", &["movie_id", "production_country_id"]),
    (
        "metric_weight_profiles",
        &["id", "name", "description", "category_weights", "active", "is_default", "is_system", "updated_at"],
    ),
];

impl SchemaVariant {
    /// Detects the variant of the database.
    pub(super) async fn of(connection: &mut Connection) -> Result<Self, StoreError> {
        let signs = sqlx::query_file!("src/store/sql/database_state.sql").fetch_one(&mut *connection).await;
        let signs = signs.map_err(StoreError::of_setup)?;
        if !signs.movies {
            // Even if `signs.migrated`: a first migration that was interrupted has created Cinegraph's schema, but no
            // movie tables yet.
            return Ok(Self::Empty);
        }
        if signs.migrated {
            let ours = sqlx::query_scalar!("SELECT owns_catalogue FROM cinegraph.installation");
            if ours.fetch_optional(connection).await.map_err(StoreError::of_setup)? == Some(true) {
                return Ok(Self::Ours);
            }
        }
        // The sign of the newest variant is checked first, because a later variant may still have the signs of earlier
        // ones.
        Ok(if signs.prediction_models {
            Self::June2026
        } else if signs.final_lenses {
            Self::FinalLenses
        } else if signs.score_caches {
            Self::March2026
        } else if signs.prediction_cache {
            Self::August21
        } else {
            Self::August17
        })
    }

    /// Fails if a table or column that Cinegraph needs is missing. In a database without movie tables, fails if other
    /// tables have the names of those that the migrations would create.
    pub(super) async fn require_tables(self, connection: &mut Connection) -> Result<(), StoreError> {
        let columns = COLUMNS.iter().flat_map(|(table, columns)| columns.iter().map(|column| (*table, *column)));
        let (tables, columns): (Vec<_>, Vec<_>) = columns.map(|(t, c)| (t.to_owned(), c.to_owned())).unzip();
        let missing = sqlx::query_file_scalar!("src/store/sql/missing_columns.sql", &tables, &columns);
        let missing = missing.fetch_all(connection).await.map_err(StoreError::of_setup)?;
        if self != Self::Empty {
            return if missing.is_empty() { Ok(()) } else { Err(SchemaError::Incomplete(missing).into()) };
        }
        // A table that does not exist is listed in `missing` by its bare name, without columns.
        let names = COLUMNS.iter().map(|(table, _)| (*table).to_owned());
        let taken: Vec<_> = names.filter(|table| !missing.contains(table)).collect();
        if taken.is_empty() { Ok(()) } else { Err(SchemaError::NamesTaken(taken).into()) }
    }

    /// Fails if this role lacks a privilege that the migration needs, before the migration changes anything. `indexes`
    /// are those that the migration will create.
    pub(super) async fn require_privileges(
        self,
        connection: &mut Connection,
        indexes: &[&Index],
    ) -> Result<(), StoreError> {
        let (mut read, mut own): (Vec<String>, Vec<String>) = (vec![], vec![]);
        if self != Self::Empty {
            read.extend(COLUMNS.iter().map(|(table, _)| (*table).to_owned()));
            // Creating an index requires ownership of the table, and so does dropping a trigger on detach.
            own.extend(
                trigger_setup::TABLES.into_iter().chain(indexes.iter().map(|index| index.table)).map(str::to_owned),
            );
            own.sort_unstable();
            own.dedup();
        }
        let creates_in_public = self == Self::Empty || !indexes.is_empty();
        let missing = sqlx::query_file_scalar!("src/store/sql/missing_privileges.sql", &read, &own, creates_in_public);
        let missing = missing.fetch_all(connection).await.map_err(StoreError::of_setup)?;
        if missing.is_empty() { Ok(()) } else { Err(SchemaError::Privileges(missing).into()) }
    }
}
