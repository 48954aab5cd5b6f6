WITH metric AS MATERIALIZED (
    SELECT m.id AS movie_id, s.source, s.metric_type, s.value, min(s.line) AS line
    FROM staged_metrics AS s
    JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
    GROUP BY m.id, s.source, s.metric_type, s.value
), merged AS (
    INSERT INTO public.external_metrics AS stored
        (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
    SELECT movie_id, source, metric_type, value, $1, $1, $1
    FROM metric
    ORDER BY line
    ON CONFLICT (movie_id, source, metric_type) DO UPDATE
        SET value = excluded.value, fetched_at = excluded.fetched_at, updated_at = excluded.updated_at
        WHERE stored.value IS DISTINCT FROM excluded.value
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM metric) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
