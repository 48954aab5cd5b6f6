//! The words of which titles and names are composed, for each language. Any likeness to a real movie or person is
//! chance.
//!
//! A title is `head tail`, `head tail link family-name` or a person's name. A family name is `start` and `end` without
//! a space; a person's name is a `given` name and a family name.

use std::sync::LazyLock;

/// A language, the share of movies in it, the countries that make them, and its words.
#[derive(Debug)]
pub(super) struct Language {
    /// ISO 639-1 code.
    pub(super) code: &'static str,
    /// Per cent of all movies that are in this language.
    pub(super) share: u32,
    /// ISO 3166-1 codes of the countries that make these movies, with the relative number of movies.
    pub(super) countries: Vec<(&'static str, u32)>,
    pub(super) heads: Vec<&'static str>,
    pub(super) tails: Vec<&'static str>,
    pub(super) link: &'static str,
    pub(super) given: Vec<&'static str>,
    pub(super) starts: Vec<&'static str>,
    pub(super) ends: Vec<&'static str>,
}

/// All languages. Their shares add up to 100.
pub(super) static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| {
    include_str!("../data/languages.txt").split("\n\n").map(|lines| Language::parse(lines).expect(lines)).collect()
});

impl Language {
    /// Reads lines of the form `field: word, word`, in which `-` stands for the empty word. `None` if a field is
    /// missing, or if a share or weight is not a number.
    fn parse(lines: &'static str) -> Option<Self> {
        let field = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let word = |word| if word == "-" { "" } else { word };
        let words = |name: &str| Some(field(name)?.split(", ").map(word).collect());
        let weighted = |country: &'static str| {
            let (code, weight) = country.split_once(' ')?;
            Some((code, weight.parse().ok()?))
        };
        Some(Self {
            code: field("code")?,
            share: field("share")?.parse().ok()?,
            countries: field("countries")?.split(", ").map(weighted).collect::<Option<_>>()?,
            heads: words("heads")?,
            tails: words("tails")?,
            link: field("link")?,
            given: words("given")?,
            starts: words("starts")?,
            ends: words("ends")?,
        })
    }
}

/// ISO 3166-1 codes and names of the countries that movies come from.
pub(super) const COUNTRIES: [(&str, &str); 26] = [
    ("US", "United States of America"),
    ("GB", "United Kingdom"),
    ("CA", "Canada"),
    ("AU", "Australia"),
    ("IE", "Ireland"),
    ("NZ", "New Zealand"),
    ("FR", "France"),
    ("BE", "Belgium"),
    ("CH", "Switzerland"),
    ("IT", "Italy"),
    ("ES", "Spain"),
    ("MX", "Mexico"),
    ("AR", "Argentina"),
    ("DE", "Germany"),
    ("AT", "Austria"),
    ("JP", "Japan"),
    ("IN", "India"),
    ("CN", "China"),
    ("HK", "Hong Kong"),
    ("TW", "Taiwan"),
    ("KR", "South Korea"),
    ("SE", "Sweden"),
    ("FI", "Finland"),
    ("BR", "Brazil"),
    ("PT", "Portugal"),
    ("RU", "Russia"),
];

/// TMDb's genres: id, name, and how many of ten thousand assignments of a genre to a movie are of this genre.
pub(super) const GENRES: [(i32, &str, u32); 19] = [
    (28, "Action", 789),
    (12, "Adventure", 548),
    (16, "Animation", 202),
    (35, "Comedy", 1331),
    (80, "Crime", 585),
    (99, "Documentary", 166),
    (18, "Drama", 2080),
    (10751, "Family", 312),
    (14, "Fantasy", 359),
    (36, "History", 202),
    (27, "Horror", 507),
    (10402, "Music", 178),
    (9648, "Mystery", 324),
    (10749, "Romance", 809),
    (878, "Science Fiction", 395),
    (10770, "TV Movie", 24),
    (53, "Thriller", 889),
    (10752, "War", 179),
    (37, "Western", 121),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_complete_and_its_countries_are_known() {
        assert_eq!(LANGUAGES.iter().map(|language| language.share).sum::<u32>(), 100);
        for (code, _) in LANGUAGES.iter().flat_map(|language| &language.countries) {
            assert!(COUNTRIES.iter().any(|(known, _)| known == code), "{code}");
        }
    }
}
