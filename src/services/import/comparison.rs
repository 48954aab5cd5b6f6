//! What an import would replace in the database: counted, or refused if it is probably a mistake.

use super::changes::{Change, Changes};
use super::error::{ImportError, Problem};
use super::values::shown;
use crate::scoring::fold_title;
use crate::store::{ComparedMovie, Import, Staging};

/// Fewest movies of which most may not get another title. A choice: few are soon imported again.
const RENAMED_MIN: u64 = 10;

/// Compares the staged movies with those of the database, before they are merged. Unless `replace`, fails if most would
/// get another title, or if two different movies would become one. `columns`: the optional columns that the file has.
pub(super) async fn compare_movies(
    import: &mut Import,
    file: &'static str,
    columns: &[&str],
    replace: bool,
    changes: &mut Changes,
) -> Result<(), ImportError> {
    let mut existing = 0;
    let mut other = None;
    let mut compare = |movie: ComparedMovie| {
        if movie.stored_tmdb_id == movie.tmdb_id {
            existing += 1;
            count_changes(&movie, changes);
            return;
        }
        // Of IMDb's files, a movie has only its IMDb id, and often another title and year than TMDb's.
        let (is_tmdb, differs) = (movie.stored_tmdb_id > 0, is_renamed(&movie) && is_of_another_year(&movie));
        if is_tmdb || differs {
            changes.add(Change::Merged, 1, movie.line, || format!("{} is now {}", stored(&movie), given(&movie)));
        }
        if other.is_none() && is_tmdb && differs {
            other = Some(movie);
        }
    };
    import.compare_movies(columns, &mut compare).await?;
    if replace {
        return Ok(());
    }
    if let Some(movie) = other {
        let problem = Problem::OtherMovie { stored: stored(&movie), given: given(&movie) };
        return Err(ImportError::Damaged { file, line: movie.line, column: Some("imdb_id".to_owned()), problem });
    }
    match changes.first(Change::Title) {
        Some(first) if first.count >= RENAMED_MIN && first.count > existing / 2 => {
            let (line, example) = (first.line, first.value.clone());
            Err(ImportError::MostRenamed { line, renamed: first.count, existing, example })
        }
        _ => Ok(()),
    }
}

/// Counts the staged rows of another kind that replace more recent values, or remove values.
pub(super) async fn compare_rows(
    import: &mut Import,
    staging: Staging,
    changes: &mut Changes,
) -> Result<(), ImportError> {
    if let Some(rows) = import.replacing_rows(staging, None).await? {
        let change = if staging == Staging::Metrics { Change::Older } else { Change::Removed };
        changes.add(change, rows.count, rows.line, || rows.value);
    }
    Ok(())
}

/// Counts what a row changes in the movie with its TMDb id.
fn count_changes(movie: &ComparedMovie, changes: &mut Changes) {
    let mut add = |change, value: &dyn Fn() -> String| changes.add(change, 1, movie.line, value);
    if is_renamed(movie) {
        add(Change::Title, &|| format!("{} becomes {}", shown(&movie.stored_title), shown(&movie.title)));
    }
    if let (true, Some(from), Some(to)) = (is_of_another_year(movie), movie.stored_year, movie.year) {
        add(Change::Year, &|| format!("{}: {from} becomes {to}", shown(&movie.title)));
    }
    if let (Some(from), Some(to)) = (&movie.stored_imdb_id, &movie.imdb_id)
        && from != to
    {
        add(Change::OtherImdbId, &|| format!("{}: {from} becomes {to}", shown(&movie.title)));
    }
    for value in &movie.removed {
        add(Change::Removed, &|| value.clone());
    }
}

fn is_renamed(movie: &ComparedMovie) -> bool {
    movie.title != movie.stored_title && fold_title(&movie.title) != fold_title(&movie.stored_title)
}

/// Whether the years are more than one apart: those of different sources are often neighbours.
fn is_of_another_year(movie: &ComparedMovie) -> bool {
    matches!((movie.stored_year, movie.year), (Some(stored), Some(year)) if stored.abs_diff(year) > 1)
}

fn stored(movie: &ComparedMovie) -> String {
    named(movie.stored_tmdb_id, &movie.stored_title, movie.stored_year)
}

fn given(movie: &ComparedMovie) -> String {
    named(movie.tmdb_id, &movie.title, movie.year)
}

/// A movie with its id, title and year, such as `603 The Matrix (1999)`.
fn named(tmdb_id: i32, title: &str, year: Option<i32>) -> String {
    let year = year.map(|year| format!(" ({year})")).unwrap_or_default();
    format!("{tmdb_id} {}{year}", shown(title))
}
