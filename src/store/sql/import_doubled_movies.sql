-- Films that IMDb's dumps brought although they were there, which only now is known: the one with TMDb's id stays, with
-- those of the metrics that it lacks. The time, $1, has no column here.
WITH doubled AS MATERIALIZED (
    SELECT old.id AS old_id, kept.id AS kept_id
    FROM staged_movies AS s
    JOIN public.movies AS kept ON kept.tmdb_id = s.tmdb_id
    JOIN public.movies AS old ON old.imdb_id = s.imdb_id AND old.tmdb_id < 0
    WHERE s.tmdb_id > 0
), moved AS (
    UPDATE public.external_metrics AS e
    SET movie_id = doubled.kept_id
    FROM doubled
    WHERE e.movie_id = doubled.old_id
      AND NOT EXISTS (SELECT FROM public.external_metrics AS other
                      WHERE other.movie_id = doubled.kept_id
                        AND (other.source, other.metric_type) = (e.source, e.metric_type))
)
DELETE FROM public.movies AS m USING doubled WHERE m.id = doubled.old_id
