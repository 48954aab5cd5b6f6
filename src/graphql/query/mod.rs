//! The query root: one file per subject, merged into one type. [`complexity`](super::complexity) says what each field
//! costs.

mod lists;
mod models;
mod movie_lookup;
mod nodes;
mod people;
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
    people::PeopleQueries,
    lists::ListQueries,
    models::ModelQueries,
    status::StatusQueries,
    nodes::NodeQueries,
);
