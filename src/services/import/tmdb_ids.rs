//! Imports TMDb's daily export of ids: popularity and the adult flag of the movies that the database has. It needs no
//! key of TMDb's API.

use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read, Seek};
use std::path::Path;

use chrono::{Days, NaiveDate, NaiveTime};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::changes::{Change, Changes};
use super::error::{ImportError, Problem};
use super::session::{CHUNK_BYTES, Generated, Progress, begin_completing, file_name, finish};
use super::summary::{FileSummary, ImportSummary, SkipReason};
use super::tsv_reader::open;
use crate::clock::Clock;
use crate::store::{CopyText, Staging, Store};

/// Maximum length of a line. Far above that of the export; it only protects memory from files of another kind.
const LINE_BYTES: u64 = 64 * 1024;

/// A movie of the export.
#[derive(Deserialize)]
struct Entry {
    id: i32,
    adult: bool,
    popularity: f64,
    /// Not used, but the exports of people, series and companies do not have it.
    #[serde(rename = "original_title")]
    _title: IgnoredAny,
}

/// Imports TMDb's daily export of movie ids, plain or compressed with gzip, whose name may contain its date. Lines of
/// movies that the database does not have are only counted.
///
/// # Errors
/// [`ImportError`] if the file is damaged, if the database holds no imported movies, or if the database fails. The
/// database is then unchanged.
pub async fn import_tmdb_ids(
    store: &Store,
    path: &Path,
    clock: &Clock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ImportSummary, ImportError> {
    let file = file_name(path);
    let mut lines = Lines::open(path, file)?;
    let mut import = begin_completing(store, clock).await?;
    let copied = import.copy(Staging::TmdbIds, |rows| {
        while rows.bytes().len() < CHUNK_BYTES {
            let Some(entry) = lines.next()? else { return Ok(false) };
            append(lines.number, &entry, rows);
        }
        progress(lines.progress()?);
        Ok::<_, ImportError>(true)
    });
    copied.await?;
    if let Some(repeat) = import.first_repeat(Staging::TmdbIds).await? {
        let problem = Problem::Repeated { value: repeat.value, earlier: repeat.earlier };
        return Err(ImportError::Damaged { file, line: repeat.line, column: None, problem });
    }
    progress(Progress::Merging { file });
    let time = date_in(file).map(|date| date.and_time(NaiveTime::MIN));
    let mut changes = Changes::default();
    if let Some(older) = import.replacing_rows(Staging::TmdbIds, time).await? {
        changes.add(Change::Older, older.count, older.line, || older.value);
    }
    if let Some(date) = date_in(file).filter(|date| *date > clock.now().date_naive() + Days::new(1)) {
        changes.count(Change::Future, 1, &date.to_string());
    }
    let merged = import.merge_tmdb_ids(time).await?;
    finish(import, Generated::Refuse.into(), &ImportSummary::default(), store, progress).await?;
    let rows = lines.movies;
    let absent = (SkipReason::NotInDatabase, rows - merged.rows);
    let summary = FileSummary {
        name: file,
        rows,
        inserted: merged.inserted,
        updated: merged.updated,
        unchanged: merged.rows - merged.inserted - merged.updated,
        skipped: Some(absent).into_iter().filter(|(_, rows)| *rows > 0).collect(),
        changes,
        ..FileSummary::default()
    };
    Ok(ImportSummary { files: vec![summary], ..ImportSummary::default() })
}

fn append(line: u64, entry: &Entry, rows: &mut CopyText) {
    rows.begin_row(line);
    rows.text(&entry.id.to_string());
    rows.text(if entry.adult { "true" } else { "false" });
    rows.text(&entry.popularity.to_string());
    rows.end_row();
}

/// The date in a name such as `movie_ids_05_15_2024.json.gz`.
fn date_in(name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.strip_prefix("movie_ids_")?.get(..10)?, "%m_%d_%Y").ok()
}

/// The lines of an export.
struct Lines {
    file: &'static str,
    text: Box<dyn BufRead + Send>,
    /// A second handle of the file. It shares its position with `text`, and tells how many bytes were read.
    handle: File,
    total_bytes: u64,
    line: Vec<u8>,
    /// Number of the current line, from 1.
    number: u64,
    /// Number of movies so far.
    movies: u64,
}

impl Lines {
    fn open(path: &Path, file: &'static str) -> Result<Self, ImportError> {
        let unreadable = |source| ImportError::Unreadable { file, source };
        let (handle, text) = open(path).map_err(unreadable)?;
        let total_bytes = handle.metadata().map_err(unreadable)?.len();
        Ok(Self { file, text, handle, total_bytes, line: Vec::new(), number: 0, movies: 0 })
    }

    /// The next movie; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Entry>, ImportError> {
        loop {
            self.line.clear();
            self.number += 1;
            let read = self.text.by_ref().take(LINE_BYTES).read_until(b'\n', &mut self.line);
            match read.map_err(|error| self.unreadable(error))? {
                // An export of no movies is a file of another kind.
                0 if self.movies == 0 => return Err(self.damaged(Problem::EmptyFile)),
                0 => return Ok(None),
                _ if self.line.trim_ascii().is_empty() => {}
                _ => {
                    self.movies += 1;
                    return self.entry().map(Some).map_err(|reason| self.damaged(Problem::NotAnEntry { reason }));
                }
            }
        }
    }

    /// The movie of the current line, or why there is none.
    fn entry(&self) -> Result<Entry, String> {
        if self.line.len() as u64 == LINE_BYTES {
            return Err("the line is longer than 64 KiB".to_owned());
        }
        let entry: Entry = serde_json::from_slice(&self.line).map_err(|error| match error.classify() {
            Category::Eof => "the line is cut off".to_owned(),
            _ => error.to_string(),
        })?;
        if entry.id < 1 || entry.popularity < 0.0 {
            return Err("the id is not positive, or the popularity is negative".to_owned());
        }
        Ok(entry)
    }

    fn progress(&mut self) -> Result<Progress, ImportError> {
        let bytes = self.handle.stream_position().map_err(|error| self.unreadable(error))?;
        Ok(Progress::Reading { file: self.file, bytes, total_bytes: self.total_bytes })
    }

    fn damaged(&self, problem: Problem) -> ImportError {
        ImportError::Damaged { file: self.file, line: self.number, column: None, problem }
    }

    fn unreadable(&self, error: io::Error) -> ImportError {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged(Problem::CutOff),
            // The decompressor reports damaged data with these kinds.
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.damaged(Problem::BadGzip),
            _ => ImportError::Unreadable { file: self.file, source: error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_export_is_in_its_name() {
        let date = NaiveDate::from_ymd_opt(2024, 5, 15);
        assert_eq!(date_in("movie_ids_05_15_2024.json.gz"), date);
        assert_eq!(date_in("movie_ids_05_15_2024.json"), date);
        for name in
            ["movie_ids_15_05_2024.json", "movie_ids_05_15_24", "movie_ids_.json", "ids.json", "movie_ids_äöüäöü"]
        {
            assert_eq!(date_in(name), None, "{name}");
        }
    }
}
