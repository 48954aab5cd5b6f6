//! Every SQL statement, and what turns its rows into values of the domain.

pub mod import;
