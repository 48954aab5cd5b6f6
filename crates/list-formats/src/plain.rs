//! Plain lists: one id, address, or title with year a line.

use std::collections::BTreeMap;

use super::error::ListFileError;
use super::format::Format;
use super::ids::{any_id, is_address};
use super::list_file::{ListFile, Row, text_value};
use super::titles::{title_and_year, without_entities};

/// What stands between several ids in a line, or around one.
const SEPARATORS: [char; 11] = [' ', '\t', ',', ';', '|', '(', ')', '[', ']', '<', '>'];

/// Fewest digits of an IMDb id that is a number with its zeros, where it does not begin the line.
const IMDB_NUMBER_DIGITS: usize = 7;

/// Whether the first line with content is an id, an address or a title with its year.
pub(crate) fn recognises(text: &str) -> bool {
    let first = lines(text).find(|(_, content)| !is_comment(content));
    first.is_some_and(|(line, content)| {
        is_address(content) || !ids(content).is_empty() || row(content, line).is_ok_and(|row| row.unread.is_none())
    })
}

/// Numbers per line of text from which on the text is a remark, and the numbers are ids. A choice.
const REMARKS_MAX: usize = 10;

/// Reads a plain list. Lines are in the order of the list, so they give the positions. A line that is none of the forms
/// becomes a row that matches nothing.
pub(crate) fn read(text: &str) -> Result<ListFile, ListFileError> {
    let mut list = ListFile::empty(Format::Plain);
    let (mut numbers, mut titles) = (Vec::new(), 0);
    for (line, content) in lines(text) {
        if is_comment(content) {
            list.comments += 1;
            continue;
        }
        let position = i32::try_from(list.rows.len() + 1).ok();
        let row = Row { position, ..row(content, line)? };
        if row.tmdb_id.is_some() && !is_address(content) {
            numbers.push(list.rows.len());
        }
        titles += usize::from(names_title(&row));
        list.push(row)?;
    }
    // Among titles, `300` is a title, and among ids an id. A remark among many ids makes none of them a title.
    let may_be_titles = titles * REMARKS_MAX >= numbers.len();
    for index in numbers.into_iter().filter(|_| may_be_titles && titles > 0) {
        let number = list.rows[index].label();
        list.rows[index].titles.push(number.clone());
        list.rows[index].unread = Some(number);
    }
    Ok(list)
}

/// Whether a line names a movie by its title only, or by something that may be one.
fn names_title(row: &Row) -> bool {
    let has_id = row.imdb_id.is_some() || row.tmdb_id.is_some();
    let is_text = |text: &str| !is_address(text) && ids(text).is_empty() && text.contains(char::is_alphabetic);
    !has_id && (!row.titles.is_empty() || row.unread.as_deref().is_some_and(is_text))
}

/// Lines with content, and their numbers.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty())
}

/// Whether a line is a comment: it begins with `#`, and is no title such as `#Alive (2020)`.
fn is_comment(line: &str) -> bool {
    let is_title = |rest: &str| rest.starts_with(char::is_alphanumeric) && title_and_year(rest).is_some();
    line.strip_prefix('#').is_some_and(|rest| !is_title(rest))
}

/// Reads a line. What stands beside an id is a remark, with which the id can be compared: `tt0133093 The Matrix (1999)`.
/// Of several ids, none is chosen.
///
/// # Errors
/// If it is longer than any title.
pub(crate) fn row(content: &str, line: u64) -> Result<Row, ListFileError> {
    let text = text_value(content, line)?;
    let mut ids = ids(content);
    let has_several = ids.len() > 1;
    let ((imdb_id, tmdb_id), titled) = match ids.pop_first() {
        _ if has_several => ((None, None), None),
        None => ((None, None), title_and_year(without_rank(content))),
        Some((id, word)) => (id, content.split_once(word).and_then(remark)),
    };
    let titles = titled.map(|(title, _)| text_value(&without_entities(title), line)).transpose()?;
    let is_read = imdb_id.is_some() || tmdb_id.is_some() || titled.is_some();
    Ok(Row {
        line,
        titles: titles.into_iter().flat_map(with_and_without_number).collect(),
        year: titled.map(|(_, year)| year),
        unread: (!is_read).then_some(text),
        imdb_id,
        tmdb_id,
        ..Row::default()
    })
}

/// The ids in a line, each with the word that is it. A number is an id only if it is the whole line, or begins it with
/// the zeros of an IMDb id: before a title it is a rank, or the title begins with it.
fn ids(content: &str) -> BTreeMap<(Option<String>, Option<i32>), &str> {
    let content = content.trim_matches(SEPARATORS);
    let words = content.split(SEPARATORS).enumerate().filter(|(place, word)| match word.as_bytes() {
        [b'0', ..] => *place == 0 || word.len() >= IMDB_NUMBER_DIGITS,
        [b'1'..=b'9', ..] => *word == content,
        _ => true,
    });
    let mut ids: BTreeMap<_, _> = words.map(|(_, word)| (any_id(word), word)).collect();
    ids.remove(&(None, None));
    ids
}

/// The title and the year after or before an id.
fn remark<'a>((before, after): (&'a str, &'a str)) -> Option<(&'a str, i32)> {
    [after, before]
        .into_iter()
        .find_map(|text| title_and_year(without_rank(text.trim_matches([' ', '\t', ',', ';', '|']))))
}

/// A title, and what is left of it if `#1 ` is its rank: nobody can tell.
fn with_and_without_number(title: String) -> impl Iterator<Item = String> {
    let digits = title.strip_prefix('#').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = digits.and_then(|rest| rest.trim_start_matches(['.', ')']).strip_prefix(' ').map(str::to_owned));
    std::iter::once(title).chain(rest)
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
