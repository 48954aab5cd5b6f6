//! Columns of lists: which names they have in which exports, and what their values mean.

use super::error::{ListFileError, RowProblem, shortened};
use super::file_kind::FileKind;
use super::format::Format;
use super::ids::{is_address, is_missing, tmdb_id, whole_imdb_id};
use super::list_file::{Row, text_value};
use super::titles::{title_and_year, without_entities};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Position,
    ImdbId,
    TmdbId,
    Address,
    Title,
    OriginalTitle,
    Year,
    Date,
    Type,
    Edition,
    ListKey,
}

impl Role {
    const ALL: [Self; 11] = [
        Self::Position,
        Self::ImdbId,
        Self::TmdbId,
        Self::Address,
        Self::Title,
        Self::OriginalTitle,
        Self::Year,
        Self::Date,
        Self::Type,
        Self::Edition,
        Self::ListKey,
    ];

    /// Names in exports and in files of people, in lower case with spaces. Of several columns with one role, the one
    /// that is named first here counts.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Position => &["position", "list position", "rank", "#"],
            Self::ImdbId => &["const", "imdb id", "imdbid", "imdb", "tconst"],
            Self::TmdbId => &["tmdb id", "tmdbid", "tmdb"],
            Self::Address => &["url", "link"],
            Self::Title => &["title", "name", "movie", "film", "film name", "titel", "titre", "título", "titulo"],
            Self::OriginalTitle => &["original title"],
            Self::Year => &["year", "release year", "jahr", "année", "annee", "año", "ano"],
            Self::Date => &["release date", "released", "release date (month/day/year)"],
            Self::Type => &["title type", "type"],
            Self::Edition => &["edition"],
            Self::ListKey => &["list key"],
        }
    }
}

/// Tables without a column of titles that have ids of movies and are no lists: some of their columns, and what they are.
const OTHER_TABLES: [(&[&str], FileKind); 4] = [
    (&["tmdb id", "metric type"], FileKind { name: "a table of metrics", remedy: "give it to `import csv`" }),
    (&["tmdb id", "genre"], FileKind { name: "a table of genres", remedy: "give it to `import csv`" }),
    (
        &["movieid", "imdbid", "tmdbid"],
        FileKind { name: "links.csv of MovieLens", remedy: "give it to `import links`" },
    ),
    (&["tconst", "titletype"], FileKind { name: "a table of all titles of IMDb", remedy: "give it to `import imdb`" }),
];

/// The header of a list, once it is found.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) format: Format,
    pub(crate) width: usize,
    /// Name in the file and index of the column of each role.
    places: [Option<(String, usize)>; Role::ALL.len()],
}

impl Columns {
    /// Reads a record as the header of a list. `None` if it is something else, such as a line of a preamble.
    ///
    /// # Errors
    /// If the header has a column twice that is used, or is that of a report.
    pub(crate) fn of(header: &[&str], line: u64) -> Result<Option<Self>, ListFileError> {
        let names: Vec<String> = header.iter().map(|name| simplified(name)).collect();
        let has = |name: &str| names.iter().any(|known| known == name);
        if ["line", "problem", "candidates", "movie"].iter().all(|name| has(name)) {
            return Err(ListFileError::Report);
        }
        let mut places = [const { None }; Role::ALL.len()];
        for role in Role::ALL {
            let place = role.names().iter().find_map(|name| names.iter().position(|known| known == name));
            let Some(place) = place else { continue };
            if names.iter().filter(|name| **name == names[place]).count() > 1 {
                let name = header[place].trim().to_owned();
                return Err(ListFileError::damaged(line, RowProblem::RepeatedColumn { name }));
            }
            places[role as usize] = Some((header[place].trim().to_owned(), place));
        }
        let found = |role: Role| places[role as usize].is_some();
        let other = OTHER_TABLES.iter().find(|(columns, _)| columns.iter().all(|column| has(column)));
        if let Some((_, kind)) = other.filter(|_| !found(Role::Title)) {
            return Err(ListFileError::NotAList(*kind));
        }
        let format = if has("const") {
            if has("position") { Format::ImdbList } else { Format::ImdbRatings }
        } else if has("letterboxd uri") && has("name") {
            match () {
                () if has("watched date") || has("rewatch") => Format::LetterboxdDiary,
                () if has("rating") => Format::LetterboxdRatings,
                () => Format::LetterboxdFilms,
            }
        } else if ["position", "name", "year", "url"].iter().all(|name| has(name)) {
            Format::LetterboxdList
        } else if has("trakt id") || (has("type") && (has("listed at") || has("rated at") || has("watched at"))) {
            Format::TraktCsv
        } else if found(Role::ImdbId) || found(Role::TmdbId) || (found(Role::Title) && found(Role::Year)) {
            Format::Csv
        } else {
            return Ok(None);
        };
        Ok(Some(Self { format, width: header.len(), places }))
    }

    /// Reads a record as a row of the list.
    ///
    /// # Errors
    /// If an id or a position is none.
    pub(crate) fn row(&self, record: &[&str], line: u64) -> Result<ReadRow, ListFileError> {
        let value = |role: Role| {
            let value = self.places[role as usize].as_ref().and_then(|(_, place)| record.get(*place)).copied();
            text_value(value.unwrap_or_default(), line)
        };
        let invalid = |role: Role, value: &str, expected| {
            let column = self.places[role as usize].as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
            ListFileError::damaged(line, RowProblem::Value { column, value: shortened(value), expected })
        };
        let kind = value(Role::Type)?;
        if is_other_type(&kind) {
            return Ok(ReadRow::OtherType(shortened(&kind)));
        }
        let (imdb, tmdb) = (value(Role::ImdbId)?, value(Role::TmdbId)?);
        let address = Some(value(Role::Address)?).filter(|address| is_address(address));
        let imdb_id = match imdb.as_str() {
            text if is_missing(text) => address.as_deref().and_then(whole_imdb_id),
            text => {
                Some(whole_imdb_id(text).ok_or_else(|| invalid(Role::ImdbId, text, "an IMDb id such as tt0133093"))?)
            }
        };
        let tmdb_id = match tmdb.as_str() {
            text if is_missing(text) => address.as_deref().and_then(tmdb_id),
            text => Some(tmdb_id(text).ok_or_else(|| invalid(Role::TmdbId, text, "a TMDb id such as 603"))?),
        };
        let position = match value(Role::Position)?.as_str() {
            text if is_missing(text) => None,
            text => Some(position(text).ok_or_else(|| invalid(Role::Position, text, "a whole number"))?),
        };
        let mut year = [Role::Year, Role::Date].into_iter().find_map(|role| value(role).ok().as_deref().and_then(year));
        let mut titles =
            [value(Role::Title)?, value(Role::OriginalTitle)?].map(|title| without_entities(&title)).to_vec();
        for title in &mut titles {
            // The year stands behind the title, too, or only there.
            if let Some((name, behind)) =
                title_and_year(title).filter(|(_, behind)| year.is_none_or(|year| year == *behind))
            {
                (year, *title) = (Some(behind), name.to_owned());
            }
        }
        titles.retain(|title| !title.is_empty());
        titles.dedup();
        let edition = Some(value(Role::Edition)?).filter(|edition| !edition.is_empty());
        let is_empty = titles.is_empty() && imdb_id.is_none() && tmdb_id.is_none();
        let unread = is_empty.then(|| address.unwrap_or_else(|| shortened(&record.join(" "))));
        let row = Row { line, position, tmdb_id, imdb_id, titles, year, edition, unread };
        Ok(ReadRow::Movie { row, list_key: Some(value(Role::ListKey)?).filter(|key| !key.is_empty()) })
    }
}

/// A record, read.
pub(crate) enum ReadRow {
    Movie {
        row: Row,
        /// The list that the row belongs to, if the file says so.
        list_key: Option<String>,
    },
    /// A row about something that is no movie: its type.
    OtherType(String),
}

/// The name of a column in lower case, with spaces. Old exports of IMDb have lower-case names, and programs write
/// `imdb_id`, `imdb-id` or `IMDb ID`.
fn simplified(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}

/// Whether a title of this type is no movie. The types of IMDb and Trakt have different spellings in different years
/// (`tvSeries`, `TV Series`, `Mini-Series`); what is not known here may be a movie, and then matches one or none.
pub(crate) fn is_other_type(kind: &str) -> bool {
    const WORDS: [&str; 10] =
        ["tv", "show", "tvshow", "anime", "manga", "book", "game", "person", "people", "collection"];
    const PARTS: [&str; 6] = ["series", "episode", "season", "videogame", "podcast", "musicvideo"];
    let kind: String = kind.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    WORDS.contains(&kind.as_str()) || PARTS.iter().any(|part| kind.contains(part))
}

/// A position: `12`, `#12`, `12.`, or `12.0` as spreadsheets write it.
fn position(text: &str) -> Option<i32> {
    let text = text.strip_prefix('#').unwrap_or(text);
    [".0", ",0", "."].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text).parse().ok()
}

/// Year at the beginning or the end of a date or a range: `1999`, `1999.0`, `1999-03-31`, `3/31/1999`, `2011–2019`.
fn year(text: &str) -> Option<i32> {
    let is_year = |part: &&str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    parts.find(is_year)?.parse().ok().filter(|year| *year > 1800)
}
