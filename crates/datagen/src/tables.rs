//! The tables that a generated catalogue fills, and their columns.

/// A table that a generated catalogue fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Genres, with TMDb's ids.
    Genres,
    /// Production countries.
    ProductionCountries,
    /// Names of the canonical lists.
    MovieLists,
    /// Directors and actors.
    People,
    /// Movies.
    Movies,
    /// Ratings, votes, popularity and money.
    ExternalMetrics,
    /// Directors and cast.
    MovieCredits,
    /// Genres of movies.
    MovieGenres,
    /// Production countries of movies.
    MovieProductionCountries,
    /// Organizations that give awards.
    FestivalOrganizations,
    /// Award categories.
    FestivalCategories,
    /// Award ceremonies.
    FestivalCeremonies,
    /// Nominations.
    FestivalNominations,
}

impl Table {
    /// All tables, in an order in which each one references only earlier ones.
    pub const ALL: [Self; 13] = [
        Self::Genres,
        Self::ProductionCountries,
        Self::MovieLists,
        Self::People,
        Self::Movies,
        Self::ExternalMetrics,
        Self::MovieCredits,
        Self::MovieGenres,
        Self::MovieProductionCountries,
        Self::FestivalOrganizations,
        Self::FestivalCategories,
        Self::FestivalCeremonies,
        Self::FestivalNominations,
    ];

    /// Name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genres => "genres",
            Self::ProductionCountries => "production_countries",
            Self::MovieLists => "movie_lists",
            Self::People => "people",
            Self::Movies => "movies",
            Self::ExternalMetrics => "external_metrics",
            Self::MovieCredits => "movie_credits",
            Self::MovieGenres => "movie_genres",
            Self::MovieProductionCountries => "movie_production_countries",
            Self::FestivalOrganizations => "festival_organizations",
            Self::FestivalCategories => "festival_categories",
            Self::FestivalCeremonies => "festival_ceremonies",
            Self::FestivalNominations => "festival_nominations",
        }
    }

    /// Columns of its rows, separated by commas.
    #[must_use]
    pub fn columns(self) -> String {
        let mut columns = self.value_columns().to_owned();
        for timestamp_column in self.timestamp_columns() {
            columns.push_str(", ");
            columns.push_str(timestamp_column);
        }
        columns
    }

    /// The columns whose values [`CopyRows::push`](super::CopyRows) takes, in its order.
    fn value_columns(self) -> &'static str {
        match self {
            Self::Genres => "id, tmdb_id, name",
            Self::ProductionCountries => "id, iso_3166_1, name",
            Self::MovieLists => "id, source_key, name, source_type, source_url, category, last_movie_count",
            Self::People => "id, tmdb_id, name, known_for_department",
            Self::Movies => {
                "id, tmdb_id, imdb_id, title, status, original_language, release_date, runtime, origin_country, \
                 import_status, canonical_sources"
            }
            Self::ExternalMetrics => "id, movie_id, source, metric_type, value",
            Self::MovieCredits => "id, movie_id, person_id, credit_id, credit_type, department, job, cast_order",
            Self::MovieGenres => "movie_id, genre_id",
            Self::MovieProductionCountries => "movie_id, production_country_id",
            Self::FestivalOrganizations => "id, name, abbreviation, country, founded_year",
            Self::FestivalCategories => "id, organization_id, name, tracks_person, category_type",
            Self::FestivalCeremonies => "id, organization_id, year, name, data_source",
            Self::FestivalNominations => "id, ceremony_id, category_id, movie_id, person_id, won, details",
        }
    }

    /// The columns that [`CopyRows::push`](super::CopyRows) fills with a constant. They have no default in the database.
    pub(crate) fn timestamp_columns(self) -> &'static [&'static str] {
        match self {
            Self::MovieGenres | Self::MovieProductionCountries => &[],
            Self::ExternalMetrics => &["fetched_at", "inserted_at", "updated_at"],
            _ => &["inserted_at", "updated_at"],
        }
    }
}
