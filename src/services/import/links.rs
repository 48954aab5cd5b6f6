//! Imports MovieLens' `links.csv`: TMDb ids for the movies that IMDb's dumps brought.

use std::fmt;
use std::path::Path;

use cinegraph_list_formats::imdb_id;

use super::changes::{Change, Changes};
use super::csv_reader::Reader;
use super::error::{ImportError, Problem};
use super::session::{CHUNK_BYTES, Generated, Progress, begin_completing, file_name, finish};
use super::summary::{FileSummary, ImportSummary, SkipReason};
use super::values::{movie_id, shown};
use crate::clock::Clock;
use crate::store::{CopyText, LinkConflict, Staging, Store};

/// The columns that are read. The other one, `movieId`, is MovieLens' own id.
const COLUMNS: [&str; 2] = ["imdbId", "tmdbId"];

/// Maximum number of conflicts that the summary lists. A choice: enough to see of which kind they are.
const CONFLICTS_SHOWN: i64 = 50;

/// Summary of an import of links.
#[derive(Debug)]
pub struct LinksSummary {
    /// Counts of the file.
    pub import: ImportSummary,
    /// The first rows that contradict the database or another row; nothing was changed for these.
    pub conflicts: Vec<LinkConflict>,
    /// Number of such rows after these.
    pub further_conflicts: u64,
}

impl fmt::Display for LinksSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.import)?;
        if !self.conflicts.is_empty() {
            write!(f, "\nnothing was changed for:")?;
        }
        for LinkConflict { line, reason } in &self.conflicts {
            write!(f, "\n  line {line}: {reason}")?;
        }
        match self.further_conflicts {
            0 => Ok(()),
            further => write!(f, "\n  and {further} further lines"),
        }
    }
}

/// Gives each movie that has only an IMDb id its TMDb id. A row that contradicts the database or another row changes
/// nothing and is reported. The movies keep their scores and the ids by which the API identifies them.
///
/// # Errors
/// [`ImportError`] if the file is damaged, if the database holds no imported movies, or if the database fails. The
/// database is then unchanged.
pub async fn import_links(
    store: &Store,
    path: &Path,
    clock: &Clock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<LinksSummary, ImportError> {
    let file = file_name(path);
    let total_bytes = path.metadata().map_err(|source| ImportError::Unreadable { file, source })?.len();
    let mut reader = Reader::open(path, file, &COLUMNS, &[])?;
    let mut import = begin_completing(store, clock).await?;
    let (mut rows, mut without_id, mut changes) = (0, 0, Changes::default());
    let copied = import.copy(Staging::Links, |staged| {
        while staged.bytes().len() < CHUNK_BYTES {
            if !reader.next_row()? {
                return Ok(false);
            }
            rows += 1;
            without_id += u64::from(!append(&reader, staged)?);
            if reader.is_unended() {
                changes.count(Change::NoLineBreak, reader.line(), "");
            }
        }
        progress(Progress::Reading { file, bytes: reader.bytes_read().min(total_bytes), total_bytes });
        Ok::<_, ImportError>(true)
    });
    copied.await?;
    progress(Progress::Merging { file });
    let counts = import.link_movies().await?;
    let conflicts = import.link_conflicts(CONFLICTS_SHOWN).await?;
    finish(import, Generated::Refuse.into(), &ImportSummary::default(), store, progress).await?;
    let skipped = [
        (SkipReason::NoTmdbId, without_id),
        (SkipReason::Repeated, counts.repeated),
        (SkipReason::NotInDatabase, counts.absent),
        (SkipReason::Conflict, counts.conflicts),
    ];
    let summary = FileSummary {
        name: file,
        rows,
        updated: counts.linked,
        unchanged: counts.unchanged,
        skipped: skipped.into_iter().filter(|(_, rows)| *rows > 0).collect(),
        changes,
        ..FileSummary::default()
    };
    let import = ImportSummary { files: vec![summary], ..ImportSummary::default() };
    let further_conflicts = counts.conflicts - conflicts.len() as u64;
    Ok(LinksSummary { import, conflicts, further_conflicts })
}

/// Appends the reader's current row to `rows`. Returns false if it has no TMDb id.
fn append(reader: &Reader, rows: &mut CopyText) -> Result<bool, ImportError> {
    let damaged = |column| move |problem| reader.damaged(Some(COLUMNS[column]), problem);
    let value = |column| reader.value(column).map(str::trim).map_err(damaged(column));
    let imdb_id = title_id(value(0)?).map_err(damaged(0))?;
    let tmdb_id = match value(1)? {
        "" => return Ok(false),
        written => movie_id(written).map_err(damaged(1))?,
    };
    rows.begin_row(reader.line());
    rows.text(&imdb_id);
    rows.text(&tmdb_id.to_string());
    rows.end_row();
    Ok(true)
}

/// IMDb's id, which the file has without `tt`.
fn title_id(value: &str) -> Result<String, Problem> {
    if value.is_empty() {
        return Err(Problem::NoValue);
    }
    imdb_id(value).ok_or_else(|| Problem::NotAnId { value: shown(value), example: "0111161" })
}
