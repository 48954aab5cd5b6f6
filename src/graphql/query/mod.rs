//! The query root: one file per subject, merged into one type.
//!
//! The complexity of a field is a rough estimate in points, in two parts. A constant stands for the work that the field
//! causes whatever it selects, such as ranking a decade (10) or validating all decades (100). To it is added the
//! complexity of the selected fields, multiplied by the number of items. That number is the requested page size, of
//! which at most 100 count because larger ones are rejected later, or a typical number for a field without a page size
//! (10 profiles or lists, 20 genres or countries).

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
