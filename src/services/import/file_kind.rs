//! Recognises files that are not tables by their first bytes.

use cinegraph_list_formats::{FileKind, UTF8_MARK};

use super::error::Problem;

const UTF16_MARKS: [&[u8]; 2] = [&[0xFE, 0xFF], &[0xFF, 0xFE]];

/// Why a file that starts with these bytes is not a table in UTF-8. `None` if it may be one.
pub(super) fn not_a_table(start: &[u8]) -> Option<Problem> {
    if UTF16_MARKS.iter().any(|mark| start.starts_with(mark)) {
        return Some(Problem::Utf16);
    }
    if let Some(FileKind { name, remedy }) = FileKind::of(start) {
        return Some(Problem::OtherKind { name, remedy });
    }
    let text = start.strip_prefix(UTF8_MARK).unwrap_or(start).trim_ascii_start();
    let is_json = text.starts_with(b"{") || text.starts_with(b"[");
    is_json.then_some(Problem::OtherKind { name: "JSON", remedy: "convert it to a table" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named() {
        for (start, says) in [
            (&b"\x1F\x8B\x08"[..], "gzip"),
            (b"PK\x03\x04\x14", "xlsx"),
            (b"\n <!DOCTYPE html>", "a web page"),
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
