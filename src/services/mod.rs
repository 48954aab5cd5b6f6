//! Use cases: predict, validate, refresh, import.

pub mod generate;
