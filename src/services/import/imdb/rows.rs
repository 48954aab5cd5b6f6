//! Converts lines of the dumps to rows, or skips them with a reason.

use std::borrow::Cow;
use std::collections::HashMap;

use cinegraph_list_formats::IMDB_NUMBER_MAX;

use super::super::changes::{Change, Changes};
use super::super::error::{ImportError, Problem};
use super::super::metric_names;
use super::super::summary::SkipReason;
use super::super::tsv_reader::Reader;
use super::super::values::{cut, integer, number, shown, without_control_characters};
use crate::store::CopyText;
use crate::store::{KnownMovie, KnownPerson};

/// Minimum number of digits in an id. Smaller numbers are zero-padded.
const ID_DIGITS: usize = 7;

/// Type of titles that are ranked. Excludes `tvMovie`, `short`, `video` and others.
const MOVIE: &str = "movie";

/// Genres that TMDb names differently.
const GENRES: [(&str, &str); 2] = [("Musical", "Music"), ("Sci-Fi", "Science Fiction")];

/// `None` for an appended row, otherwise the reason for skipping the line.
type Outcome = Result<Option<SkipReason>, ImportError>;

/// Movies and people that the database has from other sources, by the number in their IMDb id.
pub(super) struct Known {
    movies: HashMap<i32, KnownMovie>,
    people: HashMap<i32, i32>,
}

impl Known {
    pub(super) fn new(movies: Vec<KnownMovie>, people: Vec<KnownPerson>) -> Self {
        Self {
            movies: movies.into_iter().map(|movie| (movie.number, movie)).collect(),
            people: people.into_iter().map(|person| (person.number, person.tmdb_id)).collect(),
        }
    }

    /// `tmdb_id` of a movie: that of the other source, or the negative IMDb number. TMDb's ids are positive, so the two
    /// cannot be confused.
    fn movie_id(&self, number: i32) -> i32 {
        self.movies.get(&number).map_or(-number, |movie| movie.tmdb_id)
    }

    /// `tmdb_id` of a person, chosen like that of a movie.
    fn person_id(&self, number: i32) -> i32 {
        self.people.get(&number).copied().unwrap_or(-number)
    }
}

/// A sorted set of numbers. A vector, because a hash set of millions of numbers would take several times the memory.
pub(super) struct Numbers(Vec<i32>);

impl Numbers {
    fn new(mut numbers: Vec<i32>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }

    fn contains(&self, number: i32) -> bool {
        self.0.binary_search(&number).is_ok()
    }
}

/// The columns that [`Ratings`] reads, by their index here.
pub(super) const RATING_COLUMNS: [&str; 3] = ["tconst", "averageRating", "numVotes"];

/// Stages the ratings of all titles, and collects the titles with enough votes. The merge skips the ratings of titles
/// that are not in the database.
pub(super) struct Ratings<'a> {
    known: &'a Known,
    min_votes: u32,
    /// Titles with enough votes.
    voted: Vec<i32>,
}

impl<'a> Ratings<'a> {
    pub(super) fn new(known: &'a Known, min_votes: u32) -> Self {
        Self { known, min_votes, voted: Vec::new() }
    }

    pub(super) fn append(&mut self, reader: &Reader, rows: &mut CopyText) -> Outcome {
        let title = title(reader, 0)?;
        let average = checked(reader, 1, rating)?;
        let votes = checked(reader, 2, |value| integer(value, 0, i32::MAX))?;
        if votes.unsigned_abs() >= self.min_votes {
            self.voted.push(title);
        }
        rows.begin_row(reader.line());
        rows.text(&self.known.movie_id(title).to_string());
        rows.text(reader.required(0)?);
        rows.text(&average.to_string());
        rows.text(&votes.to_string());
        rows.end_row();
        Ok(None)
    }

    /// Titles with enough votes; `None` if no votes are required.
    pub(super) fn done(self) -> Option<Numbers> {
        (self.min_votes > 0).then(|| Numbers::new(self.voted))
    }
}

/// The columns that [`Movies`] reads, by their index here.
pub(super) const TITLE_COLUMNS: [&str; 6] = ["tconst", "titleType", "primaryTitle", "isAdult", "startYear", "genres"];

/// Selects movies that no other source describes.
pub(super) struct Movies<'a> {
    known: &'a Known,
    /// Titles with enough votes; `None` if no votes are required.
    voted: Option<Numbers>,
    /// The selected movies.
    taken: Vec<i32>,
}

impl<'a> Movies<'a> {
    pub(super) fn new(known: &'a Known, voted: Option<Numbers>) -> Self {
        Self { known, voted, taken: Vec::new() }
    }

    pub(super) fn append(&mut self, reader: &Reader, rows: &mut CopyText, changes: &mut Changes) -> Outcome {
        let number = title(reader, 0)?;
        if self.known.movies.contains_key(&number) {
            return Ok(Some(SkipReason::OtherSource));
        }
        if reader.required(1)? != MOVIE {
            return Ok(Some(SkipReason::NotAMovie));
        }
        if checked(reader, 3, flag)? {
            return Ok(Some(SkipReason::Adult));
        }
        let Some(name) = text(reader, 2, changes)? else { return Ok(Some(SkipReason::NoName)) };
        let Some(year) = reader.optional(4)? else { return Ok(Some(SkipReason::NoYear)) };
        let year = integer(year, 1, 9999).map_err(|problem| reader.bad(4, problem))?;
        if self.voted.as_ref().is_some_and(|voted| !voted.contains(number)) {
            return Ok(Some(SkipReason::FewVotes));
        }
        self.taken.push(number);
        rows.begin_row(reader.line());
        rows.text(&(-number).to_string());
        rows.text(reader.required(0)?);
        rows.text(&name);
        rows.text(&format!("{year:04}-01-01"));
        match reader.optional(5)? {
            Some(genres) => rows.text(&with_tmdb_names(genres)),
            None => rows.null(),
        }
        rows.end_row();
        Ok(None)
    }

    /// The selected movies.
    pub(super) fn done(self) -> Numbers {
        Numbers::new(self.taken)
    }
}

/// The columns that [`Credits`] reads, by their index here.
pub(super) const PRINCIPAL_COLUMNS: [&str; 5] = ["tconst", "ordering", "nconst", "category", "characters"];

/// Selects credits of the selected movies, and of known movies without credits.
pub(super) struct Credits<'a> {
    known: &'a Known,
    /// The selected movies.
    taken: Numbers,
    /// The credited people so far.
    people: Vec<i32>,
}

impl<'a> Credits<'a> {
    pub(super) fn new(known: &'a Known, taken: Numbers) -> Self {
        Self { known, taken, people: Vec::new() }
    }

    pub(super) fn append(&mut self, reader: &Reader, rows: &mut CopyText, changes: &mut Changes) -> Outcome {
        let movie = title(reader, 0)?;
        match self.known.movies.get(&movie) {
            Some(known) if known.has_credits => return Ok(Some(SkipReason::OtherSource)),
            None if !self.taken.contains(movie) => return Ok(Some(SkipReason::MovieNotImported)),
            // A known movie without credits, or a selected one.
            Some(_) | None => {}
        }
        let Some(work) = Work::of(reader.required(3)?) else { return Ok(Some(SkipReason::OtherWork)) };
        let ordering = checked(reader, 1, |value| integer(value, 0, i32::MAX))?;
        let person = person(reader, 2)?;
        self.people.push(person);
        rows.begin_row(reader.line());
        rows.text(&self.known.movie_id(movie).to_string());
        rows.text(&self.known.person_id(person).to_string());
        rows.text(&format!("imdb-{}-{ordering}", reader.required(0)?));
        match work {
            Work::Cast => {
                rows.text("cast");
                rows.text("Acting");
                rows.null();
                match reader.optional(4)? {
                    Some(characters) => rows.text(&stored(roles(characters).into(), reader.line(), changes)),
                    None => rows.null(),
                }
                rows.text(&ordering.to_string());
            }
            Work::Crew(department, job) => {
                rows.text("crew");
                rows.text(department);
                rows.text(job);
                rows.null();
                rows.null();
            }
        }
        rows.end_row();
        Ok(None)
    }

    /// The credited people.
    pub(super) fn done(self) -> Numbers {
        Numbers::new(self.people)
    }
}

/// A credit in TMDb's terms.
enum Work {
    Cast,
    /// Department and job.
    Crew(&'static str, &'static str),
}

impl Work {
    /// Maps a category of IMDb; `None` if credits of this category are not imported.
    fn of(category: &str) -> Option<Self> {
        Some(match category {
            "actor" | "actress" | "self" => Self::Cast,
            "director" => Self::Crew("Directing", "Director"),
            "writer" => Self::Crew("Writing", "Writer"),
            "producer" => Self::Crew("Production", "Producer"),
            "casting_director" => Self::Crew("Production", "Casting"),
            "composer" => Self::Crew("Sound", "Original Music Composer"),
            "cinematographer" => Self::Crew("Camera", "Director of Photography"),
            "editor" => Self::Crew("Editing", "Editor"),
            "production_designer" => Self::Crew("Art", "Production Design"),
            _ => return None,
        })
    }
}

/// The columns that [`Names`] reads, by their index here.
pub(super) const NAME_COLUMNS: [&str; 2] = ["nconst", "primaryName"];

/// Selects credited people that no other source describes.
pub(super) struct Names<'a> {
    known: &'a Known,
    credited: Numbers,
}

impl<'a> Names<'a> {
    pub(super) fn new(known: &'a Known, credited: Numbers) -> Self {
        Self { known, credited }
    }

    pub(super) fn append(&self, reader: &Reader, rows: &mut CopyText, changes: &mut Changes) -> Outcome {
        let number = person(reader, 0)?;
        if !self.credited.contains(number) {
            return Ok(Some(SkipReason::NoCredit));
        }
        if self.known.people.contains_key(&number) {
            return Ok(Some(SkipReason::OtherSource));
        }
        let Some(name) = text(reader, 1, changes)? else { return Ok(Some(SkipReason::NoName)) };
        rows.begin_row(reader.line());
        rows.text(&(-number).to_string());
        rows.text(reader.required(0)?);
        rows.text(&name);
        rows.end_row();
        Ok(None)
    }
}

/// The number in the id of a title.
fn title(reader: &Reader, column: usize) -> Result<i32, ImportError> {
    checked(reader, column, |value| number_of(value, "tt", "tt0111161"))
}

/// The number in the id of a person.
fn person(reader: &Reader, column: usize) -> Result<i32, ImportError> {
    checked(reader, column, |value| number_of(value, "nm", "nm0000151"))
}

/// The required value of a column, converted by `check`.
fn checked<T>(
    reader: &Reader,
    column: usize,
    check: impl FnOnce(&str) -> Result<T, Problem>,
) -> Result<T, ImportError> {
    check(reader.required(column)?).map_err(|problem| reader.bad(column, problem))
}

/// The number in an id. Accepts only the canonical form, so that two ids with the same number are the same id.
fn number_of(id: &str, prefix: &str, example: &'static str) -> Result<i32, Problem> {
    let digits = id
        .strip_prefix(prefix)
        .filter(|digits| digits.len() == ID_DIGITS || digits.len() > ID_DIGITS && !digits.starts_with('0'));
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=IMDB_NUMBER_MAX).contains(number));
    number.ok_or_else(|| Problem::NotAnId { value: shown(id), example })
}

fn flag(value: &str) -> Result<bool, Problem> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Problem::NotOneOf { value: shown(value), allowed: &["0", "1"] }),
    }
}

/// Comma-separated genres with TMDb's names.
fn with_tmdb_names(genres: &str) -> String {
    let names =
        genres.split(',').map(|genre| GENRES.iter().find(|(imdb, _)| *imdb == genre).map_or(genre, |known| known.1));
    names.collect::<Vec<_>>().join(",")
}

/// Joins the characters of a JSON list. A text that is no such list is used unchanged: it is no reason to fail an
/// import of millions of lines.
fn roles(characters: &str) -> String {
    serde_json::from_str::<Vec<String>>(characters).map_or_else(|_| characters.to_owned(), |roles| roles.join(" / "))
}

/// A rating, checked against its scale.
fn rating(value: &str) -> Result<f64, Problem> {
    let rating = number(value)?;
    if let Some(metric) = metric_names::find("imdb", "rating_average") {
        metric.check(rating, value)?;
    }
    Ok(rating)
}

/// The text in a column as it is stored; `None` if there is none.
fn text<'a>(reader: &'a Reader, column: usize, changes: &mut Changes) -> Result<Option<Cow<'a, str>>, ImportError> {
    let text = reader.optional(column)?.map(|text| stored(text.into(), reader.line(), changes));
    Ok(text.filter(|text| !text.is_empty()))
}

/// The text without control characters, truncated to the size of its database column. Neither is an error, as a long
/// text is in a CSV file, because nobody can change a text in a dump.
fn stored<'a>(text: Cow<'a, str>, line: u64, changes: &mut Changes) -> Cow<'a, str> {
    let clean = without_control_characters(&text);
    let is_clean = matches!(clean, Cow::Borrowed(_));
    let short = cut(clean.trim());
    if is_clean && short.len() == text.len() {
        return text;
    }
    if !is_clean {
        changes.count(Change::ControlCharacters, line, &text);
    }
    if short.len() < clean.trim().len() {
        changes.count(Change::Shortened, line, &text);
    }
    Cow::Owned(short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_ids_are_accepted() {
        let number = |id| number_of(id, "tt", "tt0111161").ok();
        assert_eq!(number("tt0000001"), Some(1));
        assert_eq!(number("tt10000000"), Some(10_000_000));
        assert_eq!(number("tt999999999"), Some(IMDB_NUMBER_MAX));
        for id in ["tt0000000", "tt1", "tt00000001", "tt+000001", "tt1000000000", "nm0000001", "0000001", "tt", ""] {
            assert_eq!(number(id), None, "{id}");
        }
    }

    #[test]
    fn character_lists_are_joined() {
        assert_eq!(roles(r#"["Jules \"J\" É","Self"]"#), "Jules \"J\" É / Self");
        assert_eq!(roles("no list"), "no list");
    }
}
