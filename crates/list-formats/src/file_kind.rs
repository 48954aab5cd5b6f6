//! Recognises files of another kind than text by their first bytes.

/// A kind of files that people give in place of lists and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    /// What the file is, with an article.
    pub name: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The first bytes of each kind, its name, and the remedy.
const KINDS: [(&[u8], &str, &str); 7] = [
    (b"\x1F\x8B", "a gzip file", "unpack it"),
    (
        b"PK\x03\x04",
        "a ZIP archive, or a workbook of Excel (.xlsx) or LibreOffice (.ods)",
        "unpack it, or save the table as CSV",
    ),
    (b"\xD0\xCF\x11\xE0", "a workbook of Excel (.xls)", "save the table as CSV"),
    (b"%PDF", "a PDF file", "export the table as CSV"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"BZh", "a bzip2 file", "unpack it"),
    (b"\xFD7zXZ", "an xz file", "unpack it"),
];

/// The byte order mark of UTF-8.
pub const UTF8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

impl FileKind {
    /// The kind of a file that starts with these bytes. `None` if it may be a text.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        let known = KINDS.iter().find(|(bytes, ..)| start.starts_with(bytes));
        if let Some((_, name, remedy)) = known {
            return Some(Self { name, remedy });
        }
        match start.strip_prefix(UTF8_MARK).unwrap_or(start).trim_ascii_start() {
            [b'<', b'?', b'x', b'm', b'l', ..] => Some(Self { name: "an XML file", remedy: "export the table as CSV" }),
            [b'<', ..] => Some(Self {
                name: "a web page",
                remedy: "download the file itself; check its address, and whether you have to sign in",
            }),
            _ => None,
        }
    }
}
