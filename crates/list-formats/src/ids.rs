//! Ids of IMDb and TMDb, in all forms in which people write them.

/// Reads an IMDb id: `tt0133093`, in capital letters, within an address of IMDb, or the number alone, with or without
/// its zeros. Returns it as IMDb writes it, with at least seven digits; `None` if the text is not such an id.
///
/// No program writes fewer digits after `tt`, so a shorter id is one that was cut off. A number of one or two digits is
/// a rating.
#[must_use]
pub fn imdb_id(text: &str) -> Option<String> {
    let text = text.trim();
    let id = if is_address(text) {
        let host = ["imdb.com/", "imdb.to/"].into_iter().find(|host| text.to_ascii_lowercase().contains(host))?;
        let (_, path) = text.split_at(text.to_ascii_lowercase().find(host)? + host.len());
        path.split(['/', '?', '#']).find(|part| digits_of_title(part).is_some())?
    } else {
        text
    };
    let digits =
        digits_of_title(id).or_else(|| Some(id).filter(|id| is_number(id) && id.len() >= NUMBER_DIGITS_MIN))?;
    let significant = digits.trim_start_matches('0');
    (!significant.is_empty() && significant.len() <= IMDB_DIGITS_MAX).then(|| format!("tt{significant:0>7}"))
}

/// Fewest digits after `tt`.
const IMDB_DIGITS_MIN: usize = 7;

/// Fewest digits of an IMDb id without `tt`, where spreadsheets drop the zeros.
const NUMBER_DIGITS_MIN: usize = 3;

/// Maximum number of digits of an IMDb id. IMDb has eight today; ten leave room, and tell an id from other numbers.
const IMDB_DIGITS_MAX: usize = 10;

/// Reads an id or an address of either database: the IMDb id, and the TMDb id. A number with zeros before it is of IMDb,
/// as MovieLens writes it; another number is of TMDb.
#[must_use]
pub fn any_id(text: &str) -> (Option<String>, Option<i32>) {
    let text = text.trim();
    match is_number(text) {
        true if text.starts_with('0') => (imdb_id(text), None),
        true => (None, tmdb_id(text)),
        false => (imdb_id(text), tmdb_id(text)),
    }
}

/// Reads a TMDb id: `603`, `603.0` or `603,0` as spreadsheets write it, or an address such as
/// `https://www.themoviedb.org/movie/603-the-matrix`. `None` if the text is not the id of a movie.
#[must_use]
pub fn tmdb_id(text: &str) -> Option<i32> {
    let text = text.trim();
    let id = if is_address(text) {
        let (_, path) = text.split_once("themoviedb.org/movie/")?;
        path.split(|c: char| !c.is_ascii_digit()).next()?
    } else {
        text.strip_suffix(".0").or_else(|| text.strip_suffix(",0")).unwrap_or(text)
    };
    Some(id).filter(|id| is_number(id))?.parse().ok().filter(|id| *id > 0)
}

/// Whether a value stands for a missing one.
pub(crate) fn is_missing(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "" | "\\n" | "nan" | "null" | "none" | "n/a" | "na" | "-")
}

pub(crate) fn is_address(text: &str) -> bool {
    text.contains("://") || text.starts_with("www.") || text.contains(".com/") || text.contains(".org/")
}

/// The digits of `tt0133093`.
fn digits_of_title(id: &str) -> Option<&str> {
    let (start, digits) = id.split_at_checked(2)?;
    let is_id = start.eq_ignore_ascii_case("tt") && is_number(digits) && digits.len() >= IMDB_DIGITS_MIN;
    is_id.then_some(digits)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
