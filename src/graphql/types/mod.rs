//! Schema types that several root fields return or take. A type of one root field is beside its resolver.
//!
//! The files import each other in one direction only. `Movie` and `Prediction` refer to each other in the schema, so
//! they share a file.

pub(in crate::graphql) mod date;
pub(in crate::graphql) mod decade_validation;
pub(in crate::graphql) mod hit_rate;
pub(in crate::graphql) mod model;
pub(in crate::graphql) mod movie_details;
pub(in crate::graphql) mod movie_links;
pub(in crate::graphql) mod movie_list;
pub(in crate::graphql) mod movie_prediction;
pub(in crate::graphql) mod people;
pub(in crate::graphql) mod prediction_filter;
pub(in crate::graphql) mod profile;
pub(in crate::graphql) mod ranking_kind;
pub(in crate::graphql) mod reason;
pub(in crate::graphql) mod score;
pub(in crate::graphql) mod validation_report;
pub(in crate::graphql) mod validation_total;
pub(in crate::graphql) mod weights;
