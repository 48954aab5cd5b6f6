//! Errors for names that do not exist, with the existing names that are most similar.

use strsim::jaro_winkler;

use super::error::ApiError;
use crate::scoring::fold_title;

/// Maximum number of names in an error.
const SUGGESTED_MAX: usize = 3;

/// Similarity from which a name is suggested, from 0 to 1. A choice: "Sci-Fi" suggests "Science Fiction" (0.79), and "USA"
/// suggests "US".
const SIMILARITY_MIN: f64 = 0.75;

/// A `BAD_USER_INPUT` error for the argument `field`, whose value `given` is the name of no `kind`, such as a genre. `known`
/// has what is suggested, each with the texts that are compared, such as a code and the name of a country. Suggests the most
/// similar ones, or else the query that returns all, `all`.
pub(super) fn unknown_name<'a, Texts: IntoIterator<Item = &'a str>>(
    field: &str,
    kind: &str,
    given: &str,
    known: impl Iterator<Item = (&'a str, Texts)>,
    all: &str,
) -> ApiError {
    let hint = did_you_mean(given, known).unwrap_or_else(|| format!("the query `{all}` returns all"));
    ApiError::bad_input(field, format!("there is no {kind} \"{given}\"; {hint}"))
}

/// Asks whether one of those among `known` was meant whose texts are most similar to `given`; `None` if none is similar.
pub fn did_you_mean<'a, Texts: IntoIterator<Item = &'a str>>(
    given: &str,
    known: impl Iterator<Item = (&'a str, Texts)>,
) -> Option<String> {
    let folded = fold_title(given);
    let similarity = |text| jaro_winkler(&folded, &fold_title(text));
    let mut similar: Vec<(f64, &str)> = known
        .map(|(name, texts)| (texts.into_iter().map(similarity).fold(0.0, f64::max), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .collect();
    similar.sort_by(|(one, a), (two, b)| two.total_cmp(one).then_with(|| a.cmp(b)));
    // A text that is one of the names of something means that alone.
    if let Some(end) = similar.iter().position(|(similarity, _)| *similarity < 1.0).filter(|end| *end > 0) {
        similar.truncate(end);
    }
    let names: Vec<String> = similar.iter().take(SUGGESTED_MAX).map(|(_, name)| format!("\"{name}\"")).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(format!("did you mean {name}?")),
        [first @ .., last] => Some(format!("did you mean {} or {last}?", first.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_suggested_and_others_are_not() {
        let known = ["Science Fiction", "Horror", "Drama", "Romance", "History"];
        for (given, expected) in [
            ("Sci-Fi", "there is no genre \"Sci-Fi\"; did you mean \"Science Fiction\"?"),
            ("horor", "there is no genre \"horor\"; did you mean \"Horror\"?"),
            ("xyz", "there is no genre \"xyz\"; the query `genres` returns all"),
        ] {
            let error = unknown_name("genre", "genre", given, known.into_iter().map(|name| (name, [name])), "genres");
            assert!(format!("{error:?}").contains(&format!("{expected:?}")), "{error:?}");
        }
        let known = [("US", ["US", "United States of America"]), ("GB", ["GB", "United Kingdom"])];
        for (given, expected) in [("united kingdom", "did you mean \"GB\"?"), ("USA", "did you mean \"US\"?")] {
            let error = unknown_name("countries", "country", given, known.into_iter(), "countries");
            assert!(format!("{error:?}").contains(format!("{expected:?}").trim_matches('"')), "{error:?}");
        }
    }
}
