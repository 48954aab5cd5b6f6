//! Which movie each row of a list means.
//!
//! A row is matched by the first of these that finds a movie: TMDb id, IMDb id, exact title and year, folded title and
//! year, folded title within a year (the years of IMDb and TMDb differ). If one of them finds several movies, the row is
//! ambiguous. Nothing is guessed: a wrong movie on a list would be noticed by nobody.

use std::collections::HashMap;

use cinegraph_list_formats::{Format, ListFile, Row};

use super::error::ListImportError;
use super::resolutions::{Resolution, Resolutions};
use crate::scoring::{MovieId, fold_title};
use crate::store::ListCandidate;

/// Maximum number of candidates that are kept for a row. A choice: a person chooses among them.
const CANDIDATES_MAX: usize = 8;

/// How a row was matched, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchKind {
    /// By the corrected report.
    Resolved,
    /// By its TMDb id.
    TmdbId,
    /// By its IMDb id.
    ImdbId,
    /// By exact title and year.
    Title,
    /// By title and year, without regard to case, accents, an article after a comma and the like.
    FoldedTitle,
    /// By such a title, with a year that differs by one.
    NearYear,
}

impl MatchKind {
    /// All kinds, the surest first.
    pub const ALL: [Self; 6] =
        [Self::Resolved, Self::TmdbId, Self::ImdbId, Self::Title, Self::FoldedTitle, Self::NearYear];

    /// Description in summaries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "by the corrected report",
            Self::TmdbId => "by TMDb id",
            Self::ImdbId => "by IMDb id",
            Self::Title => "by exact title and year",
            Self::FoldedTitle => "by title in another spelling, and year",
            Self::NearYear => "by title, with a year that differs by one",
        }
    }
}

/// Why a row matches no movie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmatched {
    /// Several movies match equally well.
    Ambiguous,
    /// The TMDb id and the IMDb id are of different movies.
    IdsDisagree,
    /// The row has a title but no year, and so could mean any movie of this title.
    NoYear,
    /// The only movie that matches is meant by another row, which matches it better.
    Taken,
    /// The movie is not in the database.
    Absent,
    /// Another row means the movie, too, and gives it another position or edition.
    Disagrees,
    /// The row does not say which movie it means: it has no id and no title, several ids, or a number that may be either.
    Unreadable,
}

impl Unmatched {
    /// All reasons, those that a person can resolve first.
    pub const ALL: [Self; 7] = [
        Self::Ambiguous,
        Self::IdsDisagree,
        Self::NoYear,
        Self::Taken,
        Self::Disagrees,
        Self::Absent,
        Self::Unreadable,
    ];

    /// Description in summaries and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ambiguous => "several movies match",
            Self::IdsDisagree => "its ids are of different movies",
            Self::NoYear => "without a year",
            Self::Taken => "its only candidate is another row's movie",
            Self::Absent => "not in the database",
            Self::Disagrees => "repeats another row with another position or edition",
            Self::Unreadable => "neither one id nor a title with its year",
        }
    }
}

/// Outcome of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowMatch {
    /// The row means this movie.
    Matched {
        /// The movie.
        movie: ListCandidate,
        /// How it was found.
        kind: MatchKind,
    },
    /// The row repeats the row on this line.
    Repeated(u64),
    /// The corrected report leaves it out.
    LeftOut,
    /// No movie is certain.
    Unmatched {
        /// Why.
        reason: Unmatched,
        /// Movies that it may mean.
        candidates: Vec<ListCandidate>,
    },
}

/// Movies among which rows are matched: all those with an id or a folded title of a row.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) by_tmdb_id: HashMap<i32, ListCandidate>,
    /// An IMDb id is not unique in the database.
    pub(super) by_imdb_id: HashMap<String, Vec<ListCandidate>>,
    pub(super) by_title: HashMap<String, Vec<ListCandidate>>,
}

impl Candidates {
    pub(super) fn new(by_ids: Vec<ListCandidate>, by_title: Vec<(String, ListCandidate)>) -> Self {
        let mut candidates = Self::default();
        for movie in by_ids {
            if let Some(id) = &movie.imdb_id {
                let known = candidates.by_imdb_id.entry(id.clone()).or_default();
                // A movie with a former TMDb id comes once for each of its ids.
                if known.iter().all(|other| other.id != movie.id) {
                    known.push(movie.clone());
                }
            }
            if let Some(id) = movie.tmdb_id {
                candidates.by_tmdb_id.insert(id, movie);
            }
        }
        for (title, movie) in by_title {
            candidates.by_title.entry(title).or_default().push(movie);
        }
        candidates
    }
}

/// Articles that catalogues in alphabetical order put after a comma, folded: English, French, German, Spanish, Italian,
/// Portuguese, Dutch, Scandinavian and Hungarian.
const ARTICLES: &str = "the a an le la les l' un une des der die das ein eine el los las lo una il i gli uno un' o as os \
                        um uma de het een en et ett den det az";

/// The titles of a row, folded, and those of the form `Matrix, The` with the article in front, too.
pub(super) fn folded_titles(row: &Row) -> impl Iterator<Item = String> {
    row.titles.iter().flat_map(|title| {
        let folded = fold_title(title);
        let moved = folded.rsplit_once(", ").and_then(|(title, article)| {
            let space = if article.ends_with('\'') { "" } else { " " };
            ARTICLES.split(' ').any(|known| known == article).then(|| format!("{article}{space}{title}"))
        });
        std::iter::once(folded).chain(moved)
    })
}

/// Matches all rows. The result has one element per row, in their order.
pub(super) fn match_rows(file: &ListFile, candidates: &Candidates, resolutions: &Resolutions) -> Vec<RowMatch> {
    let rows = &file.rows;
    let mut matches: Vec<RowMatch> = rows
        .iter()
        .map(|row| match resolutions.of(row) {
            Some(Resolution::LeaveOut) => RowMatch::LeftOut,
            Some(Resolution::Movie(ids)) => match by_ids(ids, candidates) {
                RowMatch::Matched { movie, .. } => RowMatch::Matched { movie, kind: MatchKind::Resolved },
                other => other,
            },
            None => one(row, candidates),
        })
        .collect();
    one_row_per_movie(file, &mut matches);
    matches
}

/// Checks that each correction takes effect: otherwise the next report would not have it.
///
/// # Errors
/// [`ListImportError::Report`] if a movie is not in the database, or is that of another row.
pub(super) fn check_corrections(
    rows: &[Row],
    matches: &[RowMatch],
    resolutions: &Resolutions,
) -> Result<(), ListImportError> {
    for (row, found) in rows.iter().zip(matches) {
        let Some(line) = resolutions.line_of(row) else { continue };
        let problem = match found {
            RowMatch::Matched { .. } | RowMatch::LeftOut => continue,
            RowMatch::Repeated(other) => {
                format!("the row on line {other} of the list is this movie already; write - to leave one of them out")
            }
            RowMatch::Unmatched { reason, .. } => format!("this movie is {}", reason.as_str()),
        };
        return Err(ListImportError::report(line, &format!("column movie: {problem}")));
    }
    Ok(())
}

fn one(row: &Row, candidates: &Candidates) -> RowMatch {
    if row.unread.is_some() {
        let by_id = row.tmdb_id.and_then(|id| candidates.by_tmdb_id.get(&id));
        let by_title = folded_titles(row).filter_map(|title| candidates.by_title.get(&title)).flatten();
        let mut movies: Vec<_> = by_id.into_iter().chain(by_title).collect();
        movies.sort_by_key(|movie| movie.id);
        movies.dedup_by_key(|movie| movie.id);
        return unmatched(Unmatched::Unreadable, movies);
    }
    match by_ids(row, candidates) {
        RowMatch::Unmatched { reason: Unmatched::Absent, .. } => by_title(row, candidates),
        found => found,
    }
}

fn by_ids(row: &Row, candidates: &Candidates) -> RowMatch {
    let tmdb = row.tmdb_id.and_then(|id| candidates.by_tmdb_id.get(&id));
    let imdb = row.imdb_id.as_ref().and_then(|id| candidates.by_imdb_id.get(id)).map_or(&[][..], Vec::as_slice);
    match (tmdb, imdb) {
        (Some(movie), movies) if !movies.is_empty() && movies.iter().all(|other| other.id != movie.id) => {
            unmatched(Unmatched::IdsDisagree, std::iter::once(movie).chain(movies))
        }
        (Some(movie), _) => RowMatch::Matched { movie: movie.clone(), kind: MatchKind::TmdbId },
        (None, [movie]) => RowMatch::Matched { movie: movie.clone(), kind: MatchKind::ImdbId },
        (None, []) => unmatched(Unmatched::Absent, []),
        (None, movies) => unmatched(Unmatched::Ambiguous, movies),
    }
}

fn by_title(row: &Row, candidates: &Candidates) -> RowMatch {
    if row.titles.is_empty() {
        return unmatched(Unmatched::Absent, []);
    }
    let mut movies: Vec<&ListCandidate> = folded_titles(row)
        .filter_map(|title| candidates.by_title.get(&title))
        .flatten()
        .filter(|movie| may_be(row, movie))
        .collect();
    movies.sort_by_key(|movie| movie.id);
    movies.dedup_by_key(|movie| movie.id);
    let Some(year) = row.year else {
        let reason = if movies.is_empty() { Unmatched::Absent } else { Unmatched::NoYear };
        return unmatched(reason, movies);
    };
    let distance = |movie: &ListCandidate| movie.year.map_or(u32::MAX, |other| other.abs_diff(year));
    let kind_of = |movie: &ListCandidate| match distance(movie) {
        0 if row.titles.contains(&movie.title) => Some(MatchKind::Title),
        0 => Some(MatchKind::FoldedTitle),
        1 => Some(MatchKind::NearYear),
        _ => None,
    };
    for kind in [MatchKind::Title, MatchKind::FoldedTitle, MatchKind::NearYear] {
        let fitting: Vec<&ListCandidate> =
            movies.iter().copied().filter(|movie| kind_of(movie) == Some(kind)).collect();
        match fitting.as_slice() {
            [] => {}
            [movie] => return RowMatch::Matched { movie: (*movie).clone(), kind },
            _ => return unmatched(Unmatched::Ambiguous, fitting),
        }
    }
    // Movies of the same title from other years, the nearest first: perhaps the year of the row is wrong.
    movies.sort_by_key(|movie| (distance(movie), movie.id));
    unmatched(Unmatched::Absent, movies)
}

/// Whether a movie of the same title can be the one of the row: one with another id is not.
fn may_be(row: &Row, movie: &ListCandidate) -> bool {
    let agree = |given: bool, same: bool| !given || same;
    agree(row.tmdb_id.is_some() && movie.tmdb_id.is_some(), row.tmdb_id == movie.tmdb_id)
        && agree(row.imdb_id.is_some() && movie.imdb_id.is_some(), row.imdb_id == movie.imdb_id)
}

fn unmatched<'a>(reason: Unmatched, candidates: impl IntoIterator<Item = &'a ListCandidate>) -> RowMatch {
    RowMatch::Unmatched { reason, candidates: candidates.into_iter().take(CANDIDATES_MAX).cloned().collect() }
}

/// Lets each movie be meant by one row only: the one that matches it best, and of equal ones the first. Another row
/// repeats it if it says the same; otherwise it means another movie, which the database lacks.
fn one_row_per_movie(file: &ListFile, matches: &mut [RowMatch]) {
    let rows = &file.rows;
    // The positions of a plain list are those of its lines, and never the same.
    let agree = |row: &Row, other: &Row| {
        (file.format == Format::Plain || row.position == other.position) && row.edition == other.edition
    };
    let mut best: HashMap<MovieId, (MatchKind, usize)> = HashMap::new();
    for (index, found) in matches.iter().enumerate() {
        if let RowMatch::Matched { movie, kind } = found {
            let first = best.entry(movie.id).or_insert((*kind, index));
            *first = (*first).min((*kind, index));
        }
    }
    for (index, found) in matches.iter_mut().enumerate() {
        let RowMatch::Matched { movie, kind } = found else { continue };
        let Some(&(_, first)) = best.get(&movie.id) else { continue };
        if first == index {
            continue;
        }
        // Of two rows with different years or titles, at most one can mean the movie.
        let is_same = *kind <= MatchKind::ImdbId || is_same_title(&rows[index], &rows[first]);
        *found = match is_same {
            true if *kind == MatchKind::Resolved || agree(&rows[index], &rows[first]) => {
                RowMatch::Repeated(rows[first].line)
            }
            true => unmatched(Unmatched::Disagrees, [&movie.clone()]),
            false => unmatched(Unmatched::Taken, [&movie.clone()]),
        };
    }
}

fn is_same_title(row: &Row, other: &Row) -> bool {
    row.year == other.year && folded_titles(row).any(|title| folded_titles(other).any(|other| other == title))
}

/// Whether a row was matched by an id that may be wrong: its year is another one than the movie's; or its titles are
/// others, and it has no year, or there is a movie with its title and year.
pub(super) fn is_doubtful(row: &Row, movie: &ListCandidate, kind: MatchKind, candidates: &Candidates) -> bool {
    let by_id = matches!(kind, MatchKind::TmdbId | MatchKind::ImdbId);
    let is_other_year = || matches!((row.year, movie.year), (Some(year), Some(other)) if year.abs_diff(other) > 1);
    let folded = fold_title(&movie.title);
    let is_other_title = || !row.titles.is_empty() && folded_titles(row).all(|title| title != folded);
    let mut others = folded_titles(row).filter_map(|title| candidates.by_title.get(&title)).flatten();
    by_id && (is_other_year() || is_other_title() && (row.year.is_none() || others.any(|other| other.year == row.year)))
}
