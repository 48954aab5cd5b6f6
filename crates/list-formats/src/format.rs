//! Kinds of files.

use std::fmt;

/// Kind of a file, as recognised by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A list or a watchlist of IMDb.
    ImdbList,
    /// Ratings of IMDb.
    ImdbRatings,
    /// A list of Letterboxd, of any version.
    LetterboxdList,
    /// The watched movies, the watchlist or the liked movies of Letterboxd.
    LetterboxdFilms,
    /// Ratings of Letterboxd.
    LetterboxdRatings,
    /// The diary or the reviews of Letterboxd.
    LetterboxdDiary,
    /// A CSV file of Trakt.
    TraktCsv,
    /// JSON of Trakt's API.
    TraktJson,
    /// One id, address or title with year a line.
    Plain,
    /// A CSV file with a column of ids, or with titles and years.
    Csv,
}

/// Origin of a file: what a caller can know without looking into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Family {
    Imdb,
    Letterboxd,
    Trakt,
    Plain,
    Csv,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 5] = [Self::Imdb, Self::Letterboxd, Self::Trakt, Self::Plain, Self::Csv];

    /// Name in arguments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imdb => "imdb",
            Self::Letterboxd => "letterboxd",
            Self::Trakt => "trakt",
            Self::Plain => "plain",
            Self::Csv => "csv",
        }
    }
}

impl Format {
    /// Origin of files of this kind.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::ImdbList | Self::ImdbRatings => Family::Imdb,
            Self::LetterboxdList | Self::LetterboxdFilms | Self::LetterboxdRatings | Self::LetterboxdDiary => {
                Family::Letterboxd
            }
            Self::TraktCsv | Self::TraktJson => Family::Trakt,
            Self::Plain => Family::Plain,
            Self::Csv => Family::Csv,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImdbList => "a list of IMDb",
            Self::ImdbRatings => "ratings of IMDb",
            Self::LetterboxdList => "a list of Letterboxd",
            Self::LetterboxdFilms => "watched movies, a watchlist or likes of Letterboxd",
            Self::LetterboxdRatings => "ratings of Letterboxd",
            Self::LetterboxdDiary => "a diary or reviews of Letterboxd",
            Self::TraktCsv => "a CSV file of Trakt",
            Self::TraktJson => "JSON of Trakt",
            Self::Plain => "a plain list of ids, addresses or titles",
            Self::Csv => "a CSV file",
        })
    }
}
