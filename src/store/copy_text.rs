//! Text for `COPY`.

/// Rows in COPY's text format: values separated by tabs, rows by line breaks, NULL as `\N`.
#[derive(Debug, Default)]
pub struct CopyText {
    text: Vec<u8>,
    row_start: usize,
}

impl CopyText {
    /// Starts a row. Its first value is its line number in the file.
    pub fn begin_row(&mut self, line: u64) {
        self.row_start = self.text.len();
        self.text.extend_from_slice(line.to_string().as_bytes());
    }

    /// Appends NULL.
    pub fn null(&mut self) {
        self.text.extend_from_slice(b"\t\\N");
    }

    /// Appends a value, escaped.
    pub fn text(&mut self, value: &str) {
        self.text.push(b'\t');
        for byte in value.bytes() {
            match byte {
                b'\\' => self.text.extend_from_slice(b"\\\\"),
                b'\t' => self.text.extend_from_slice(b"\\t"),
                b'\n' => self.text.extend_from_slice(b"\\n"),
                b'\r' => self.text.extend_from_slice(b"\\r"),
                plain => self.text.push(plain),
            }
        }
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.text.push(b'\n');
    }

    /// Removes the row that was begun last.
    pub fn discard_row(&mut self) {
        self.text.truncate(self.row_start);
    }

    /// All rows.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }
}
