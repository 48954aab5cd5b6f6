//! Names of movies in URLs: of this service, and of the sites whose ids the movies have; and what names of people share
//! with them.

use async_graphql::ID;

use crate::graphql::id::NodeId;
use crate::scoring::fold_title;
use crate::store::{Movie, MovieKey};

/// Maximum number of characters of the title or name in a slug. A choice.
const TEXT_MAX: usize = 60;

/// The slug of a movie: its id, and its title in plain letters.
pub(super) fn slug(movie: &Movie) -> String {
    let key = match (movie.tmdb_id, imdb_id(movie)) {
        (Some(id), _) => id.to_string(),
        (None, Some(id)) => id.to_owned(),
        // The global id begins with the letters of "Movie:" in base64, so it differs from the other kinds of ids. It
        // contains no hyphen: only bytes that are not ASCII are encoded with one.
        (None, None) => ID::from(NodeId::Movie(movie.id)).to_string(),
    };
    with_plain_text(key, &movie.title)
}

/// A key, and a title or name in plain letters.
pub(super) fn with_plain_text(key: String, text: &str) -> String {
    match plain_text(text) {
        plain if plain.is_empty() => key,
        plain => format!("{key}-{plain}"),
    }
}

/// The key at the beginning of a slug.
pub(super) fn key(slug: &str) -> &str {
    slug.split('-').next().unwrap_or_default()
}

/// The key that a slug begins with; `None` if it begins with none.
pub(in crate::graphql) fn key_of_slug(slug: &str) -> Option<MovieKey> {
    let key = key(slug);
    if key.bytes().all(|byte| byte.is_ascii_digit()) {
        return key.parse().ok().map(MovieKey::Tmdb);
    }
    if is_imdb_id(key) {
        return Some(MovieKey::Imdb(key.to_owned()));
    }
    match NodeId::read(&ID::from(key)) {
        Some(NodeId::Movie(id)) => Some(MovieKey::Id(id)),
        _ => None,
    }
}

pub(super) fn tmdb_url(movie: &Movie) -> Option<String> {
    movie.tmdb_id.map(|id| format!("https://www.themoviedb.org/movie/{id}"))
}

pub(super) fn imdb_url(movie: &Movie) -> Option<String> {
    imdb_id(movie).map(|id| format!("https://www.imdb.com/title/{id}/"))
}

pub(super) fn letterboxd_url(movie: &Movie) -> Option<String> {
    match (movie.tmdb_id, imdb_id(movie)) {
        (Some(id), _) => Some(format!("https://letterboxd.com/tmdb/{id}")),
        (None, id) => id.map(|id| format!("https://letterboxd.com/imdb/{id}")),
    }
}

/// The `IMDb` id of a movie. A host application may have stored another text in its place, which must not become part of
/// a link.
fn imdb_id(movie: &Movie) -> Option<&str> {
    movie.imdb_id.as_deref().filter(|id| is_imdb_id(id))
}

fn is_imdb_id(text: &str) -> bool {
    let digits = text.strip_prefix("tt").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 12 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text in lower-case ASCII letters and digits, words separated by hyphens; empty for a text in another script.
fn plain_text(text: &str) -> String {
    let folded = fold_title(text).replace('\'', "");
    let words = folded.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut plain = String::new();
    for word in words {
        if plain.len() + word.len() >= TEXT_MAX {
            break;
        }
        if !plain.is_empty() {
            plain.push('-');
        }
        plain.push_str(word);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::MovieId;

    fn movie(tmdb_id: Option<i32>, imdb_id: Option<&str>, title: &str) -> Movie {
        Movie {
            id: MovieId(5135),
            tmdb_id,
            imdb_id: imdb_id.map(str::to_owned),
            title: title.to_owned(),
            release_date: None,
            original_language: None,
            poster_path: None,
            lists: vec![],
        }
    }

    #[test]
    fn a_slug_is_an_id_and_a_plain_title() {
        for (tmdb_id, imdb_id, title, expected) in [
            (Some(603), Some("tt0133093"), "The Matrix", "603-the-matrix"),
            (None, Some("tt0133093"), "The Matrix", "tt0133093-the-matrix"),
            (None, None, "The Matrix", "TW92aWU6NTEzNQ-the-matrix"),
            (None, Some("<script>"), "The Matrix", "TW92aWU6NTEzNQ-the-matrix"),
            (Some(194), None, "Le Fabuleux Destin d’Amélie Poulain", "194-le-fabuleux-destin-damelie-poulain"),
            (Some(346), None, "七人の侍", "346"),
            (Some(9), None, "  …And Justice / for All!?  ", "9-and-justice-for-all"),
        ] {
            assert_eq!(slug(&movie(tmdb_id, imdb_id, title)), expected);
        }
        assert!(slug(&movie(Some(1), None, &"Very ".repeat(100))).len() < 70);
    }

    #[test]
    fn a_slug_leads_back_to_the_id() {
        for (tmdb_id, imdb_id, key) in [
            (Some(603), None, MovieKey::Tmdb(603)),
            (None, Some("tt0133093"), MovieKey::Imdb("tt0133093".to_owned())),
            (None, None, MovieKey::Id(MovieId(5135))),
        ] {
            let slug = slug(&movie(tmdb_id, imdb_id, "2001: A Space Odyssey"));
            assert_eq!(key_of_slug(&slug), Some(key.clone()));
            assert_eq!(key_of_slug(slug.split('-').next().unwrap()), Some(key));
        }
        for unknown in ["", "-603", "the-matrix", "tt", "ttx", "99999999999", "603x", "UGVyc29uOjc"] {
            assert_eq!(key_of_slug(unknown), None, "{unknown}");
        }
    }
}
