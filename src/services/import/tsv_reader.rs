//! Reads one of IMDb's dumps line by line: values separated by tabs, `\N` for NULL, no quoting. Detects by its first
//! bytes whether the file is compressed with gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use cinegraph_list_formats::UTF8_MARK;
use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memchr_iter};

use super::error::{ImportError, Problem};
use super::file_kind::not_a_table;
use super::files::open_file;
use super::values::shown;

const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B];
const NO_VALUE: &[u8] = br"\N";

/// Size of a disk read, and of a decompressed chunk.
const BUFFER_BYTES: usize = 64 * 1024;

/// Maximum line length. Far above that of the dumps; it only protects memory from files of another kind.
const LINE_BYTES: u64 = 1024 * 1024;

/// An open file whose header was read.
pub(super) struct Reader {
    file: &'static str,
    lines: Box<dyn BufRead + Send>,
    /// A second handle of the file. It shares its position with `lines`, and tells how many bytes were read.
    handle: File,
    row: Vec<u8>,
    /// End of each value in the row.
    ends: Vec<usize>,
    /// Current line; the header is on line 1.
    line: u64,
    /// Number of columns in the header, which every row must have.
    width: usize,
    columns: &'static [&'static str],
    /// Index in the row of each requested column.
    places: Vec<usize>,
    /// Whether the current row ends with the file, without a line break.
    is_unended: bool,
}

impl Reader {
    /// Opens a file and finds the requested columns, in any order.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, is damaged, or its header lacks a column.
    pub(super) fn open(path: &Path, file: &'static str, columns: &'static [&'static str]) -> Result<Self, ImportError> {
        let (handle, lines) = open(path).map_err(|source| ImportError::Unreadable { file, source })?;
        let (row, ends, places) = (Vec::new(), Vec::new(), Vec::new());
        let mut reader = Self { file, lines, handle, row, ends, line: 0, width: 0, columns, places, is_unended: false };
        // Read ahead; an error is that of the line that is read next.
        if let Ok(Some(problem)) = reader.lines.fill_buf().map(not_a_table) {
            return Err(ImportError::Damaged { file, line: 1, column: None, problem });
        }
        if !reader.next_line()? {
            return Err(reader.damaged(None, Problem::EmptyFile));
        }
        if reader.is_unended {
            return Err(reader.damaged(None, Problem::CutOff));
        }
        reader.width = reader.ends.len();
        let mut header: Vec<&[u8]> = (0..reader.width).map(|place| reader.bytes(place)).collect();
        header[0] = header[0].strip_prefix(UTF8_MARK).unwrap_or(header[0]);
        let place = |column: &&str| {
            let place = header.iter().position(|name| *name == column.as_bytes());
            let found = || shown(&String::from_utf8_lossy(&header.join(&b", "[..])));
            place.ok_or_else(|| reader.damaged(Some(column), Problem::MissingColumn { found: found() }))
        };
        reader.places = columns.iter().map(place).collect::<Result<_, _>>()?;
        Ok(reader)
    }

    /// Moves to the next row; false at the end of a complete file.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, is truncated, or has a row with another number of columns.
    pub(super) fn next_row(&mut self) -> Result<bool, ImportError> {
        if !self.next_line()? {
            return Ok(false);
        }
        if self.ends.len() != self.width {
            if self.is_unended {
                return Err(self.damaged(None, Problem::CutOff));
            }
            let problem = Problem::Width { found: self.ends.len(), expected: self.width };
            return Err(self.damaged(None, problem));
        }
        Ok(true)
    }

    /// Value of the current row in the requested column with this index; `None` for `\N`.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] if it is not UTF-8.
    pub(super) fn optional(&self, column: usize) -> Result<Option<&str>, ImportError> {
        match self.bytes(self.places[column]) {
            NO_VALUE => Ok(None),
            bytes => {
                let text = std::str::from_utf8(bytes).map_err(|_| self.bad(column, Problem::NotUtf8))?;
                Ok(Some(text))
            }
        }
    }

    /// As [`Reader::optional`], for a column that must have a value.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] if the value is not UTF-8, missing or empty.
    pub(super) fn required(&self, column: usize) -> Result<&str, ImportError> {
        let value = self.optional(column)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| self.bad(column, Problem::NoValue))
    }

    /// Line of the current row, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Whether the current row ends with the file, without a line break.
    pub(super) fn is_unended(&self) -> bool {
        self.is_unended
    }

    /// Bytes read from disk so far.
    pub(super) fn bytes_read(&mut self) -> io::Result<u64> {
        self.handle.stream_position()
    }

    /// Error for a value of the current row.
    pub(super) fn bad(&self, column: usize, problem: Problem) -> ImportError {
        self.damaged(Some(self.columns[column]), problem)
    }

    fn damaged(&self, column: Option<&str>, problem: Problem) -> ImportError {
        ImportError::Damaged { file: self.file, line: self.line, column: column.map(str::to_owned), problem }
    }

    /// Reads the next line and finds the ends of its columns; false at the end of the file.
    fn next_line(&mut self) -> Result<bool, ImportError> {
        self.line += 1;
        self.row.clear();
        let read = self.lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut self.row);
        read.map_err(|error| self.unreadable(error))?;
        match self.row.pop() {
            None => return Ok(false),
            Some(b'\n') => {}
            Some(_) if self.row.len() as u64 + 1 == LINE_BYTES => return Err(self.damaged(None, Problem::LineTooLong)),
            Some(last) => {
                self.row.push(last);
                self.is_unended = true;
            }
        }
        if self.row.last() == Some(&b'\r') {
            self.row.pop();
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
            // The decompressor reports damaged data with these kinds.
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.damaged(None, Problem::BadGzip),
            _ => ImportError::Unreadable { file: self.file, source: error },
        }
    }

    fn bytes(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] + 1 };
        &self.row[start..self.ends[place]]
    }
}

/// Opens the file; returns it with a reader of its text.
pub(super) fn open(path: &Path) -> io::Result<(File, Box<dyn BufRead + Send>)> {
    let file = open_file(path)?;
    let handle = file.try_clone()?;
    let mut bytes = BufReader::with_capacity(BUFFER_BYTES, file);
    if !bytes.fill_buf()?.starts_with(GZIP_MAGIC) {
        return Ok((handle, Box::new(bytes)));
    }
    // This decoder reads all gzip members, because a file may have been compressed in parts.
    let text = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(bytes));
    Ok((handle, Box::new(text)))
}
