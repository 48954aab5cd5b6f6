//! Plain lists: one id, address, or title with year a line.

use super::error::ListFileError;
use super::format::Format;
use super::ids::{any_id, is_address};
use super::list_file::{ListFile, Row, text_value};
use super::titles::{title_and_year, without_entities};

/// Whether the first line with content is an id, an address or a title with its year.
pub(crate) fn recognises(text: &str) -> bool {
    lines(text)
        .next()
        .is_some_and(|(line, content)| row(content, line).is_ok_and(|row| row.unread.is_none() || is_address(content)))
}

/// Reads a plain list. Lines are in the order of the list, so they give the positions. A line that is none of the forms
/// becomes a row that matches nothing.
pub(crate) fn read(text: &str) -> Result<ListFile, ListFileError> {
    let mut list = ListFile::empty(Format::Plain);
    for (line, content) in lines(text) {
        let position = i32::try_from(list.rows.len() + 1).ok();
        list.push(Row { position, ..row(content, line)? })?;
    }
    Ok(list)
}

/// Lines with content, and their numbers. Lines that begin with `#` are comments.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Reads a line. What follows an id is a remark, with which the id can be compared: `tt0133093 The Matrix (1999)`. A
/// number is an id only if it is the whole line: before a title it is a rank, or the title begins with it.
///
/// # Errors
/// If it is longer than any title.
pub(crate) fn row(content: &str, line: u64) -> Result<Row, ListFileError> {
    let (word, remark) = content.split_once([' ', ',', ';', '\t']).unwrap_or((content, ""));
    let is_id = remark.is_empty() || !word.starts_with(|c: char| ('1'..='9').contains(&c));
    let (imdb_id, tmdb_id) = if is_id { any_id(word) } else { (None, None) };
    let has_id = imdb_id.is_some() || tmdb_id.is_some();
    let titled = title_and_year(if has_id { remark } else { without_rank(content) });
    let text = text_value(content, line)?;
    Ok(Row {
        line,
        titles: titled.iter().map(|(title, _)| text_value(&without_entities(title), line)).collect::<Result<_, _>>()?,
        year: titled.map(|(_, year)| year),
        unread: (!has_id && titled.is_none()).then_some(text),
        imdb_id,
        tmdb_id,
        ..Row::default()
    })
}

/// A line without the bullet or the rank before its title: `- `, `12. `, `12) `, or `12` and a tab.
fn without_rank(content: &str) -> &str {
    let digits = content.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = match content.strip_prefix(['-', '*', '•']) {
        Some(bullet) => bullet,
        None if digits.len() < content.len() => digits.strip_prefix(['.', ')', '\t']).unwrap_or(content),
        None => content,
    };
    // `2.0 (2018)` begins with no rank.
    if after.starts_with(char::is_whitespace) || digits.starts_with('\t') { after.trim_start() } else { content }
}
