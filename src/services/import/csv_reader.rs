//! Reads one CSV file (RFC 4180) record by record, tracks line numbers, and detects truncation.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Chain, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Position, ReaderBuilder, Terminator};

use super::error::{ImportError, Problem};
use super::values::shown;

/// Appended to the file, to detect that the file is truncated. A complete file ends with a line break outside quotes,
/// so this NUL then forms a record of its own. No valid value contains a NUL, because PostgreSQL cannot store one.
const END: &[u8] = &[0];

const UTF8_BOM: &[u8] = &[0xEF, 0xBB, 0xBF];
const UTF16_BOMS: [&[u8]; 2] = [&[0xFE, 0xFF], &[0xFF, 0xFE]];

/// Size of a disk read. A choice.
const BUFFER_BYTES: usize = 64 * 1024;

/// Maximum length of a row. Far above that of any file of ours; it only protects memory, from a quote that is never
/// closed and from files of another kind.
const ROW_BYTES: usize = 1024 * 1024;

/// Maximum number of columns.
const COLUMNS_MAX: usize = 1_000;

/// The text of a file, of which the parser gets at most one row's worth of bytes at a time.
struct Source {
    text: Chain<Chain<Cursor<Vec<u8>>, File>, &'static [u8]>,
    /// Bytes that the parser may still read for the current row.
    left: usize,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let length = buffer.len().min(self.left);
        let read = self.text.read(&mut buffer[..length])?;
        self.left -= read;
        Ok(read)
    }
}

/// An open file whose header was read.
pub(super) struct Reader {
    file: &'static str,
    csv: csv::Reader<Source>,
    record: ByteRecord,
    /// Line on which the record starts; the header is on line 1.
    line: u64,
    /// Number of columns in the header, which every row must have.
    width: usize,
    /// Column names, in the order of the file.
    header: Vec<String>,
    /// The file once more, to find the value that makes a row too long.
    path: PathBuf,
    /// Index in the file of each requested column.
    places: Vec<usize>,
    ignored: Vec<String>,
}

impl Reader {
    /// Opens a file and finds the requested columns, in any order.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, or its header is damaged or lacks a column.
    pub(super) fn open(path: &Path, file: &'static str, columns: &[&str]) -> Result<Self, ImportError> {
        let csv = source(path).map_err(|source| ImportError::Unreadable { file, source })?;
        let damaged = |problem| ImportError::Damaged { file, line: 1, column: None, problem };
        let csv = csv.ok_or_else(|| damaged(Problem::Utf16))?;
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // Not CRLF: records would then end before their line break, and line numbers would be one too low.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(csv);
        let (record, places, ignored, path) = (ByteRecord::new(), Vec::new(), Vec::new(), path.to_owned());
        let mut reader = Self { file, csv, record, line: 1, width: 0, header: Vec::new(), path, places, ignored };
        if !reader.next_record()? {
            return Err(damaged(Problem::EmptyFile));
        }
        reader.read_header(columns)?;
        Ok(reader)
    }

    fn read_header(&mut self, columns: &[&str]) -> Result<(), ImportError> {
        self.width = self.record.len();
        if self.width > COLUMNS_MAX {
            let column = self.field(COLUMNS_MAX).ok().map(shown);
            return Err(
                self.damaged(column.as_deref(), Problem::TooManyColumns { found: self.width, max: COLUMNS_MAX })
            );
        }
        let header: Vec<&str> = (0..self.width)
            .map(|place| self.field(place))
            .collect::<Result<_, _>>()
            .map_err(|problem| self.damaged(None, problem))?;
        let mut names = HashSet::new();
        if let Some(name) = header.iter().find(|name| !names.insert(**name)) {
            return Err(self.damaged(Some(name), Problem::RepeatedColumn));
        }
        let place = |column: &&str| {
            let place = header.iter().position(|name| name == column);
            place.ok_or_else(|| self.damaged(Some(column), Problem::MissingColumn))
        };
        let places = columns.iter().map(place).collect::<Result<_, _>>()?;
        let ignored = header.iter().filter(|name| !columns.contains(name)).map(ToString::to_string).collect();
        (self.header, self.places, self.ignored) = (header.iter().map(ToString::to_string).collect(), places, ignored);
        Ok(())
    }

    /// Moves to the next row; false at the end of a complete file.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, is truncated, or has a record with another number of columns.
    pub(super) fn next_row(&mut self) -> Result<bool, ImportError> {
        if !self.next_record()? {
            return Ok(false);
        }
        if self.record.len() != self.width {
            let problem = Problem::Width { found: self.record.len(), expected: self.width };
            return Err(self.damaged(None, problem));
        }
        Ok(true)
    }

    /// Value of the current row in the requested column with this index; empty if missing.
    pub(super) fn value(&self, column: usize) -> Result<&str, Problem> {
        self.field(self.places[column])
    }

    /// Line on which the current row starts, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.csv.position().byte()
    }

    /// Columns that were not requested.
    pub(super) fn ignored_columns(&self) -> &[String] {
        &self.ignored
    }

    /// Error for a problem in the current row.
    pub(super) fn damaged(&self, column: Option<&str>, problem: Problem) -> ImportError {
        ImportError::Damaged { file: self.file, line: self.line, column: column.map(str::to_owned), problem }
    }

    /// Moves to the next non-empty record; false at the end of a complete file.
    fn next_record(&mut self) -> Result<bool, ImportError> {
        loop {
            let start = self.csv.position().clone();
            if !self.read()? {
                return Ok(false);
            }
            let end = self.csv.position().clone();
            let line_breaks = count(self.record.as_slice(), b'\n');
            if self.record.as_slice().contains(&0) {
                self.line = end.line() - line_breaks;
                return self.end_or_error_at_nul();
            }
            // The record ended with its line break, so the reader is on the next line.
            self.line = end.line() - line_breaks - 1;
            let empty_lines = self.line - start.line();
            // An empty line that ends in CRLF; the parser skips only those that end in LF.
            if self.record.len() == 1 && self.record.as_slice() == b"\r" {
                continue;
            }
            // The parser skipped the empty lines before the record, each of one byte.
            if !self.quotes_fit(end.byte() - start.byte() - empty_lines) {
                return Err(self.damaged(None, Problem::StrayQuote));
            }
            return Ok(true);
        }
    }

    /// Decides what a record with a NUL means. It is [`END`] if the file is complete, for which this returns false.
    /// Otherwise the file has a NUL of its own, or was cut off within a record, which are errors.
    fn end_or_error_at_nul(&mut self) -> Result<bool, ImportError> {
        let record = self.record.clone();
        if self.read()? {
            // A record follows, so this NUL is a character of the file, not `END`. A line break ended the record, so
            // the reader was on the next line.
            self.line -= 1;
            return Err(self.damaged(None, Problem::Nul));
        }
        // Nothing follows: either `END` is a record of its own, or it was appended to a record that is cut off.
        match record.as_slice() {
            END if record.len() == 1 => Ok(false),
            _ => Err(self.damaged(None, Problem::CutOff)),
        }
    }

    fn read(&mut self) -> Result<bool, ImportError> {
        let start = self.csv.position().clone();
        self.csv.get_mut().left = ROW_BYTES;
        let error = match self.csv.read_byte_record(&mut self.record) {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        let unreadable = |source| ImportError::Unreadable { file: self.file, source };
        if !matches!(error.kind(), csv::ErrorKind::Io(cause) if cause.kind() == ErrorKind::FileTooLarge) {
            return Err(unreadable(error.into()));
        }
        let (line, place) = self.long_value(&start).map_err(unreadable)?;
        self.line = line;
        let column = self.header.get(place).cloned();
        Err(self.damaged(column.as_deref(), Problem::RowTooLong { value: place + 1 }))
    }

    /// Line of the row after `start` that is too long, and the index of the value in which it passes the limit.
    fn long_value(&self, start: &Position) -> io::Result<(u64, usize)> {
        let mut text = source(&self.path)?.map(|source| source.text).into_iter();
        let mut row = Vec::with_capacity(ROW_BYTES);
        if let Some(mut text) = text.next() {
            io::copy(&mut text.by_ref().take(start.byte()), &mut io::sink())?;
            text.take(ROW_BYTES as u64).read_to_end(&mut row)?;
        }
        let empty_lines = row.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let empty_lines = empty_lines.filter(|byte| **byte == b'\n').count() as u64;
        let (mut place, mut quoted) = (0, false);
        for byte in row {
            match byte {
                // Of a doubled quote, the first ends a part of the value and the second begins another.
                b'"' => quoted = !quoted,
                b',' if !quoted => place += 1,
                _ => {}
            }
        }
        Ok((start.line() + empty_lines, place))
    }

    /// Whether the quotes of a record with `bytes` bytes follow RFC 4180. The parser accepts a quote anywhere, and may
    /// then read all lines up to the next quote as one value. The number of bytes reveals such a quote: a value that
    /// contains a quote, comma or line break has two quotes around it and its own quotes doubled, and any other value
    /// has two quotes around it or none.
    fn quotes_fit(&self, bytes: u64) -> bool {
        let (fields, text) = (self.record.len() as u64, self.record.as_slice());
        let is_special = |value: &&[u8]| value.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n'));
        let special = self.record.iter().filter(is_special).count() as u64;
        // The bytes without optional quotes. Each value is followed by a comma or the line break.
        let needed = text.len() as u64 + fields + 2 * special + count(text, b'"');
        // The remaining bytes must be pairs of quotes, at most one around each value that needs none.
        bytes.checked_sub(needed).is_some_and(|spare| spare % 2 == 0 && spare / 2 <= fields - special)
    }

    fn field(&self, place: usize) -> Result<&str, Problem> {
        let mut bytes = &self.record[place];
        // The parser ends records at LF, so the last value of a CRLF line still has its CR.
        if place + 1 == self.record.len() {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)
    }
}

/// The file without its byte order mark, followed by [`END`]. `None` for UTF-16.
fn source(path: &Path) -> io::Result<Option<Source>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(UTF8_BOM.len() as u64).read_to_end(&mut start)?;
    if UTF16_BOMS.iter().any(|mark| start.starts_with(mark)) {
        return Ok(None);
    }
    if start == UTF8_BOM {
        start.clear();
    }
    Ok(Some(Source { text: Cursor::new(start).chain(file).chain(END), left: ROW_BYTES }))
}

fn count(bytes: &[u8], wanted: u8) -> u64 {
    bytes.split(|byte| *byte == wanted).count() as u64 - 1
}
