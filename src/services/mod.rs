//! Use cases: predict, validate, refresh, import. All decisions are made here, for every entry point.
//!
//! SQL belongs in `store`, arithmetic in `scoring`, GraphQL and HTTP types in the layers above.

pub mod auth;
pub mod award_names;
pub mod cache_policy;
mod composition;
pub mod default_profile;
#[cfg(feature = "download")]
pub mod download;
pub mod drain;
mod error;
pub mod generate;
pub mod import;
mod invalid_tokens;
pub mod invalidation;
pub mod learned;
pub mod list_import;
pub mod list_upload;
pub mod lists;
pub mod live_updates;
pub mod movies;
pub mod predictions;
pub mod profiles;
pub mod reference;
pub mod refresh;
pub mod status;
pub mod validation;
pub mod warming;

pub use auth::{Administrator, Authenticator, Bearer};
pub use cache_policy::{CacheLimits, share};
pub use composition::Services;
pub use error::ServiceError;
pub use movies::Movies;
pub use predictions::Predictions;
pub use profiles::Profiles;
pub use reference::ReferenceData;
pub use status::StatusReport;
pub use validation::Validation;
