//! Rows in PostgreSQL's text format for `COPY`.

use std::fmt::Write as _;

use super::tables::Table;

/// Value of the timestamp columns of every generated row. Constant, so that the same seed gives the same tables.
const TIMESTAMP: &str = "2026-01-01 00:00:00";

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A number with decimals.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text, or any value in its text representation.
    Text(&'a str),
}

impl From<i32> for Cell<'_> {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Cell<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows of one table, in PostgreSQL's text format for `COPY`.
#[derive(Debug)]
pub struct CopyRows {
    table: Table,
    text: String,
}

impl CopyRows {
    pub(crate) fn of(table: Table) -> Self {
        Self { table, text: String::new() }
    }

    /// The table of the rows.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table
    }

    /// The rows in `COPY` format.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Appends a row: one cell for each of the table's columns except timestamps.
    pub(crate) fn push<const N: usize>(&mut self, cells: [Cell<'_>; N]) {
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            self.write(cell);
        }
        for _ in self.table.timestamp_columns() {
            self.text.push('\t');
            self.text.push_str(TIMESTAMP);
        }
        self.text.push('\n');
    }

    fn write(&mut self, cell: Cell<'_>) {
        // Writing to a String does not fail.
        let _ = match cell {
            Cell::Null => self.text.write_str("\\N"),
            Cell::Int(value) => write!(self.text, "{value}"),
            Cell::Float(value) => write!(self.text, "{value}"),
            Cell::Bool(value) => self.text.write_char(if value { 't' } else { 'f' }),
            Cell::Text(value) => {
                self.write_escaped(value);
                Ok(())
            }
        };
    }

    /// Escapes text as `store/copy_text.rs` of the service does, which this crate cannot import: it depends on no other
    /// crate of ours, and the service does not use it to import movies.
    fn write_escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_text_format_of_copy() {
        let mut rows = CopyRows::of(Table::FestivalOrganizations);
        rows.push([1_u32.into(), "a\tb\\c\nd".into(), Cell::Null, Cell::Bool(true), Cell::Float(7.5)]);
        let row = "1\ta\\tb\\\\c\\nd\t\\N\tt\t7.5\t2026-01-01 00:00:00\t2026-01-01 00:00:00\n";
        assert_eq!(std::str::from_utf8(rows.as_bytes()), Ok(row));
    }
}
