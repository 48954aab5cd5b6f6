//! Plain lists: one id, address, or title with year a line.

use super::error::ListFileError;
use super::format::Format;
use super::ids::{imdb_id, is_address, tmdb_id};
use super::list_file::{ListFile, Row, text_value};

/// Whether the first line with content is an id, an address or a title with its year.
pub(crate) fn recognises(text: &str) -> bool {
    lines(text).next().is_some_and(|(line, content)| {
        text_value(content, line).is_ok_and(|content| {
            let row = row(&content, 1);
            row.imdb_id.is_some() || row.tmdb_id.is_some() || row.year.is_some() || is_address(&content)
        })
    })
}

/// Reads a plain list. Lines are in the order of the list, so they give the positions. A line that is none of the forms
/// becomes a row that matches nothing.
pub(crate) fn read(text: &str) -> Result<ListFile, ListFileError> {
    let mut list = ListFile::empty(Format::Plain);
    for (line, content) in lines(text) {
        let content = text_value(content, line)?;
        let position = i32::try_from(list.rows.len() + 1).ok();
        list.push(Row { position, ..row(&content, line) })?;
    }
    Ok(list)
}

/// Lines with content, and their numbers. Lines that begin with `#` are comments.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn row(content: &str, line: u64) -> Row {
    // What follows an id is a remark: `tt0133093 The Matrix`, `603,The Matrix`.
    let word = content.split([' ', ',', ';', '\t']).next().unwrap_or(content);
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    // A number with zeros before it is of IMDb, as MovieLens writes it; another one is of TMDb.
    let (imdb, tmdb) = match is_number {
        true if word.starts_with('0') => (imdb_id(word), None),
        true => (None, tmdb_id(word)),
        false => (imdb_id(word), tmdb_id(word)),
    };
    if imdb.is_some() || tmdb.is_some() {
        return Row { line, imdb_id: imdb, tmdb_id: tmdb, ..Row::default() };
    }
    match title_and_year(content) {
        Some((title, year)) => Row { line, titles: vec![title.to_owned()], year: Some(year), ..Row::default() },
        None => Row { line, unread: Some(content.to_owned()), ..Row::default() },
    }
}

/// `12. The Matrix (1999)`: the title and the year, without the number.
fn title_and_year(content: &str) -> Option<(&str, i32)> {
    let (title, year) = content.strip_suffix(')')?.rsplit_once('(')?;
    let year = Some(year).filter(|year| year.len() == 4)?.parse().ok().filter(|year| *year > 1800)?;
    let numbered = title.split_once(". ").filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    let title = numbered.map_or(title, |(_, title)| title).trim();
    (!title.is_empty()).then_some((title, year))
}
