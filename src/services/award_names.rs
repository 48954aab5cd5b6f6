//! Awards and their categories as people name them. The data names awards by the organization that presents them, and
//! categories in capitals (those of the Academy's own database) or in small letters after the name of the prize (those of
//! IMDb).

/// Abbreviations of organizations that are not known by their own name, with the names of their awards.
const AWARDS: [(&str, &str); 4] = [
    ("AMPAS", "Academy Awards"),
    ("BAFTA", "BAFTA Awards"),
    ("HFPA", "Golden Globe Awards"),
    ("CCA", "Critics’ Choice Awards"),
];

/// Prefixes of categories that say no more than the name of the awards.
const PREFIXES: [&str; 5] =
    ["bafta film award: ", "critics choice award: ", "césar: ", "golden globe: ", "independent spirit award: "];

/// Words that begin with a small letter in names, except at their beginning.
const SMALL_WORDS: [&str; 20] = [
    "a", "an", "and", "as", "at", "by", "de", "des", "du", "for", "from", "in", "la", "le", "of", "on", "or", "the",
    "to", "with",
];

/// Name of the awards of the organization with this abbreviation; `None` if they have its name, or it is unknown.
#[must_use]
pub fn award_name(abbreviation: &str) -> Option<&'static str> {
    AWARDS.iter().find(|(known, _)| *known == abbreviation).map(|(_, name)| *name)
}

/// Name of a category: without the name of the awards, and with capital letters as in a headline.
#[must_use]
pub fn category_name(category: &str) -> String {
    let rest = PREFIXES.iter().find_map(|prefix| category.strip_prefix(prefix)).unwrap_or(category);
    let words = rest.split(' ').enumerate().map(|(index, word)| headline_word(word, index == 0));
    words.collect::<Vec<_>>().join(" ")
}

/// A word of a headline. One that has both capital and small letters is left as it is.
fn headline_word(word: &str, is_first: bool) -> String {
    let is_uniform = word.chars().all(|character| !character.is_uppercase())
        || word.chars().all(|character| !character.is_lowercase());
    if !is_uniform {
        return word.to_owned();
    }
    let small = word.to_lowercase();
    if !is_first && SMALL_WORDS.contains(&small.as_str()) {
        return small;
    }
    // A new name begins after a hyphen ("Black-and-White" is an exception that is not worth a rule).
    small.split('-').map(capitalised).collect::<Vec<_>>().join("-")
}

/// A word in small letters with a capital one. An article before an apostrophe stays small, as in "d'Or".
fn capitalised(small: &str) -> String {
    let first = |character: char| character.is_alphabetic();
    let start = match small.find(first) {
        Some(start) if matches!(&small[start..].get(..2), Some("d'" | "l'")) => start + 2,
        Some(start) => start,
        None => return small.to_owned(),
    };
    let (before, rest) = small.split_at(start);
    let mut letters = rest.chars();
    let capital = letters.next().into_iter().flat_map(char::to_uppercase);
    before.chars().chain(capital).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_headlines_without_the_name_of_the_awards() {
        for (category, expected) in [
            ("FILM EDITING", "Film Editing"),
            ("ACTRESS IN A LEADING ROLE", "Actress in a Leading Role"),
            ("MUSIC (Original Score)", "Music (Original Score)"),
            ("bafta film award: best film", "Best Film"),
            ("golden globe: best motion picture - drama", "Best Motion Picture - Drama"),
            ("césar: best actor (meilleur acteur)", "Best Actor (Meilleur Acteur)"),
            ("palme d'or", "Palme d'Or"),
            ("people's choice award", "People's Choice Award"),
            ("grand jury prize: dramatic", "Grand Jury Prize: Dramatic"),
            ("golden lion: best non-european film", "Golden Lion: Best Non-European Film"),
            ("Best Film", "Best Film"),
            ("éclat", "Éclat"),
            ("d'", "d'"),
            ("", ""),
        ] {
            assert_eq!(category_name(category), expected);
        }
    }

    #[test]
    fn organizations_are_known_by_their_awards() {
        assert_eq!(award_name("AMPAS"), Some("Academy Awards"));
        assert_eq!(award_name("CFF"), None);
    }
}
