//! Language codes as people write them.

use std::collections::HashMap;
use std::sync::LazyLock;

/// ISO 639-1, a language per line: its code of two letters, those of three letters (ISO 639-2) and its English names.
const LANGUAGES: &str = include_str!("languages.txt");

/// Codes that TMDb uses beside those of ISO 639-1, two of which ISO has withdrawn, with their names.
const OF_TMDB: [(&str, &str); 4] =
    [("xx", "no language"), ("cn", "Cantonese"), ("mo", "Moldavian"), ("sh", "Serbo-Croatian")];

/// Withdrawn codes, with those that replace them.
const REPLACED: [(&str, &str); 3] = [("iw", "he"), ("in", "id"), ("ji", "yi")];

/// Every code and name in lower case, with the code of two letters.
static CODES: LazyLock<HashMap<String, &str>> = LazyLock::new(|| {
    let languages = LANGUAGES.lines().flat_map(|line| {
        let code = line.split('|').next().unwrap_or_default();
        line.split('|').map(move |form| (form.to_lowercase(), code))
    });
    let other = OF_TMDB.map(|(code, _)| (code, code)).into_iter().chain(REPLACED);
    languages.chain(other.map(|(form, code)| (form.to_owned(), code))).collect()
});

/// English name of the language with this code of two letters; `None` if the language is unknown.
#[must_use]
pub fn language_name(code: &str) -> Option<&'static str> {
    if let Some((_, name)) = OF_TMDB.iter().find(|(of_tmdb, _)| *of_tmdb == code) {
        return Some(name);
    }
    let mut forms = LANGUAGES.lines().map(|line| line.split('|')).find(|forms| forms.clone().next() == Some(code))?;
    forms.find(|form| form.starts_with(char::is_uppercase))
}

/// The code of two letters of a language, from its code of two or three letters, a locale such as `en-US`, or its
/// English name. `None` if the language is unknown.
#[must_use]
pub fn code(written: &str) -> Option<&'static str> {
    if let Some(code) = CODES.get(written) {
        return Some(code);
    }
    let lower = written.to_lowercase();
    let language = lower.split(['-', '_']).next().unwrap_or_default();
    CODES.get(&lower).or_else(|| CODES.get(language).filter(|_| language.len() <= 3)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_locales_and_names_are_read() {
        for (written, expected) in [
            ("en", "en"),
            ("EN", "en"),
            ("English", "en"),
            ("eng", "en"),
            ("pt-BR", "pt"),
            ("zh_Hant_TW", "zh"),
            ("ger", "de"),
            ("deu", "de"),
            ("Norwegian Bokmål", "nb"),
            ("Farsi", "fa"),
            ("xx", "xx"),
            ("CN", "cn"),
            ("iw", "he"),
        ] {
            assert_eq!(code(written), Some(expected), "{written}");
        }
        for written in ["", "e", "qq", "englisch", "Englis", "en US", "-en", "1994", "norwegian-x"] {
            assert_eq!(code(written), None, "{written}");
        }
    }

    #[test]
    fn every_code_stands_for_itself() {
        assert_eq!(LANGUAGES.lines().count(), 184);
        for line in LANGUAGES.lines() {
            assert_eq!(code(&line[..2]), Some(&line[..2]));
            assert!(language_name(&line[..2]).is_some_and(|name| code(name) == Some(&line[..2])), "{line}");
        }
    }
}
