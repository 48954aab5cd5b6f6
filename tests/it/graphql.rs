//! The schema, its limits and what clients are told when something is wrong.
