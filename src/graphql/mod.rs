//! The GraphQL API: operation pipeline, schema types, resolvers, data loaders and client errors.
//!
//! A resolver converts arguments, calls a service and converts the result: no domain rules, no SQL, no cache keys.
//! Main types: [`OperationPipeline`] and [`Api`].

mod batch_scheduler;
mod complexity;
mod context;
mod document;
mod document_limits;
mod error;
mod error_code;
mod id;
mod input_types;
mod loaders;
mod metrics;
mod mutation;
mod object_literals;
mod operation;
mod pagination;
mod persisted_documents;
mod pipeline;
mod query;
mod response;
mod response_cache;
mod root_fields;
mod schema;
mod streaming;
mod string_escapes;
mod subscription;
mod types;
mod unknown_name;
mod variables;

pub use crate::cache::Lookup;
pub use crate::services::Bearer;
pub use document_limits::DocumentLimits;
pub use error::{RETRY_AFTER_SECONDS, sentence};
pub use error_code::ErrorCode;
pub use metrics::{Dropped, GraphqlMetrics, OperationEnd, OperationType, Outcome, Phase, PredictionSource, Rejection};
pub use pagination::{COUNT_MAX, PAGE_MAX};
pub use persisted_documents::{DocumentId, TrustedDocuments};
pub use pipeline::{OperationLimits, OperationPipeline, Received, Transport};
pub use response::{BodyHash, CacheMetadata, ExecutionStatus, OperationResponse};
pub use response_cache::RequestFingerprint;
pub use root_fields::{ROOT_FIELDS, SUBSCRIPTION_FIELDS};
pub use schema::{Api, ApiSchema, LOADERS, QueryLimits, api, schema_hash, sdl};
pub use streaming::{Event, Execution, SubscriptionStream};
pub use unknown_name::did_you_mean;
