//! Why a result is empty, and what to do about it.

use anyhow::anyhow;
use async_graphql::Value;
use serde::Deserialize;
use serde_json::{Map, json};

use super::api::{LocalApi, decoded};
use crate::scoring::Decade;

const LIST: &str = "query Decades($list: String!) { list(key: $list) { decades { decade listed candidates } } }";

const ANY: &str = "{ movies(first: 1) { nodes { id } } }";

#[derive(Debug, Deserialize)]
struct List {
    decades: Vec<ListDecade>,
}

#[derive(Debug, Deserialize)]
struct ListDecade {
    decade: i32,
    listed: usize,
    candidates: usize,
}

#[derive(Debug, Deserialize)]
struct Movies {
    nodes: Vec<Value>,
}

/// Why a decade has no candidates, or no movies on the list if `confirmed`.
///
/// # Errors
/// If the database is unavailable.
pub(super) async fn no_predictions(
    api: &LocalApi,
    list: &str,
    decade: Decade,
    confirmed: bool,
) -> anyhow::Result<anyhow::Error> {
    if let Some(error) = no_movies(api).await? {
        return Ok(error);
    }
    let decades = decades_of(api, list).await?;
    if decades.is_empty() {
        return Ok(anyhow!("no movie has a score yet: run `cinegraph refresh all`"));
    }
    let (listed, candidates) =
        decades.iter().find(|one| one.decade == decade.year()).map_or((0, 0), |one| (one.listed, one.candidates));
    Ok(match (confirmed, listed, candidates) {
        (_, 0, 0) => anyhow!("there are no movies of the {decade}; there are some of the {}", spans(decades.iter())),
        (true, 0, _) => match spans(decades.iter().filter(|one| one.listed > 0)).as_str() {
            "" => anyhow!("there are no movies on {list}; `cinegraph lists` prints the lists with their movies"),
            some => anyhow!("no movies of the {decade} are on {list}; there are some of the {some}"),
        },
        (true, ..) => {
            anyhow!("the movies of the {decade} on {list}, {listed}, are not fully imported, and have no scores")
        }
        (false, ..) => {
            anyhow!("the only movies of the {decade}, {listed}, are on {list} already; --confirmed ranks them")
        }
    })
}

/// Why no movie of the validated decades is on the list.
///
/// # Errors
/// If the database is unavailable.
pub(super) async fn nothing_to_validate(api: &LocalApi, list: &str, of: &str) -> anyhow::Result<anyhow::Error> {
    if let Some(error) = no_movies(api).await? {
        return Ok(error);
    }
    let decades = decades_of(api, list).await?;
    Ok(match spans(decades.iter().filter(|one| one.listed > 0)).as_str() {
        "" => anyhow!("there are no movies on {list}; `cinegraph lists` prints the lists with their movies"),
        some => anyhow!("no movies {of} are on {list}, so there is nothing to validate; there are some of the {some}"),
    })
}

/// Says that the database has no movies; `None` if it has some.
///
/// # Errors
/// If the database is unavailable.
pub(super) async fn no_movies(api: &LocalApi) -> anyhow::Result<Option<anyhow::Error>> {
    let movies: Movies = decoded(&api.query(ANY, Map::new()).await?)?;
    Ok((movies.nodes.is_empty()).then(|| {
        anyhow!(
            "there are no movies yet: `cinegraph generate` makes some, `cinegraph import csv DIR` and `cinegraph import imdb \
             --download` import real ones"
        )
    }))
}

async fn decades_of(api: &LocalApi, list: &str) -> anyhow::Result<Vec<ListDecade>> {
    let variables = Map::from_iter([("list".to_owned(), json!(list))]);
    let list: Option<List> = decoded(&api.query(LIST, variables).await?)?;
    Ok(list.map_or_else(Vec::new, |list| list.decades))
}

fn spans<'a>(decades: impl Iterator<Item = &'a ListDecade>) -> String {
    decade_spans(decades.map(|one| one.decade))
}

/// Ascending decades as a text, such as "1920s–1940s, 1960s".
pub(super) fn decade_spans(decades: impl Iterator<Item = i32>) -> String {
    let mut spans: Vec<(i32, i32)> = Vec::new();
    for decade in decades {
        match spans.last_mut() {
            Some((_, last)) if *last + 10 == decade => *last = decade,
            _ => spans.push((decade, decade)),
        }
    }
    let text =
        |(first, last): (i32, i32)| if first == last { format!("{first}s") } else { format!("{first}s–{last}s") };
    spans.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_in_a_row_are_one_span() {
        for (decades, text) in [
            (&[][..], ""),
            (&[1990], "1990s"),
            (&[1920, 1930, 1940, 1960, 1980, 1990], "1920s–1940s, 1960s, 1980s–1990s"),
        ] {
            assert_eq!(decade_spans(decades.iter().copied()), text);
        }
    }
}
