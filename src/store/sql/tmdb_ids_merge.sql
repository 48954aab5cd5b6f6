-- $1 is the time of the import, $2 that of the export. A movie counts once: as new if it had no popularity.
WITH known AS MATERIALIZED (
    SELECT m.id AS movie_id, staged.line, staged.adult, staged.popularity
    FROM staged_tmdb_ids AS staged
    JOIN public.movies AS m ON m.tmdb_id = staged.tmdb_id
), flagged AS (
    UPDATE public.movies AS m
    SET adult = known.adult, updated_at = $1
    FROM known
    WHERE m.id = known.movie_id AND m.adult IS DISTINCT FROM known.adult
    RETURNING m.id AS movie_id
), merged AS (
    INSERT INTO public.external_metrics AS stored
        (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
    SELECT movie_id, 'tmdb', 'popularity_score', popularity, $2, $1, $1
    FROM known
    ORDER BY line
    ON CONFLICT (movie_id, source, metric_type) DO UPDATE
        SET value = excluded.value, fetched_at = excluded.fetched_at, updated_at = excluded.updated_at
        WHERE stored.value IS DISTINCT FROM excluded.value
    RETURNING movie_id, stored.xmax = 0 AS is_new
), movie AS (
    SELECT bool_or(is_new) AS is_new
    FROM (SELECT movie_id, is_new FROM merged UNION ALL SELECT movie_id, false FROM flagged) AS change
    GROUP BY movie_id
)
SELECT (SELECT count(*) FROM known) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM movie
