//! Tests through the public door, each on its own PostgreSQL database.

mod generate;
