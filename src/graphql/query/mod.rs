//! The query root: one file per subject, merged into one type.
//!
//! The complexity of a field is a rough estimate in points. A constant stands for the work that the field causes
//! whatever it selects, such as ranking a decade (10) or validating all decades (100). Selected fields count once per
//! item: at most 100, the maximum page size, or a typical number where there is no page size (10 profiles or lists).

mod lists;
mod movie_lookup;
mod nodes;
mod rankings;
mod status;
mod validations;
mod weight_profiles;

use async_graphql::MergedObject;

/// Read-only queries.
#[derive(MergedObject, Default)]
pub struct Query(
    rankings::RankingQueries,
    validations::ValidationQueries,
    weight_profiles::ProfileQueries,
    movie_lookup::MovieQueries,
    lists::ListQueries,
    status::StatusQueries,
    nodes::NodeQueries,
);
