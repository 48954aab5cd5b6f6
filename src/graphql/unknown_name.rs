//! Errors for names that do not exist, with the existing names that are most similar.

use strsim::jaro_winkler;

use super::error::ApiError;
use crate::scoring::fold_title;

/// Maximum number of names in an error.
const SUGGESTED_MAX: usize = 3;

/// Similarity from which a name is suggested, from 0 to 1. A choice: "Sci-Fi" suggests "Science Fiction" (0.79), and "USA"
/// suggests "US".
const SIMILARITY_MIN: f64 = 0.75;

/// A `BAD_USER_INPUT` error for the argument `field`, whose value `given` is the name of no `kind`, such as a genre.
/// Suggests the names among `known` that are most similar, or else the query that returns all, `all`.
pub(super) fn unknown_name<'a>(
    field: &str,
    kind: &str,
    given: &str,
    known: impl Iterator<Item = &'a str>,
    all: &str,
) -> ApiError {
    let hint = did_you_mean(given, known).unwrap_or_else(|| format!("the query `{all}` returns all"));
    ApiError::bad_input(field, format!("there is no {kind} \"{given}\"; {hint}"))
}

/// Asks whether one of the names among `known` was meant that are most similar to `given`; `None` if none is similar.
pub fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let folded = fold_title(given);
    let mut similar: Vec<(f64, &str)> = known
        .map(|name| (jaro_winkler(&folded, &fold_title(name)), name))
        .filter(|(s, _)| *s >= SIMILARITY_MIN)
        .collect();
    similar.sort_by(|(one, a), (two, b)| two.total_cmp(one).then_with(|| a.cmp(b)));
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
            let error = unknown_name("genre", "genre", given, known.into_iter(), "genres");
            assert!(format!("{error:?}").contains(&format!("{expected:?}")), "{error:?}");
        }
    }
}
