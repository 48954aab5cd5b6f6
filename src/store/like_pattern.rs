//! Patterns of LIKE.

/// Escapes a text as a LIKE pattern that matches it literally.
pub(super) fn literal(text: &str) -> String {
    let escaped = |c| ['\\', '%', '_'].contains(&c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}
