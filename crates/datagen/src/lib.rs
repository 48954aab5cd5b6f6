//! Generates a catalogue of any size for demos, tests and measurements. The same seed and size give the same catalogue.
//!
//! Each movie has a hidden quality and fame. Ratings, reviews, lists, awards, votes and money derive from these two, so
//! that the columns correlate as those of real movies do. [`generate`] passes the rows to a sink; the caller writes
//! them to a database and computes scores.

mod awards;
mod catalogue;
mod copy_rows;
mod lists;
mod movie;
mod people;
mod rows;
mod seeded_rng;
mod tables;
mod timeline;
mod words;

use std::ops::{ControlFlow, RangeInclusive};

pub use copy_rows::CopyRows;
pub use tables::Table;

/// Allowed number of movies. The maximum is a choice: several times as many as TMDb has.
pub const MOVIES: RangeInclusive<u32> = 1..=5_000_000;

/// Movies or people per batch. A batch has a few megabytes: large enough for `COPY`, small enough for memory and for
/// progress that moves.
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
    /// The selection of the movies on lists and of the contenders for awards. Its batches only report progress, and
    /// have no rows.
    Lists,
    /// Genres, countries and lists in the first batch, then people.
    People,
    /// Movies with their metrics, credits, genres and countries.
    Movies,
    /// Awards.
    Awards,
}

/// Rows of one part. Each row follows the rows that it references, in this or an earlier batch.
#[derive(Debug)]
pub struct Batch {
    /// The part.
    pub part: Part,
    /// How many movies or people of the part are done after this batch. 1 for awards, which are one batch.
    pub done: u32,
    /// How many movies or people the part has. 1 for awards.
    pub total: u32,
    /// The rows.
    pub rows: Vec<CopyRows>,
}

/// Passes the whole catalogue to `sink`, which decides after each batch whether to continue. Returns `Break` if `sink`
/// stopped it. A million movies take some minutes.
///
/// The number of movies must be in [`MOVIES`], which the caller checks.
pub fn generate(request: GenerateRequest, sink: &mut dyn FnMut(Batch) -> ControlFlow<()>) -> ControlFlow<()> {
    let catalogue = catalogue::Catalogue::of(request.seed, request.movies);
    rows::write(&catalogue, BATCH, sink)
}
