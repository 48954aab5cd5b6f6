//! Lists as Trakt's API returns them: an array of items, each with a type and a movie of that type.
//!
//! Shape: <https://trakt.docs.apiary.io/#reference/lists/list-items>.

use serde::Deserialize;
use serde_json::Value;

use super::columns::is_other_type;
use super::error::{ListFileError, shortened};
use super::format::Format;
use super::ids::{tmdb_id, whole_imdb_id};
use super::list_file::{ListFile, Row, text_value};

#[derive(Deserialize)]
struct Item {
    rank: Option<i32>,
    #[serde(rename = "type")]
    kind: Option<String>,
    movie: Option<Movie>,
}

#[derive(Deserialize)]
struct Movie {
    title: Option<String>,
    year: Option<i32>,
    #[serde(default)]
    ids: Ids,
}

#[derive(Default, Deserialize)]
struct Ids {
    imdb: Option<String>,
    /// A number, or its text.
    tmdb: Option<Value>,
}

/// Reads the JSON of a list.
pub(crate) fn read(text: &str) -> Result<ListFile, ListFileError> {
    let items: Vec<Item> = serde_json::from_str(text).map_err(|error| ListFileError::Json(error.to_string()))?;
    let mut list = ListFile::empty(Format::TraktJson);
    for (line, item) in (1..).zip(items) {
        let kind = item.kind.as_deref().unwrap_or_default();
        let Some(movie) = item.movie.filter(|_| !is_other_type(kind)) else {
            *list.other_types.entry(shortened(kind)).or_default() += 1;
            continue;
        };
        let title = text_value(movie.title.as_deref().unwrap_or_default(), line)?;
        let row = Row {
            line,
            position: item.rank,
            tmdb_id: movie.ids.tmdb.and_then(|id| tmdb_id(id.as_str().unwrap_or(&id.to_string()))),
            imdb_id: movie.ids.imdb.as_deref().and_then(whole_imdb_id),
            titles: Some(title).filter(|title| !title.is_empty()).into_iter().collect(),
            year: movie.year,
            ..Row::default()
        };
        list.push(row)?;
    }
    Ok(list)
}
