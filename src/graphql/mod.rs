//! The API: schema types, resolvers, loaders and what clients are told when something fails.
//!
//! A resolver converts, calls a service, converts. It holds no rule, no SQL and no cache key.

mod batches;
mod catalogue;
mod connection;
mod documents;
mod door;
mod error;
mod filter;
mod guard;
mod id;
mod loaders;
mod movie;
mod mutation;
mod operation;
mod prediction;
mod profile;
mod query;
mod scalars;
mod schema;
mod scope;
mod streaming;
mod subscription;
mod validation;

pub use crate::services::Bearer;
pub use documents::{DocumentId, TrustedDocuments};
pub use door::{Answer, Door, Kept, MediaType, OperationLimits, RequestId, Stage, Transport, Wording};
pub use error::RETRY_AFTER_SECONDS;
pub use guard::DocumentLimits;
pub use query::ROOT_FIELDS;
pub use schema::{Api, ApiLimits, ApiSchema, LOADERS, api, schema_hash, sdl};
pub use streaming::{Event, Opened, Streaming};
