//! Reads one CSV file (RFC 4180) record by record, tracks line numbers, and detects truncation. Recognises files of
//! other separators, and names files of other kinds.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Chain, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cinegraph_list_formats::UTF8_MARK;
use csv::{ByteRecord, Position, ReaderBuilder, Terminator};

use super::error::{ImportError, Problem};
use super::file_kind::not_a_table;
use super::files::open_file;
use super::values::shown;

/// Appended to the file, to detect that the file is truncated. If the file ends with a line break outside quotes, this
/// NUL forms a record of its own; otherwise it ends the last value. No valid value contains a NUL, because PostgreSQL
/// cannot store one.
const END: &[u8] = &[0];

/// Characters that separate values. Spreadsheets write semicolons where the decimal separator is a comma.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Bytes at the start of the file in which the header ends; only its line break and delimiters are looked for.
const START_BYTES: u64 = 64 * 1024;

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
    form: Form,
    /// Bytes that the parser may still read for the current row.
    left: usize,
}

/// How a file separates values and lines.
#[derive(Clone, Copy)]
struct Form {
    delimiter: u8,
    /// Lines end in CR alone, as those of old spreadsheets.
    ends_in_cr: bool,
    /// The first line is `sep=;`, which tells spreadsheets the delimiter.
    has_separator_line: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let length = buffer.len().min(self.left);
        let read = self.text.read(&mut buffer[..length])?;
        self.left -= read;
        if self.form.ends_in_cr {
            buffer[..read].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
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
    /// Index in the file of each requested column; `None` for an optional one that is absent.
    places: Vec<Option<usize>>,
    ignored: Vec<String>,
    form: Form,
    /// Whether the current row ends with the file, without a line break.
    is_unended: bool,
}

impl Reader {
    /// Opens a file and finds the requested columns, in any order; their values have the index of the column among the
    /// required and then the optional ones.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, or its header is damaged or lacks a required column.
    pub(super) fn open(
        path: &Path,
        file: &'static str,
        required: &[&str],
        optional: &[&str],
    ) -> Result<Self, ImportError> {
        let opened = source(path).map_err(|source| ImportError::Unreadable { file, source })?;
        let damaged = |problem| ImportError::Damaged { file, line: 1, column: None, problem };
        let source = opened.map_err(damaged)?;
        let form = source.form;
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(form.delimiter)
            // Not CRLF: records would then end before their line break, and line numbers would be one too low.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(source);
        let mut reader = Self {
            file,
            csv,
            record: ByteRecord::new(),
            line: 1,
            width: 0,
            header: Vec::new(),
            path: path.to_owned(),
            places: Vec::new(),
            ignored: Vec::new(),
            form,
            is_unended: false,
        };
        if form.has_separator_line {
            reader.next_record()?;
        }
        if !reader.next_record()? {
            return Err(damaged(Problem::EmptyFile));
        }
        reader.read_header(required, optional)?;
        Ok(reader)
    }

    fn read_header(&mut self, required: &[&str], optional: &[&str]) -> Result<(), ImportError> {
        self.width = self.record.len();
        if self.width > COLUMNS_MAX {
            let column = self.field(COLUMNS_MAX).ok().map(shown);
            return Err(
                self.damaged(column.as_deref(), Problem::TooManyColumns { found: self.width, max: COLUMNS_MAX })
            );
        }
        let header: Vec<String> = (0..self.width)
            .map(|place| self.field(place).map(|name| name.trim().to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|problem| self.damaged(None, problem))?;
        let mut names = HashSet::new();
        // A spreadsheet may write columns without a name and without values.
        if let Some(name) = header.iter().find(|name| !name.is_empty() && !names.insert(name.to_ascii_lowercase())) {
            return Err(self.damaged(Some(name), Problem::RepeatedColumn));
        }
        let place = |column: &&str| header.iter().position(|name| name.eq_ignore_ascii_case(column));
        let required_place = |column: &&str| {
            let missing = || Problem::MissingColumn { found: shown(&header.join(", ")) };
            place(column).map(Some).ok_or_else(|| self.damaged(Some(column), missing()))
        };
        let places = required.iter().map(required_place).chain(optional.iter().map(|column| Ok(place(column))));
        let places = places.collect::<Result<_, _>>()?;
        let is_requested =
            |name: &String| required.iter().chain(optional).any(|column| name.eq_ignore_ascii_case(column));
        let named = |name: &String| if name.is_empty() { "(without a name)".to_owned() } else { name.clone() };
        let ignored = header.iter().filter(|name| !is_requested(name)).map(named).collect();
        (self.header, self.places, self.ignored) = (header, places, ignored);
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

    /// Value of the current row in the requested column with this index; empty if it is missing or the column absent.
    pub(super) fn value(&self, column: usize) -> Result<&str, Problem> {
        self.places[column].map_or(Ok(""), |place| self.field(place))
    }

    /// Whether the file has the requested column with this index.
    pub(super) fn has_column(&self, column: usize) -> bool {
        self.places[column].is_some()
    }

    /// Whether the current row has no value in any column. Spreadsheets write such rows after the last one.
    pub(super) fn is_blank(&self) -> bool {
        self.record.iter().all(|value| value.trim_ascii().is_empty())
    }

    /// Whether numbers may have a decimal comma, because commas separate no values.
    pub(super) fn has_decimal_commas(&self) -> bool {
        self.form.delimiter == b';'
    }

    /// Whether the current row ends with the file, without a line break.
    pub(super) fn is_unended(&self) -> bool {
        self.is_unended
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
                let empty_lines = self.line - start.line();
                return self.end_or_error_at_nul(end.byte() - start.byte() - empty_lines);
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

    /// Handles a record of `bytes` bytes with NUL. Returns false at the end of a complete file, and true for a complete
    /// last row without a line break; an invalid character and a truncated file are errors.
    fn end_or_error_at_nul(&mut self, bytes: u64) -> Result<bool, ImportError> {
        let record = self.record.clone();
        if self.read()? {
            // A record follows, so this NUL is a character of the file, not `END`. A line break ended the record, so
            // the reader was on the next line.
            self.line -= 1;
            return Err(self.damaged(None, Problem::Nul));
        }
        // Nothing follows: either `END` is a record of its own, or it ends the last value.
        if record.len() == 1 && record.as_slice() == END {
            return Ok(false);
        }
        if count(record.as_slice(), 0) > 1 {
            return Err(self.damaged(None, Problem::Nul));
        }
        self.record = record.iter().map(|value| value.strip_suffix(END).unwrap_or(value)).collect();
        // `END` takes the place of the line break.
        if self.record.len() != self.width || !self.quotes_fit(bytes) {
            return Err(self.damaged(None, Problem::CutOff));
        }
        self.is_unended = true;
        Ok(true)
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
        let mut row = Vec::with_capacity(ROW_BYTES);
        if let Ok(Source { mut text, .. }) = source(&self.path)? {
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
                byte if byte == self.form.delimiter && !quoted => place += 1,
                _ => {}
            }
        }
        Ok((start.line() + empty_lines, place))
    }

    /// Whether the quotes of a record with `bytes` bytes follow RFC 4180. The parser accepts a quote anywhere, and may
    /// then read all lines up to the next quote as one value. The number of bytes reveals such a quote: a value that
    /// contains a quote, delimiter or line break has two quotes around it and its own quotes doubled, and any other value
    /// has two quotes around it or none.
    fn quotes_fit(&self, bytes: u64) -> bool {
        let (fields, text) = (self.record.len() as u64, self.record.as_slice());
        let delimiter = self.form.delimiter;
        let is_special = |value: &&[u8]| value.iter().any(|byte| matches!(byte, b'"' | b'\n') || *byte == delimiter);
        let special = self.record.iter().filter(is_special).count() as u64;
        // The bytes without optional quotes. Each value is followed by a delimiter or the line break.
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

/// The file without its byte order mark, followed by [`END`]. The inner error is that of a file of another kind.
fn source(path: &Path) -> io::Result<Result<Source, Problem>> {
    let mut file = open_file(path)?;
    let mut start = Vec::new();
    file.by_ref().take(START_BYTES).read_to_end(&mut start)?;
    if let Some(problem) = not_a_table(&start) {
        return Ok(Err(problem));
    }
    if start.starts_with(UTF8_MARK) {
        start.drain(..UTF8_MARK.len());
    }
    let form = Form::of(&start);
    Ok(Ok(Source { text: Cursor::new(start).chain(file).chain(END), form, left: ROW_BYTES }))
}

impl Form {
    /// The form of a file that starts with these bytes: its header tells it.
    fn of(start: &[u8]) -> Self {
        let mut counts = [0_u64; DELIMITERS.len()];
        let (mut quoted, mut ends_in_cr) = (false, false);
        let header = start.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
        let header = &start[header..];
        if let Some([delimiter, b'\r' | b'\n']) = header.strip_prefix(b"sep=").and_then(|line| line.first_chunk()) {
            let ends_in_cr = header[5] == b'\r' && header.get(6) != Some(&b'\n');
            return Self { delimiter: *delimiter, ends_in_cr, has_separator_line: true };
        }
        for (place, byte) in header.iter().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' if !quoted => break,
                b'\r' if !quoted => {
                    ends_in_cr = header.get(place + 1) != Some(&b'\n');
                    break;
                }
                byte if !quoted => {
                    if let Some(delimiter) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
                        counts[delimiter] += 1;
                    }
                }
                _ => {}
            }
        }
        // The first of several with the most: the comma, if there is none.
        let most = counts.iter().copied().max().unwrap_or_default();
        let delimiter = counts.iter().position(|count| *count == most).map_or(b',', |place| DELIMITERS[place]);
        Self { delimiter, ends_in_cr, has_separator_line: false }
    }
}

fn count(bytes: &[u8], wanted: u8) -> u64 {
    bytes.split(|byte| *byte == wanted).count() as u64 - 1
}
