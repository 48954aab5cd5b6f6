//! Generates a catalogue of any size for demos, tests and measurements; reproducible by seed.
//!
//! Each movie has a hidden quality and fame; ratings, reviews, lists, awards, votes and money derive from them, so the
//! columns correlate as those of real movies do. [`generate`] passes the rows to a sink; writing them to a database and
//! computing scores are left to the caller.

mod awards;
mod catalogue;
mod copy_rows;
mod lists;
mod movie;
mod people;
mod rows;
mod seeded_rng;
mod timeline;
mod words;

use std::ops::{ControlFlow, RangeInclusive};

pub use copy_rows::{CopyRows, Table};

/// Allowed number of movies.
pub const MOVIES: RangeInclusive<u32> = 1..=5_000_000;

/// Movies or people per batch: a few megabytes.
const BATCH: u32 = 5_000;

/// Parameters of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerateRequest {
    /// Number of movies, in [`MOVIES`].
    pub movies: u32,
    /// The same seed and number of movies give the same catalogue.
    pub seed: u64,
}

/// Part of a catalogue, in the order of generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Selection of movies for lists and awards; without rows.
    Lists,
    /// People, after genres, countries and lists.
    People,
    /// Movies with metrics and credits.
    Movies,
    /// Awards.
    Awards,
}

/// Rows of one part. Each row follows the rows that it references, in this or an earlier batch.
#[derive(Debug)]
pub struct Batch {
    /// The part.
    pub part: Part,
    /// Movies or people of the part that are done after this batch.
    pub done: u32,
    /// Their total number.
    pub total: u32,
    /// The rows.
    pub rows: Vec<CopyRows>,
}

/// Passes the whole catalogue to `sink`, which decides after each batch whether to continue. A million movies take
/// some minutes.
///
/// # Panics
/// If the number of movies is 0.
pub fn generate(request: GenerateRequest, sink: &mut dyn FnMut(Batch) -> ControlFlow<()>) -> ControlFlow<()> {
    let catalogue = catalogue::Catalogue::of(request.seed, request.movies);
    rows::write(&catalogue, BATCH, sink)
}
