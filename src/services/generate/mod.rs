//! A made-up catalogue of any size, for a demo, a test or a measurement: the same for the same seed.
//!
//! Each film has a quality and a fame that nobody sees; ratings, critics, lists, prizes, votes and money follow from
//! them, so the columns agree with one another as those of real films do. Scores are not computed: that is a refresh.
//! Rows are made here and written by `store`.

mod awards;
mod canon;
mod dice;
mod film;
mod people;
mod rows;
mod timeline;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc;

use crate::store::generate::{self as store, Table};

use film::World;
use rows::Batch;

/// How many films a catalogue may have.
pub const FILMS: RangeInclusive<u32> = 1..=5_000_000;

/// Films or people that are made and written together: a few megabytes.
const BATCH: u32 = 5_000;
/// Batches made ahead of the one that is being written.
const BATCHES_AHEAD: usize = 2;

/// Which catalogue to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerateRequest {
    /// How many films, in [`FILMS`].
    pub films: u32,
    /// Same seed and number of films, same catalogue.
    pub seed: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking at every film for those that lists and juries choose.
    Choosing,
    /// Writing people.
    People,
    /// Writing films with their numbers and credits.
    Films,
    /// Writing prizes.
    Awards,
    /// Counting for the query planner, table by table.
    Analyzing,
    /// Building indexes and checking foreign keys, one by one.
    Indexing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Choosing => "choosing listed films",
            Self::People => "writing people",
            Self::Films => "writing films",
            Self::Awards => "writing awards",
            Self::Analyzing => "analyzing tables",
            Self::Indexing => "building indexes",
        })
    }
}

/// How far a phase is. Phases come in the order of [`Phase`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Films, people, tables or indexes done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateSummary {
    /// Rows per table.
    pub rows: BTreeMap<Table, u64>,
}

/// Why no catalogue was made. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Too few or too many.
    #[error("{films} films asked for, expected {} to {}", FILMS.start(), FILMS.end())]
    FilmsOutOfRange {
        /// As asked for.
        films: u32,
    },
    /// The film tables were there before Cinegraph.
    #[error("the film tables belong to another application; a catalogue is generated only in a database of its own")]
    ForeignCatalogue,
    /// A generated catalogue would replace yours.
    #[error("the database holds imported films; a generated catalogue would replace them, so use another database")]
    ImportedCatalogue,
    /// Films that neither `import` nor `generate` wrote.
    #[error("the database holds films of unknown origin; a generated catalogue would replace them")]
    UnknownCatalogue,
    /// The database failed.
    #[error("the catalogue could not be written")]
    Database(#[from] sqlx::Error),
    /// The films could not be made: a fault of ours.
    #[error("the generator stopped unexpectedly")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Fills the film tables in one transaction, in place of an earlier generated catalogue.
///
/// `progress` is called after each batch of a few thousand films. A million films take some minutes.
///
/// # Errors
/// [`GenerateError`]; nothing has changed then.
pub async fn generate(
    pool: &PgPool,
    request: GenerateRequest,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<GenerateSummary, GenerateError> {
    let GenerateRequest { films, seed } = request;
    if !FILMS.contains(&films) {
        return Err(GenerateError::FilmsOutOfRange { films });
    }
    let mut transaction = pool.begin().await?;
    refuse_what_is_not_ours(&mut transaction).await?;
    store::empty_catalogue(&mut transaction).await?;
    let removed = store::remove_indexes(&mut transaction).await?;
    let summary = write_batches(&mut transaction, request, progress).await?;
    analyze(&mut transaction, progress).await?;
    let mut restored = |done, total| progress(Progress { phase: Phase::Indexing, done, total });
    removed.restore(&mut transaction, &mut restored).await?;
    store::finish_catalogue(&mut transaction, films, seed).await?;
    transaction.commit().await?;
    Ok(summary)
}

async fn refuse_what_is_not_ours(connection: &mut PgConnection) -> Result<(), GenerateError> {
    let found = store::lock_installation(connection).await?;
    if !found.owns_catalogue {
        return Err(GenerateError::ForeignCatalogue);
    }
    match found.catalogue_origin.as_deref() {
        Some("imported") => Err(GenerateError::ImportedCatalogue),
        None if found.has_films => Err(GenerateError::UnknownCatalogue),
        _ => Ok(()),
    }
}

/// Makes films on one thread while the database writes those made before.
async fn write_batches(
    connection: &mut PgConnection,
    request: GenerateRequest,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<GenerateSummary, GenerateError> {
    let (sender, mut batches) = mpsc::channel::<Batch>(BATCHES_AHEAD);
    let maker = tokio::task::spawn_blocking(move || {
        let world = World::of(request.seed, request.films);
        // An error means that the writer gave up, which knows why.
        let _ = rows::write(&world, BATCH, &mut |batch| sender.blocking_send(batch).is_ok());
    });
    let mut summary = GenerateSummary { rows: BTreeMap::new() };
    while let Some(batch) = batches.recv().await {
        for rows in &batch.rows {
            *summary.rows.entry(rows.table()).or_default() += store::copy(connection, rows).await?;
        }
        progress(batch.progress);
    }
    maker.await?;
    Ok(summary)
}

async fn analyze(
    connection: &mut PgConnection,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), GenerateError> {
    let total = Table::ALL.len() as u64;
    for (done, table) in (1..).zip(Table::ALL) {
        store::analyze(connection, table).await?;
        progress(Progress { phase: Phase::Analyzing, done, total });
    }
    Ok(())
}
