//! One of IMDb's dumps, read line by line: values apart by tabs, `\N` where there is none, a quote like any letter.
//! Compressed by gzip or not: the first bytes tell.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memchr_iter};

use super::error::{ImportError, Problem};

const GZIP_MARK: &[u8] = &[0x1F, 0x8B];
const NO_VALUE: &[u8] = br"\N";

/// How much is read from disk, and decompressed, at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The longest line. The dumps have none near it, so it only keeps a file of another kind out of memory.
const LINE_BYTES: u64 = 1024 * 1024;

/// A file whose header was read.
pub(super) struct Reader {
    file: &'static str,
    lines: Box<dyn BufRead + Send>,
    /// Shares its place in the file with `lines`.
    handle: File,
    row: Vec<u8>,
    /// Where each value of the row ends.
    ends: Vec<usize>,
    /// The header is on line 1.
    line: u64,
    width: usize,
    columns: &'static [&'static str],
    /// The place in the row of each of the columns.
    places: Vec<usize>,
}

impl Reader {
    /// Opens a file and finds the columns asked for, in whatever order the header has them.
    ///
    /// # Errors
    /// [`ImportError`] when the file cannot be read, is damaged, or its header lacks a column.
    pub(super) fn open(path: &Path, file: &'static str, columns: &'static [&'static str]) -> Result<Self, ImportError> {
        let (handle, lines) = open(path).map_err(|source| ImportError::Unreadable { file, source })?;
        let (row, ends, places) = (Vec::new(), Vec::new(), Vec::new());
        let mut reader = Self { file, lines, handle, row, ends, line: 0, width: 0, columns, places };
        if !reader.next_line()? {
            return Err(reader.damaged(None, Problem::EmptyFile));
        }
        reader.width = reader.ends.len();
        let header: Vec<&[u8]> = (0..reader.width).map(|place| reader.bytes(place)).collect();
        let place = |column: &&str| {
            let place = header.iter().position(|name| *name == column.as_bytes());
            place.ok_or_else(|| reader.damaged(Some(column), Problem::MissingColumn))
        };
        reader.places = columns.iter().map(place).collect::<Result<_, _>>()?;
        Ok(reader)
    }

    /// Moves to the next row; false at the end of a whole file.
    ///
    /// # Errors
    /// [`ImportError`] when the file cannot be read, is cut off, or has a row of another shape than the header.
    pub(super) fn next_row(&mut self) -> Result<bool, ImportError> {
        if !self.next_line()? {
            return Ok(false);
        }
        if self.ends.len() != self.width {
            let problem = Problem::Width { found: self.ends.len(), expected: self.width };
            return Err(self.damaged(None, problem));
        }
        Ok(true)
    }

    /// The value of a column of the current row, by its place among the columns asked for.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] when it is not UTF-8.
    pub(super) fn optional(&self, column: usize) -> Result<Option<&str>, ImportError> {
        match self.bytes(self.places[column]) {
            NO_VALUE => Ok(None),
            bytes => {
                let text = std::str::from_utf8(bytes).map_err(|_| self.bad(column, Problem::NotUtf8))?;
                Ok(Some(text))
            }
        }
    }

    /// Like [`Reader::optional`], for a column that each row has a value for.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] also when there is none.
    pub(super) fn required(&self, column: usize) -> Result<&str, ImportError> {
        let value = self.optional(column)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| self.bad(column, Problem::NoValue))
    }

    /// Where the current row stands, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How much of the file was read from disk.
    pub(super) fn bytes_read(&mut self) -> io::Result<u64> {
        self.handle.stream_position()
    }

    /// Says which value of the current row is wrong.
    pub(super) fn bad(&self, column: usize, problem: Problem) -> ImportError {
        self.damaged(Some(self.columns[column]), problem)
    }

    fn damaged(&self, column: Option<&str>, problem: Problem) -> ImportError {
        ImportError::Damaged { file: self.file, line: self.line, column: column.map(str::to_owned), problem }
    }

    fn next_line(&mut self) -> Result<bool, ImportError> {
        self.line += 1;
        self.row.clear();
        let read = self.lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut self.row);
        read.map_err(|error| self.unreadable(error))?;
        match self.row.pop() {
            None => return Ok(false),
            Some(b'\n') => {}
            Some(_) if self.row.len() as u64 + 1 == LINE_BYTES => return Err(self.damaged(None, Problem::LineTooLong)),
            Some(_) => return Err(self.damaged(None, Problem::CutOff)),
        }
        if memchr(0, &self.row).is_some() {
            return Err(self.damaged(None, Problem::Nul));
        }
        self.ends.clear();
        self.ends.extend(memchr_iter(b'\t', &self.row));
        self.ends.push(self.row.len());
        Ok(true)
    }

    fn unreadable(&self, error: io::Error) -> ImportError {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged(None, Problem::CutOff),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.damaged(None, Problem::BadGzip),
            _ => ImportError::Unreadable { file: self.file, source: error },
        }
    }

    fn bytes(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] + 1 };
        &self.row[start..self.ends[place]]
    }
}

/// The file, and its text.
fn open(path: &Path) -> io::Result<(File, Box<dyn BufRead + Send>)> {
    let file = File::open(path)?;
    let handle = file.try_clone()?;
    let mut bytes = BufReader::with_capacity(BUFFER_BYTES, file);
    if !bytes.fill_buf()?.starts_with(GZIP_MARK) {
        return Ok((handle, Box::new(bytes)));
    }
    // Of several members, since a file may have been compressed in parts.
    let text = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(bytes));
    Ok((handle, Box::new(text)))
}
