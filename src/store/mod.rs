//! Every SQL statement, and rows to domain values.

pub mod generate;
