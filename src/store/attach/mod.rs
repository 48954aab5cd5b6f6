//! Attach: migrates a database, even one of a host application that keeps running. Detach: removes everything that a
//! migration has added to a host application's database.
//!
//! Only triggers and missing indexes are added to host tables. A statement that locks host tables locks only one, gives
//! up after a short timeout and is retried later, because writers queue behind a waiting lock request.

mod detect;
mod indexes;
mod locking;
mod migrate;
mod trigger_setup;

pub use detect::SchemaVariant;
pub use migrate::{Detached, Migrated};
