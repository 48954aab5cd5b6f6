//! Attach: migrates a database, even one of a host application that keeps running. Detach: removes everything again.
//!
//! On host tables only triggers and missing indexes are added. Statements that lock a host table lock one at a time,
//! give up after a short timeout and retry later, because writers queue behind a waiting lock request.

mod detect;
mod indexes;
mod locking;
mod migrate;
mod trigger_setup;

pub use detect::SchemaVariant;
pub use migrate::{Detached, Migrated};
