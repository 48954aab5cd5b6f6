//! Fills the movie tables with a generated catalogue. `cinegraph_datagen` generates the rows, `store` writes them, and
//! a refresh computes the scores.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

pub use cinegraph_datagen::GenerateRequest;
use cinegraph_datagen::{Batch, MOVIES, Part, Table};
use tokio::sync::mpsc;

use crate::store::{CatalogueState, CatalogueWriter, Store, StoreError};

/// Batches generated ahead of the one being written. A choice: the writer rarely waits for the generator, and only few
/// batches are in memory.
const BATCHES_AHEAD: usize = 2;

/// Phase of the generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Generating and writing a part of the catalogue.
    Writing(Part),
    /// Analyzing tables for the query planner.
    Analyzing,
    /// Rebuilding indexes and foreign keys.
    Indexing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writing(Part::Lists) => "choosing listed movies",
            Self::Writing(Part::People) => "writing people",
            Self::Writing(Part::Movies) => "writing movies",
            Self::Writing(Part::Awards) => "writing awards",
            Self::Analyzing => "analyzing tables",
            Self::Indexing => "building indexes",
        })
    }
}

/// Progress of a phase. Phases run in the order of [`Phase`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Current phase.
    pub phase: Phase,
    /// Movies, people, tables or indexes done.
    pub done: u64,
    /// Total number.
    pub total: u64,
}

/// Result of the generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateSummary {
    /// Rows per table.
    pub rows: BTreeMap<Table, u64>,
}

/// Why no catalogue was generated. The database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Number of movies out of range.
    #[error("{movies} movies requested, expected {} to {}", MOVIES.start(), MOVIES.end())]
    MoviesOutOfRange {
        /// The requested number.
        movies: u32,
    },
    /// The movie tables are host tables.
    #[error("the movie tables belong to another application; generate movies in another database")]
    ForeignCatalogue,
    /// The catalogue was imported.
    #[error("the database holds imported movies, which generated ones would replace; use another database")]
    ImportedCatalogue,
    /// Neither `import` nor `generate` wrote the movies.
    #[error("the database holds movies of unknown origin, which would be replaced; use another database")]
    UnknownCatalogue,
    /// The database failed.
    #[error("cannot write the movies")]
    Database(#[from] StoreError),
    /// The generator failed; a bug.
    #[error("the generator stopped unexpectedly")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Fills the movie tables in one transaction, replacing an earlier generated catalogue.
///
/// Calls `progress` after each batch. A million movies take some minutes.
///
/// # Errors
/// [`GenerateError`]; the database is then unchanged.
pub async fn generate(
    store: &Store,
    request: GenerateRequest,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<GenerateSummary, GenerateError> {
    let GenerateRequest { movies, seed } = request;
    if !MOVIES.contains(&movies) {
        return Err(GenerateError::MoviesOutOfRange { movies });
    }
    let (mut catalogue, found) = store.write_catalogue().await?;
    require_replaceable(&found)?;
    catalogue.empty().await?;
    let summary = write_batches(&mut catalogue, request, progress).await?;
    analyze(&mut catalogue, progress).await?;
    catalogue.restore_indexes(&mut |done, total| progress(Progress { phase: Phase::Indexing, done, total })).await?;
    catalogue.commit(movies, seed).await?;
    Ok(summary)
}

fn require_replaceable(found: &CatalogueState) -> Result<(), GenerateError> {
    if !found.owns_catalogue {
        return Err(GenerateError::ForeignCatalogue);
    }
    match found.origin.as_deref() {
        Some("imported") => Err(GenerateError::ImportedCatalogue),
        None if found.has_movies => Err(GenerateError::UnknownCatalogue),
        _ => Ok(()),
    }
}

/// Generates rows on a blocking thread while the database writes the previous batch.
async fn write_batches(
    catalogue: &mut CatalogueWriter,
    request: GenerateRequest,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<GenerateSummary, GenerateError> {
    let (sender, mut batches) = mpsc::channel::<Batch>(BATCHES_AHEAD);
    let generator = tokio::task::spawn_blocking(move || {
        // Sending fails only if the writer has stopped because of an error, which this function returns.
        let _ = cinegraph_datagen::generate(request, &mut |batch| match sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        });
    });
    let mut summary = GenerateSummary { rows: BTreeMap::new() };
    while let Some(batch) = batches.recv().await {
        for rows in &batch.rows {
            *summary.rows.entry(rows.table()).or_default() += catalogue.copy(rows).await?;
        }
        let phase = Phase::Writing(batch.part);
        progress(Progress { phase, done: batch.done.into(), total: batch.total.into() });
    }
    generator.await?;
    Ok(summary)
}

async fn analyze(
    catalogue: &mut CatalogueWriter,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), GenerateError> {
    let total = Table::ALL.len() as u64;
    for (done, table) in (1..).zip(Table::ALL) {
        catalogue.analyze(table).await?;
        progress(Progress { phase: Phase::Analyzing, done, total });
    }
    Ok(())
}
