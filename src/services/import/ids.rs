//! Ids of movies as people write them: bare numbers, numbers with lost zeros, and URLs.

/// Largest number in an IMDb id: nine digits, which an `i32` can hold. In 2026, IMDb has reached 40 million for titles
/// and 18 million for people.
pub(super) const IMDB_NUMBER_MAX: i32 = 999_999_999;

/// The IMDb id of a title as IMDb writes it: `tt` and at least seven digits. Accepts fewer digits, no or capital `tt`,
/// surrounding spaces, and URLs of IMDb with or without a scheme, a language, further segments and a query. `None` for
/// anything else.
#[must_use]
pub fn imdb_id(written: &str) -> Option<String> {
    let written = written.trim();
    let id = if written.contains('/') { segment_after(written, "imdb.com", "title")? } else { written };
    let prefixed = id.get(..2).filter(|prefix| prefix.eq_ignore_ascii_case("tt"));
    match prefixed {
        Some(_) => imdb_id_of(&id[2..]),
        // A spreadsheet may have taken the digits for a number.
        None => imdb_id_of(without_fraction(id)),
    }
}

/// The IMDb id with these digits, which may lack zeros or have more than needed. `None` if they are no number of an id.
pub(super) fn imdb_id_of(digits: &str) -> Option<String> {
    number(digits).filter(|number| *number <= IMDB_NUMBER_MAX).map(|number| format!("tt{number:07}"))
}

/// The TMDb id of a movie. Accepts surrounding spaces, a fraction of zeros (`862.0`, as spreadsheets write numbers) and
/// URLs of TMDb. `None` for anything else.
#[must_use]
pub fn tmdb_id(written: &str) -> Option<i32> {
    let written = written.trim();
    if !written.contains('/') {
        return number(without_fraction(written));
    }
    let segment = segment_after(written, "themoviedb.org", "movie")?;
    // The title may follow the number: /movie/862-toy-story
    number(segment.split_once('-').map_or(segment, |(id, _)| id))
}

/// A positive number in ASCII digits only: `parse` alone would accept a sign.
fn number(digits: &str) -> Option<i32> {
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| *number > 0)
}

fn without_fraction(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => number,
    }
}

/// The segment that follows the segment `name` in a URL of `site` or a subdomain of it.
fn segment_after<'a>(url: &'a str, site: &str, name: &str) -> Option<&'a str> {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let path = address.split(['?', '#']).next()?;
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
            "0862",
            "https://www.themoviedb.org/movie/862-toy-story?language=de",
            "themoviedb.org/movie/862",
        ] {
            assert_eq!(tmdb_id(written), Some(862), "{written}");
        }
        for written in ["", "0", "-5", "862.5", "2147483648", "٨٦٢", "https://www.themoviedb.org/tv/862", "tt0114709"]
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
