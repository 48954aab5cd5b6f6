//! Staging tables of an import, and the statements that fill and check each.

/// Staging tables, one per file. A dump of IMDb shares the table of the CSV file with the same content, or has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Staging {
    Movies,
    People,
    Metrics,
    Lists,
    Credits,
    Nominations,
    Genres,
    ImdbMovies,
    ImdbRatings,
    ImdbPeople,
    Links,
    TmdbIds,
}

impl Staging {
    pub(super) fn copy_statement(self) -> &'static str {
        match self {
            Self::Movies => "COPY staged_movies FROM STDIN",
            Self::People => "COPY staged_people FROM STDIN",
            Self::Metrics => "COPY staged_metrics FROM STDIN",
            Self::Lists => "COPY staged_lists FROM STDIN",
            Self::Credits => "COPY staged_credits FROM STDIN",
            Self::Nominations => "COPY staged_nominations FROM STDIN",
            Self::Genres => "COPY staged_genres FROM STDIN",
            Self::ImdbMovies => "COPY staged_imdb_films FROM STDIN",
            Self::ImdbRatings => "COPY staged_imdb_ratings FROM STDIN",
            Self::ImdbPeople => "COPY staged_imdb_people FROM STDIN",
            Self::Links => "COPY staged_links (line, imdb_id, tmdb_id) FROM STDIN",
            Self::TmdbIds => "COPY staged_tmdb_ids FROM STDIN",
        }
    }

    pub(super) fn analyze_statement(self) -> &'static str {
        match self {
            Self::Movies => "ANALYZE staged_movies",
            Self::People => "ANALYZE staged_people",
            Self::Metrics => "ANALYZE staged_metrics",
            Self::Lists => "ANALYZE staged_lists",
            Self::Credits => "ANALYZE staged_credits",
            Self::Nominations => "ANALYZE staged_nominations",
            Self::Genres => "ANALYZE staged_genres",
            Self::ImdbMovies => "ANALYZE staged_imdb_films",
            Self::ImdbRatings => "ANALYZE staged_imdb_ratings",
            Self::ImdbPeople => "ANALYZE staged_imdb_people",
            Self::Links => "ANALYZE staged_links",
            Self::TmdbIds => "ANALYZE staged_tmdb_ids",
        }
    }

    /// Statement that finds the first row that repeats or contradicts an earlier one. `None` for tables that need none:
    /// repeated ids of people are rejected when the file is read, equal nominations are merged, the genres of a movie
    /// are combined, and links that contradict each other are reported. The statement for movies looks only for
    /// repeated `imdb_id`s, because repeated `tmdb_id`s, too, are rejected when the file is read.
    pub(super) fn repeat_statement(self) -> Option<&'static str> {
        match self {
            Self::Movies => Some(include_str!("sql/import_repeated_imdb_id.sql")),
            Self::Metrics => Some(include_str!("sql/import_contradicting_metric.sql")),
            Self::Lists => Some(include_str!("sql/import_contradicting_list.sql")),
            Self::Credits => Some(include_str!("sql/import_repeated_credit_id.sql")),
            Self::ImdbMovies => Some(include_str!("sql/import_imdb_repeated_films.sql")),
            Self::ImdbRatings => Some(include_str!("sql/import_imdb_repeated_ratings.sql")),
            Self::ImdbPeople => Some(include_str!("sql/import_imdb_repeated_people.sql")),
            Self::TmdbIds => Some(include_str!("sql/tmdb_ids_repeated.sql")),
            Self::People | Self::Nominations | Self::Genres | Self::Links => None,
        }
    }

    /// Statement that counts the rows that replace values of a later time, or remove values. `None` for tables without
    /// such values, and for movies, which are compared one by one.
    pub(super) fn comparison_statement(self) -> Option<&'static str> {
        match self {
            Self::Metrics => Some(include_str!("sql/import_older_metrics.sql")),
            Self::Lists => Some(include_str!("sql/import_emptied_lists.sql")),
            Self::Credits => Some(include_str!("sql/import_emptied_credits.sql")),
            Self::TmdbIds => Some(include_str!("sql/tmdb_ids_older.sql")),
            _ => None,
        }
    }
}
