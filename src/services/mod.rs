//! Use cases: predict, validate, refresh, import. No GraphQL or HTTP types, no SQL.

pub mod import;
