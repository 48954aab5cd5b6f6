//! Every SQL statement, and the conversion of its rows to domain values.
//!
//! No decisions: `services` decides what to query and how to handle failures. Formulas are defined in the migrations
//! (SQL) and in `scoring` (Rust), never in a statement here.

mod attach;
mod catalogue;
mod catalogue_writer;
mod columns;
mod connection;
mod copy_text;
mod error;
mod health;
mod import;
mod import_imdb;
mod import_staging;
mod installation;
mod invalidation;
mod jobs;
mod lists;
mod measurement;
mod metrics;
mod migrations;
mod movie_details;
mod movies;
mod original;
mod people;
mod pool;
mod profiles;
mod query_name;
mod queue;
mod records;
mod refresh;
mod replica;
mod replica_reads;
mod snapshot;
mod statement;
mod statement_text;
mod task;
mod transaction;
mod version_listener;

pub use attach::{Detached, Migrated, SchemaVariant};
pub use catalogue::CatalogueState;
pub use catalogue_writer::CatalogueWriter;
pub use columns::{ColumnsSource, LiveScore, LoadedColumns, ScoreTable};
pub use connection::SESSION_SETTINGS;
pub use copy_text::CopyText;
pub use error::{FailureKind, SchemaError, ScoreTableFault, SharedError, StatementLimits, StoreError};
pub use import::{Import, KnownNames, MergeCounts, NomineeLinks, RepeatedRow};
pub use import_imdb::{KnownMovie, KnownPerson};
pub use import_staging::Staging;
pub use installation::{CatalogueOrigin, DataOrigin, Installation};
pub use jobs::Job;
pub use lists::{ListDecade, ListName, ListSummary};
pub use metrics::{ConnectionState, Pool, PoolStatus, StoreMetrics};
pub use movie_details::{Country, Credit, FestivalEntry, Genre, Metric};
pub use movies::{Membership, Movie, MovieKey};
pub use original::{ORIGINAL_PREDICTIONS, original_validation};
pub use people::{Person, PersonId, PersonQuality};
pub use pool::{DatabaseSettings, Store};
pub use profiles::{Profile, ProfileChanges, ProfileDraft, ProfileId};
pub use query_name::QueryName;
pub use queue::{Drained, QueueLength, RefreshRequest};
pub use refresh::{Batch, Changes, FullRefresh, ScoreBatch};
pub use replica::ReplicaSettings;
pub use snapshot::Snapshot;
pub use task::Task;
pub use version_listener::VersionsListener;
