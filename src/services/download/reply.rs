//! What the head of a response, or the beginning of a wrong one, says.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{self, HeaderMap, HeaderName};

use super::error::Fault;
use super::files::Version;
use super::gzip::MAGIC;

/// How much of a response that is no gzip file is read, to say what it is instead. A choice: it has the title of a page.
const BEGINNING_BYTES: usize = 4096;
/// How much of it an error shows, in characters.
const BEGINNING_SHOWN: usize = 80;

/// The version of the file that a response with status 200 contains.
pub(super) fn version(url: &str, response: &Response) -> Version {
    let text = |name| text(response.headers(), name).map(str::to_owned);
    let bytes = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    Version { url: url.to_owned(), etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED), bytes }
}

/// Checks that a response with status 206 continues a partial file of `offset` bytes of this version.
pub(super) fn check_range(response: &Response, offset: u64, version: &Version) -> Result<(), Fault> {
    let range = text(response.headers(), header::CONTENT_RANGE).unwrap_or("none");
    let (first, total) = content_range(range).ok_or_else(|| Fault::WrongRange(range.to_owned()))?;
    let is_same = |name, expected: &Option<String>| {
        let found = text(response.headers(), name);
        found.is_none() || expected.is_none() || found == expected.as_deref()
    };
    let fits = first == offset
        && (version.bytes.is_none() || total == version.bytes)
        && is_same(header::ETAG, &version.etag)
        && is_same(header::LAST_MODIFIED, &version.last_modified);
    if fits { Ok(()) } else { Err(Fault::WrongRange(range.to_owned())) }
}

/// The first byte of a `Content-Range`, and the size of the file, if it is known. `None` if it is malformed.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

/// How long the server asks to wait.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    text(response.headers(), header::RETRY_AFTER)?.parse().ok().map(Duration::from_secs)
}

/// Reads the beginning of a gzip file.
///
/// # Errors
/// [`Fault::NotGzip`] if it is something else.
pub(super) async fn beginning_of_gzip(response: &mut Response) -> Result<Bytes, Fault> {
    let mut beginning = BytesMut::new();
    // A chunk may have one byte.
    while beginning.len() < MAGIC.len()
        && let Some(chunk) = response.chunk().await?
    {
        beginning.extend_from_slice(&chunk);
    }
    if beginning.starts_with(MAGIC) {
        return Ok(beginning.freeze());
    }
    while beginning.len() < BEGINNING_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        beginning.extend_from_slice(&chunk);
    }
    let content_type = text(response.headers(), header::CONTENT_TYPE).unwrap_or("data without a content type");
    Err(Fault::NotGzip { content_type: content_type.to_owned(), beginning: shown(&beginning) })
}

/// The title of a web page, or the first words of a text.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(BEGINNING_BYTES)]);
    // ASCII only, so that positions are those in `text`.
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|tag| {
        let start = tag + lower[tag..].find('>')? + 1;
        Some(&text[start..start + lower[start..].find("</title")?])
    });
    let words: Vec<_> = title.unwrap_or(&text).split_whitespace().collect();
    let words = words.join(" ");
    match words.char_indices().nth(BEGINNING_SHOWN) {
        None if words.is_empty() => "it is empty".to_owned(),
        None => format!("\"{words}\""),
        Some((end, _)) => format!("\"{}…\"", &words[..end]),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_ranges_are_accepted() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for value in ["none", "", "bytes", "bytes */10", "bytes 5-10/10", "bytes 9-5/10", "bytes -5/10", "items 5-9/10"]
        {
            assert_eq!(content_range(value), None, "{value}");
        }
    }

    #[test]
    fn pages_are_shown_by_their_title_and_texts_by_their_first_words() {
        let page = b"<!DOCTYPE html><html><head><TITLE lang=en>\n Access   denied </title></head><body>\xFF";
        assert_eq!(shown(page), "\"Access denied\"");
        assert_eq!(shown("é ".repeat(100).as_bytes()), format!("\"{}…\"", "é ".repeat(40)));
        assert_eq!(shown(b"<title>cut off"), "\"<title>cut off\"");
        assert_eq!(shown(b" \n"), "it is empty");
    }
}
