//! CSV files: finds the separator and the header, and reads the rows below it.

use csv::{ReaderBuilder, StringRecord, Terminator};

use super::columns::{Columns, ReadRow};
use super::error::{ListFileError, RowProblem};
use super::format::Format;
use super::list_file::{About, ListFile, text_value};
use super::plain;
use super::titles::without_entities;

/// Number of records in which the header is searched. Letterboxd writes three before it; a choice above that.
const PREAMBLE_MAX: usize = 20;

/// Separators, in the order in which they are tried. The header has known names under the right one only.
const SEPARATORS: [u8; 3] = *b",;\t";

/// Reads a CSV file; `None` if no header is found.
///
/// # Errors
/// If a row is damaged. The whole file is read or none of it.
pub(crate) fn read(text: &str, list_key: &str) -> Result<Option<ListFile>, ListFileError> {
    for separator in SEPARATORS {
        let mut records = Records::new(text, separator);
        if let Some(header) = find_header(&mut records)? {
            return rows(records, header, list_key).map(Some);
        }
    }
    Ok(None)
}

/// A header, and what stands above it.
struct Header {
    columns: Columns,
    about: About,
    /// Number of lines above it that are not read.
    above: u64,
}

/// Reads up to the header, and what the preamble says about the list. `None` if there is no header.
fn find_header(records: &mut Records<'_>) -> Result<Option<Header>, ListFileError> {
    let mut about = About::default();
    let mut list_header: Option<StringRecord> = None;
    let mut above = Vec::new();
    for _ in 0..PREAMBLE_MAX {
        // What is damaged here is no header, and may be a preamble or a text of another kind.
        let Ok(Some(line)) = records.next() else { return Ok(None) };
        let fields = records.fields();
        if let Some(columns) = Columns::of(&fields, line)? {
            return match movie_among(&above, &columns) {
                Some(movie) => Err(ListFileError::MovieAboveHeader { line: movie, header: line }),
                None => Ok(Some(Header { columns, about, above: above.len() as u64 })),
            };
        }
        if let Some(header) = list_header.take() {
            let value = |name: &str| {
                let place = header.iter().position(|known| known.eq_ignore_ascii_case(name))?;
                let value = text_value(fields.get(place)?, line).ok().map(|value| without_entities(&value));
                value.filter(|value| !value.is_empty())
            };
            about = About { name: value("Name"), url: value("URL") };
        } else if ["Date", "Name", "Tags", "URL"].iter().all(|name| fields.contains(name)) {
            list_header = Some(records.record.clone());
        } else if !fields[0].starts_with("Letterboxd list export") {
            above.push((line, records.record.clone()));
        }
    }
    Ok(None)
}

/// The first line above the header that names a movie, which would be lost: alone in its line, or in the columns of the
/// header, as in a sheet that was sorted with its header. One line with a text and a year may be a heading.
fn movie_among(above: &[(u64, StringRecord)], columns: &Columns) -> Option<u64> {
    let mut with_year = None;
    for (line, record) in above {
        let fields: Vec<&str> = record.iter().map(str::trim).collect();
        if fields.len() == 1 && plain::row(fields[0], *line).is_ok_and(|row| row.unread.is_none()) {
            return Some(*line);
        }
        let Ok(ReadRow::Movie { row, .. }) = columns.row(&fields, *line) else { continue };
        let has_id = row.imdb_id.is_some() || row.tmdb_id.is_some();
        if row.unread.is_some() || (!has_id && row.year.is_none()) {
            continue;
        }
        if has_id || with_year.is_some() {
            return with_year.or(Some(*line));
        }
        with_year = Some(*line);
    }
    None
}

fn rows(mut records: Records<'_>, header: Header, list_key: &str) -> Result<ListFile, ListFileError> {
    let Header { columns, about, above } = header;
    let mut list = ListFile { about, above_header: above, ..ListFile::empty(columns.format) };
    while let Some(line) = records.next()? {
        let fields = records.fields();
        check_width(&fields, columns.width, line)?;
        match columns.row(&fields, line)? {
            ReadRow::Movie { list_key: Some(other), .. } if other != list_key => {
                *list.other_lists.entry(other).or_default() += 1;
            }
            ReadRow::Movie { row, .. } => list.push(row)?,
            ReadRow::OtherType(kind) => *list.other_types.entry(kind).or_default() += 1,
        }
    }
    if !has_positions(columns.format) {
        list.rows.iter_mut().for_each(|row| row.position = None);
    }
    Ok(list)
}

/// Checks that a row has as many values as the header, and none beyond it but the empty ones that spreadsheets leave.
fn check_width(fields: &[&str], expected: usize, line: u64) -> Result<(), ListFileError> {
    match fields.get(expected..) {
        Some(surplus) if surplus.iter().all(|value| value.is_empty()) => Ok(()),
        _ => Err(ListFileError::damaged(line, RowProblem::Width { found: fields.len(), expected })),
    }
}

/// The line of a row, and its values.
pub type Values<const N: usize> = (u64, [String; N]);

/// Reads a table whose header begins with these columns: their values in each row, and its line. `None` if it is another
/// table.
///
/// # Errors
/// [`ListFileError::Damaged`] if one of the columns is there twice, or a row is damaged.
pub fn read_columns<const N: usize>(text: &str, columns: [&str; N]) -> Result<Option<Vec<Values<N>>>, ListFileError> {
    for separator in SEPARATORS {
        let mut records = Records::new(text, separator);
        let Ok(Some(line)) = records.next() else { continue };
        let header = records.fields();
        let is = |name: &str, column: &str| name.eq_ignore_ascii_case(column);
        if header.len() < N || !header.iter().zip(columns).all(|(name, column)| is(name, column)) {
            continue;
        }
        if let Some(name) = header[N..].iter().find(|name| columns.iter().any(|column| is(name, column))) {
            return Err(ListFileError::damaged(line, RowProblem::RepeatedColumn { name: (*name).to_owned() }));
        }
        // Spreadsheets leave empty names at the end of the header, too.
        let width = header.iter().rposition(|name| !name.is_empty()).map_or(N, |last| last + 1);
        let mut rows = Vec::new();
        while let Some(line) = records.next()? {
            let fields = records.fields();
            check_width(&fields, width, line)?;
            rows.push((line, std::array::from_fn(|place| fields[place].to_owned())));
        }
        return Ok(Some(rows));
    }
    Ok(None)
}

/// Whether the rows of a file are in an order that somebody gave them. Ratings and watched movies are in the order in
/// which they happened.
fn has_positions(format: Format) -> bool {
    !matches!(
        format,
        Format::ImdbRatings | Format::LetterboxdFilms | Format::LetterboxdRatings | Format::LetterboxdDiary
    )
}

/// The records of a text.
struct Records<'a> {
    text: &'a str,
    separator: u8,
    csv: csv::Reader<&'a [u8]>,
    record: StringRecord,
}

impl<'a> Records<'a> {
    fn new(text: &'a str, separator: u8) -> Self {
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(text.as_bytes());
        Self { text, separator, csv, record: StringRecord::new() }
    }

    /// Moves to the next record that is not empty, and returns its line; `None` at the end.
    ///
    /// # Errors
    /// If its quotes are damaged.
    fn next(&mut self) -> Result<Option<u64>, ListFileError> {
        loop {
            let start = self.csv.position().clone();
            // The text is UTF-8, and memory cannot fail to be read.
            if !self.csv.read_record(&mut self.record).unwrap_or(false) {
                return Ok(None);
            }
            let end = self.csv.position().byte();
            let bytes = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
            let raw = self.text.get(bytes(start.byte())..bytes(end)).unwrap_or_default();
            // The parser skips empty lines before a record, and counts them with it.
            let content = raw.trim_start_matches('\n');
            let line = start.line() + (raw.len() - content.len()) as u64;
            let content = content.trim_end_matches('\n');
            if !quotes_are_valid(content.as_bytes(), self.separator) {
                return Err(ListFileError::damaged(line, RowProblem::Quotes));
            }
            if self.record.iter().any(|field| !field.trim().is_empty()) {
                return Ok(Some(line));
            }
        }
    }

    fn fields(&self) -> Vec<&str> {
        self.record.iter().map(str::trim).collect()
    }
}

/// Whether a record is closed and none of its quotes would let the parser join values that are not one. A quote within a
/// value that does not begin with one is a character like others, as people write `The "Burbs"`.
fn quotes_are_valid(record: &[u8], separator: u8) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        /// Before a value.
        Start,
        Plain,
        Quoted,
        /// After a quote within a quoted value: its end, or the first of two.
        Quote,
    }
    let mut state = State::Start;
    for &byte in record {
        state = match (state, byte) {
            (State::Start | State::Plain | State::Quote, byte) if byte == separator => State::Start,
            (State::Start | State::Quote, b'"') => State::Quoted,
            (State::Start | State::Plain, _) => State::Plain,
            (State::Quoted, b'"') => State::Quote,
            (State::Quoted, _) => State::Quoted,
            (State::Quote, _) => return false,
        };
    }
    state != State::Quoted
}
