//! Names of statements in metrics, spans, logs and errors.

use std::fmt;

use crate::telemetry::{Label as _, label};

label! {
    /// Name of a statement, or of several statements with the same use. Every name has several metric series, so there
    /// must be few; a test allows the present number, 33.
    QueryName {
        ColumnsFromTable = "columns_from_table",
        // Columns of a decade, computed from the base tables (direct query).
        ColumnsFromView = "columns_from_view",
        CountriesOfMovies = "countries_of_movies",
        CreditsOfMovies = "credits_of_movies",
        DataVersions = "data_versions",
        DecadesWithMovies = "decades_with_movies",
        FestivalEntriesOfMovies = "festival_entries_of_movies",
        GenresOfMovies = "genres_of_movies",
        // Whether the servers respond, and the lag of the replica.
        HealthCheck = "health_check",
        // Migrations, ownership and origin of the catalogue.
        Installation = "installation",
        Invalidation = "invalidation",
        Lists = "lists",
        LiveScores = "live_scores",
        MetricsOfMovies = "metrics_of_movies",
        MovieId = "movie_id",
        MoviesById = "movies_by_id",
        MoviesByTitle = "movies_by_title",
        OriginalQuery = "original_query",
        PeopleById = "people_by_id",
        // What ranks movies: weight profiles, and learned rankings with their codes.
        Profiles = "profiles",
        QualitiesOfPeople = "qualities_of_people",
        Reference = "reference",
        // A request to recompute movies: which of them exist, and their queue entries.
        RequestScores = "request_scores",
        ScoreTable = "score_table",
        Snapshot = "snapshot",
        SnapshotColumns = "snapshot_columns",
        TaskPersonQuality = "task_person_quality",
        // Inputs of the scores of a decade, for exports and proofs, and of learned rankings.
        TaskScoreInputs = "task_score_inputs",
        TaskScores = "task_scores",
        // Setting up a database: migrations, imports, and generated catalogues.
        TaskSetup = "task_setup",
        // Taking the snapshot, and storing learned rankings.
        TaskSnapshot = "task_snapshot",
        // State of background work: the queue of movies, the jobs and their last successes, and the size of a refresh.
        TaskStatus = "task_status",
        UnhittableMovies = "unhittable_movies",
    }
}

impl QueryName {
    /// Whether only background work and commands run the statement, not requests.
    pub(super) fn is_background(self) -> bool {
        self.as_str().starts_with("task_")
    }
}

impl fmt::Display for QueryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_no_more_than_metrics_allow() {
        let distinct: HashSet<_> = QueryName::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(distinct.len(), QueryName::ALL.len());
        assert!(distinct.len() <= 33, "{} names: let statements of the same use share one", distinct.len());
    }
}
