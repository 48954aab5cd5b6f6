-- What the original application indexes on the tables that its query reads, beyond what our migrations create there.
CREATE INDEX IF NOT EXISTS movies_import_status_index ON movies (import_status);
CREATE INDEX IF NOT EXISTS idx_movies_1001_movies ON movies ((canonical_sources ? '1001_movies'))
    WHERE canonical_sources ? '1001_movies';
CREATE INDEX IF NOT EXISTS idx_movies_2020s_prediction_candidates ON movies (release_date)
    WHERE NOT canonical_sources ? '1001_movies' AND release_date >= '2020-01-01';
CREATE INDEX IF NOT EXISTS idx_movies_2020s_predictions ON movies (release_date, import_status)
    WHERE import_status = 'full' AND canonical_sources IS NULL;
CREATE INDEX IF NOT EXISTS idx_movies_by_decade ON movies ((floor(extract(year FROM release_date) / 10) * 10), import_status)
    WHERE release_date IS NOT NULL;
CREATE INDEX IF NOT EXISTS external_metrics_movie_id_index ON external_metrics (movie_id);
CREATE INDEX IF NOT EXISTS external_metrics_source_metric_type_index ON external_metrics (source, metric_type);
CREATE INDEX IF NOT EXISTS external_metrics_movie_id_source_metric_type_index
    ON external_metrics (movie_id, source, metric_type);
CREATE INDEX IF NOT EXISTS movie_credits_movie_id_index ON movie_credits (movie_id);
CREATE INDEX IF NOT EXISTS idx_movie_credits_person_quality ON movie_credits (movie_id, person_id, job);
CREATE INDEX IF NOT EXISTS movie_credits_person_movie_job_idx ON movie_credits (person_id, movie_id, job);
CREATE INDEX IF NOT EXISTS person_metrics_metric_type_index ON person_metrics (metric_type);
CREATE INDEX IF NOT EXISTS person_metrics_score_index ON person_metrics (score);
CREATE INDEX IF NOT EXISTS idx_person_quality_scores ON person_metrics (person_id, metric_type)
    WHERE metric_type = 'quality_score';
CREATE INDEX IF NOT EXISTS festival_nominations_movie_id_index ON festival_nominations (movie_id);
CREATE INDEX IF NOT EXISTS idx_festival_nominations_movie_scoring
    ON festival_nominations (movie_id, won, category_id);
