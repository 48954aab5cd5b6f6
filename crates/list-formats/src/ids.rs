//! Ids of movies as people write them: bare numbers, numbers with lost zeros, and addresses.

/// Largest number in an IMDb id: nine digits, which an `i32` can hold. In 2026, IMDb has reached 40 million for titles
/// and 18 million for people.
pub const IMDB_NUMBER_MAX: i32 = 999_999_999;

/// Fewest digits after `tt` as programs write them.
const IMDB_DIGITS_MIN: usize = 7;

/// Fewest digits of an IMDb id without `tt` in a list, where spreadsheets drop the zeros.
const NUMBER_DIGITS_MIN: usize = 3;

/// Reads the IMDb id of a title. Accepts fewer digits than IMDb writes, no or capital `tt`, surrounding spaces, and
/// addresses of IMDb with or without a scheme, a language, further segments and a query. Returns it as IMDb writes it,
/// with at least seven digits; `None` for anything else.
#[must_use]
pub fn imdb_id(text: &str) -> Option<String> {
    let id = imdb_title(text)?;
    // A spreadsheet may have taken the digits for a number.
    let digits = digits_after_tt(id).unwrap_or_else(|| without_fraction(id));
    number(digits).filter(|number| *number <= IMDB_NUMBER_MAX).map(|number| format!("tt{number:07}"))
}

/// As [`imdb_id`], for lists, whose values may be cut off or in another column: a short id is none. No program writes
/// fewer than seven digits after `tt`, and a number of one or two digits is a rating.
pub(crate) fn whole_imdb_id(text: &str) -> Option<String> {
    let id = imdb_title(text)?;
    let is_whole = match digits_after_tt(id) {
        Some(digits) => digits.len() >= IMDB_DIGITS_MIN,
        None => without_fraction(id).len() >= NUMBER_DIGITS_MIN,
    };
    Some(id).filter(|_| is_whole).and_then(imdb_id)
}

/// Reads the TMDb id of a movie: `603`, `603.0` or `603,0` as spreadsheets write it, with surrounding spaces, or an
/// address of TMDb. `None` for anything else.
#[must_use]
pub fn tmdb_id(text: &str) -> Option<i32> {
    let text = text.trim();
    if !text.contains('/') {
        return number(without_fraction(text));
    }
    let segment = segment_after(text, "themoviedb.org", "movie")?;
    // The title may follow the number: /movie/862-toy-story
    number(segment.split_once('-').map_or(segment, |(id, _)| id))
}

/// Reads an id or an address of either database: the IMDb id, and the TMDb id. A number with zeros before it is of IMDb,
/// as MovieLens writes it; another number is of TMDb.
#[must_use]
pub fn any_id(text: &str) -> (Option<String>, Option<i32>) {
    let text = text.trim();
    match is_number(without_fraction(text)) {
        true if text.starts_with('0') => (whole_imdb_id(text), None),
        true => (None, tmdb_id(text)),
        false => (whole_imdb_id(text), tmdb_id(text)),
    }
}

/// Whether a value stands for a missing one.
pub(crate) fn is_missing(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "" | "\\n" | "nan" | "null" | "none" | "n/a" | "na" | "-")
}

pub(crate) fn is_address(text: &str) -> bool {
    text.contains("://") || text.starts_with("www.") || text.contains(".com/") || text.contains(".org/")
}

/// The part of a text that is the id of a title, if the text is one: all of it, or a segment of an address of IMDb.
fn imdb_title(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.contains('/') { segment_after(text, "imdb.com", "title") } else { Some(text) }
}

fn digits_after_tt(id: &str) -> Option<&str> {
    let (start, digits) = id.split_at_checked(2)?;
    start.eq_ignore_ascii_case("tt").then_some(digits)
}

/// A positive number in ASCII digits only: `parse` alone would accept a sign.
fn number(digits: &str) -> Option<i32> {
    Some(digits).filter(|digits| is_number(digits))?.parse().ok().filter(|number| *number > 0)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number without one or two decimals that are zero. Three zeros may follow a separator of thousands.
fn without_fraction(number: &str) -> &str {
    match number.split_once(['.', ',']) {
        Some((whole, "0" | "00")) => whole,
        _ => number,
    }
}

/// The segment that follows the segment `name` in an address of `site` or a subdomain of it.
fn segment_after<'a>(address: &'a str, site: &str, name: &str) -> Option<&'a str> {
    let scheme = address.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let path = scheme.map_or(address, |(_, rest)| rest).split(['?', '#']).next()?;
    let mut segments = path.split('/');
    let host = segments.next()?.to_ascii_lowercase();
    let subdomain = host.strip_suffix(site)?;
    if !subdomain.is_empty() && !subdomain.ends_with('.') {
        return None;
    }
    segments.find(|segment| *segment == name)?;
    segments.next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn imdb_ids_are_read_in_every_written_form() {
        for written in [
            "tt0012349",
            "TT0012349",
            "Tt12349",
            "tt00012349",
            "12349",
            "0012349",
            "12349.0",
            "\u{a0} tt0012349\t",
            "https://www.imdb.com/title/tt0012349/",
            "http://imdb.com/title/tt0012349",
            "www.imdb.com/title/tt0012349/reviews?ref_=tt_urv#top",
            "HTTPS://M.IMDB.COM/title/tt0012349?ref_=x",
            "https://www.imdb.com/de/title/tt0012349/fullcredits",
            "imdb.com/title/12349",
        ] {
            assert_eq!(imdb_id(written).as_deref(), Some("tt0012349"), "{written}");
        }
        assert_eq!(imdb_id("tt10872600").as_deref(), Some("tt10872600"));
    }

    #[test]
    fn other_texts_are_no_imdb_ids() {
        for written in [
            "",
            "tt",
            "tt0000000",
            "0",
            "nm0000151",
            "tt12a",
            "tt-12",
            "+12",
            "12.5",
            "12.",
            "tt12349.0",
            "tt1234567890",
            "tt００１２３４９",
            "１２３４９",
            "https://www.imdb.com/name/nm0000151/",
            "https://notimdb.com/title/tt0012349",
            "https://imdb.com.example/title/tt0012349",
            "https://www.imdb.com/title/",
            "https://example.com/tt0012349",
            "tt0012349 tt0012350",
            "é1",
        ] {
            assert_eq!(imdb_id(written), None, "{written}");
        }
    }

    #[test]
    fn tmdb_ids_are_read_from_numbers_and_urls() {
        for written in [
            "862",
            " 862 ",
            "862.0",
            "862,0",
            "862.00",
            "0862",
            "https://www.themoviedb.org/movie/862-toy-story?language=de",
            "themoviedb.org/movie/862",
        ] {
            assert_eq!(tmdb_id(written), Some(862), "{written}");
        }
        for written in
            ["", "0", "-5", "862.5", "862.000", "2147483648", "٨٦٢", "https://www.themoviedb.org/tv/862", "tt0114709"]
        {
            assert_eq!(tmdb_id(written), None, "{written}");
        }
    }

    proptest! {
        #[test]
        fn every_form_of_a_number_is_the_same_imdb_id(
            number in 1..=IMDB_NUMBER_MAX,
            zeros in 0_usize..6,
            form in prop::sample::select(vec!["{}", "tt{}", "TT{}", " tt{} ", "https://www.imdb.com/title/tt{}/", "m.imdb.com/fr/title/tt{}?x=/1"]),
        ) {
            let digits = format!("{}{number}", "0".repeat(zeros));
            let id = imdb_id(&form.replace("{}", &digits)).unwrap();
            prop_assert_eq!(&id, &format!("tt{number:07}"));
            prop_assert_eq!(imdb_id(&id), Some(id.clone()));
        }

        #[test]
        fn whatever_is_accepted_is_canonical(written in r"\PC{0,20}|(tt)?[0-9]{0,12}(\.0)?|https?://(www\.)?imdb\.com/[a-z/]{0,8}title/[a-z0-9/?]{0,12}") {
            if let Some(id) = imdb_id(&written) {
                let digits = id.strip_prefix("tt").unwrap();
                prop_assert!(digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert!(digits.len() == 7 || !digits.starts_with('0'));
            }
            if let Some(id) = tmdb_id(&written) {
                prop_assert!(id > 0);
                prop_assert_eq!(tmdb_id(&id.to_string()), Some(id));
            }
        }
    }
}
