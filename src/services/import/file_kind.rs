//! Recognises files of another kind than text by their first bytes.

use super::error::Problem;

/// Kinds of files that are given in place of tables, with the first bytes of each.
const KINDS: [(&[u8], &str); 7] = [
    (b"\x1F\x8B", "compressed with gzip: unpack it"),
    (
        b"PK\x03\x04",
        "a ZIP archive, as workbooks of Excel (.xlsx) and LibreOffice (.ods) are: unpack it, or save the table as CSV",
    ),
    (b"\xD0\xCF\x11\xE0", "a workbook of Excel (.xls): save the table as CSV"),
    (b"%PDF", "a PDF document: export the table as CSV"),
    (b"SQLite format 3", "an SQLite database: export its tables as CSV"),
    (b"BZh", "compressed with bzip2: unpack it"),
    (b"\xFD7zXZ", "compressed with xz: unpack it"),
];

const UTF16_MARKS: [&[u8]; 2] = [&[0xFE, 0xFF], &[0xFF, 0xFE]];

pub(super) const UTF8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Why a file that starts with these bytes is not a table in UTF-8. `None` if it may be one.
pub(super) fn not_a_table(start: &[u8]) -> Option<Problem> {
    if UTF16_MARKS.iter().any(|mark| start.starts_with(mark)) {
        return Some(Problem::Utf16);
    }
    let other = |kind| Some(Problem::OtherKind { kind });
    if let Some((_, kind)) = KINDS.iter().find(|(bytes, _)| start.starts_with(bytes)) {
        return other(kind);
    }
    let text = start.strip_prefix(UTF8_MARK).unwrap_or(start).trim_ascii_start();
    match text.first() {
        Some(b'<') => other("an HTML or XML page: check the address that it was downloaded from"),
        Some(b'{' | b'[') => other("JSON: convert it to a table"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named() {
        for (start, says) in [
            (&b"\x1F\x8B\x08"[..], "gzip"),
            (b"PK\x03\x04\x14", "xlsx"),
            (b"\n <!DOCTYPE html>", "HTML"),
            (b"\xEF\xBB\xBF[{", "JSON"),
            (b"\xFF\xFEt\0", "UTF-16"),
        ] {
            let problem = not_a_table(start).unwrap().to_string();
            assert!(problem.contains(says), "{problem}");
        }
        assert_eq!(not_a_table(b"tmdb_id,name"), None);
        assert_eq!(not_a_table(b""), None);
    }
}
