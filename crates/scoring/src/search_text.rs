//! The words of titles and names, as they are searched.

use crate::title_folding::fold_title;

/// Maximum length of a word, in characters. PostgreSQL's lexemes are limited to 2,046 bytes. A choice: longer than all
/// words.
const WORD_MAX: usize = 60;

/// Maximum length of a key, in characters. A row of a B-tree index is limited to 2,704 bytes. A choice: longer than nearly
/// all titles.
const KEY_MAX: usize = 300;

/// Articles with which titles begin, and which readers leave out.
const ARTICLES: [&str; 12] = ["the", "a", "an", "le", "la", "les", "el", "los", "il", "der", "das", "une"];

/// Returns the words of a title or a name in the form in which they are compared: folded by [`fold_title`], and separated by
/// one space each. Punctuation separates words, except the signs that readers leave out within a word: `L.A.` is `la`, and
/// `Schindler's` is `schindlers`. `&` is the word `and`. A text without any letter or digit is kept as it is, such as `???`.
///
/// The database stores keys, so a change of this function needs a migration that clears `keyed` in
/// `cinegraph.folded_titles` and empties `cinegraph.folded_names`.
///
/// ```
/// # use cinegraph_scoring::search_key;
/// assert_eq!(search_key("Amélie & the Spider-Man’s  “M*A*S*H”"), "amelie and the spider mans mash");
/// ```
#[must_use]
pub fn search_key(text: &str) -> String {
    let folded = fold_title(text);
    let mut spaced = String::with_capacity(folded.len());
    for character in folded.chars() {
        match character {
            '\'' | '.' | '*' | '·' | '・' => {}
            '&' => spaced.push_str(" and "),
            _ if is_separator(character) => spaced.push(' '),
            _ => spaced.push(character),
        }
    }
    let words = joined_words(&spaced);
    if words.is_empty() { joined_words(&folded.replace(char::is_control, " ")) } else { words }
}

/// Returns a key without its leading article, if it has one and another word.
#[must_use]
pub fn without_article(key: &str) -> &str {
    match key.split_once(' ') {
        Some((first, rest)) if is_article(first) => rest,
        _ => key,
    }
}

/// Whether a word of a key is an article.
#[must_use]
pub fn is_article(word: &str) -> bool {
    ARTICLES.contains(&word)
}

/// Returns `LIKE` patterns that match the texts from which `key` differs by at most one edit: a letter that is missing, added
/// or wrong, or two letters in each other's place. The patterns are not anchored at either end. No letter of a key is a
/// wildcard but `%` and `_`, which are escaped.
#[must_use]
pub fn one_edit_patterns(key: &str) -> Vec<String> {
    let letters: Vec<String> = key.chars().map(literal).collect();
    let with = |before: &[String], between: &str, after: &[String]| {
        [before.concat(), between.to_owned(), after.concat()].concat()
    };
    let mut patterns = Vec::with_capacity(letters.len() * 4);
    for at in 0..letters.len() {
        let (before, after) = letters.split_at(at);
        patterns.push(with(before, "", &after[1..]));
        patterns.push(with(before, "_", &after[1..]));
        patterns.push(with(before, "_", after));
        if let [one, two, rest @ ..] = after {
            patterns.push(with(before, &format!("{two}{one}"), rest));
        }
    }
    patterns
}

/// Escapes a character as a LIKE pattern that matches it literally.
fn literal(character: char) -> String {
    if matches!(character, '\\' | '%' | '_') { format!("\\{character}") } else { character.to_string() }
}

/// Whether a character separates words.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || character.is_ascii_punctuation()
        || matches!(character, '¡' | '¿' | '،' | '؛' | '؟' | '\u{2000}'..='\u{206F}' | '\u{3000}'..='\u{303F}')
}

/// The words of a text, each after one space but the first, cut to [`WORD_MAX`] and [`KEY_MAX`].
fn joined_words(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.extend(word.chars().take(WORD_MAX));
    }
    match joined.char_indices().nth(KEY_MAX) {
        Some((end, _)) => joined[..end].trim_end().to_owned(),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_what_is_typed() {
        for (title, key) in [
            ("The Godfather: Part II", "the godfather part ii"),
            ("E.T. the Extra-Terrestrial", "et the extra terrestrial"),
            ("WALL·E", "walle"),
            ("¿Qué he hecho yo para merecer esto?", "que he hecho yo para merecer esto"),
            ("スター・ウォーズ", "スターウォーズ"),
            ("Ødipus — Øen", "odipus oen"),
            ("Броненосец «Потёмкин»", "броненосец потемкин"),
            ("السلام، عليكم", "السلام عليكم"),
            ("???", "???"),
            ("100%", "100"),
            ("a\u{0}b\tc", "a b c"),
            (" \n ", ""),
        ] {
            assert_eq!(search_key(title), key, "{title}");
        }
    }

    #[test]
    fn leading_articles_are_left_out_unless_they_are_all() {
        for (key, bare) in [("the godfather", "godfather"), ("the", "the"), ("them", "them"), ("a trip", "trip")] {
            assert_eq!(without_article(key), bare);
        }
    }

    #[test]
    fn patterns_cover_every_edit() {
        let patterns = one_edit_patterns("ab_");
        for expected in ["b\\_", "_b\\_", "_ab\\_", "ba\\_", "a\\_b", "ab", "ab_", "ab_\\_"] {
            assert!(patterns.contains(&expected.to_owned()), "{expected}: {patterns:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_words_that_stay(text in any::<String>()) {
            let key = search_key(&text);
            prop_assert_eq!(search_key(&key), key.as_str());
            prop_assert!(key.split(' ').all(|word| !word.is_empty()) || key.is_empty());
            prop_assert!(key.chars().count() <= KEY_MAX && !key.contains('\0'));
        }
    }
}
