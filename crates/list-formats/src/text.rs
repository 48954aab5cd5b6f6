//! Decoding: from the bytes of a file to text.

use std::borrow::Cow;
use std::fmt;

use super::error::{ListFileError, RowProblem};
use super::file_kind::FileKind;

/// Encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Encoding {
    Utf8,
    Utf16,
    /// Latin-1 as Windows writes it (Windows-1252). IMDb's exports of 2020 have it.
    Latin1,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Latin1 => "Latin-1",
        })
    }
}

/// Decodes a text file: UTF-8, UTF-16 or Latin-1. All line breaks of the result are LF.
///
/// # Errors
/// [`ListFileError`] if the file is empty, of a kind that is no text, or damaged.
pub fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, Encoding), ListFileError> {
    if let Some(kind) = FileKind::of(bytes) {
        return Err(ListFileError::NotAList(kind));
    }
    let (text, encoding) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_le_bytes)?), Encoding::Utf16),
        [0xFE, 0xFF, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_be_bytes)?), Encoding::Utf16),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8_or_latin1(rest)?,
        bytes => utf8_or_latin1(bytes)?,
    };
    let start = text.trim_start();
    if start.is_empty() {
        return Err(ListFileError::Empty);
    }
    // A page may be in UTF-16.
    if let Some(kind) = FileKind::of(start.as_bytes()) {
        return Err(ListFileError::NotAList(kind));
    }
    Ok((unix_line_breaks(text), encoding))
}

fn utf16(bytes: &[u8], read: impl Fn([u8; 2]) -> u16) -> Result<String, ListFileError> {
    let units = bytes.chunks(2).map(|pair| read([pair[0], pair.get(1).copied().unwrap_or_default()]));
    char::decode_utf16(units)
        .collect::<Result<_, _>>()
        .map_err(|_| ListFileError::NotAList(FileKind { name: "damaged UTF-16", remedy: "save the file as UTF-8" }))
}

/// Reads UTF-8, or Latin-1 if the text is not UTF-8.
///
/// # Errors
/// If the text is neither: other lines have characters that only UTF-8 explains, so a part of the file was damaged.
fn utf8_or_latin1(bytes: &[u8]) -> Result<(Cow<'_, str>, Encoding), ListFileError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((Cow::Borrowed(text), Encoding::Utf8)),
        Err(error) => {
            // In Latin-1, a byte above 127 is hardly ever followed by one that continues a UTF-8 sequence.
            let invalid = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
            let valid = bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).filter(|c| !c.is_ascii()).count();
            if valid > invalid {
                let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count() as u64;
                return Err(ListFileError::damaged(line, RowProblem::Encoding));
            }
            Ok((Cow::Owned(bytes.iter().map(|byte| windows_1252(*byte)).collect()), Encoding::Latin1))
        }
    }
}

/// The character of a byte. Windows-1252 has letters, quotation marks and dashes where Latin-1 has control characters
/// that nobody writes; otherwise the two are the same. Table: <https://encoding.spec.whatwg.org/index-windows-1252.txt>.
fn windows_1252(byte: u8) -> char {
    const FROM_0X80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..0xA0 => FROM_0X80[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

fn unix_line_breaks(text: Cow<'_, str>) -> Cow<'_, str> {
    // The end sign of DOS.
    let text = match text.strip_suffix('\u{1a}') {
        Some(text) => Cow::Owned(text.to_owned()),
        None => text,
    };
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}
