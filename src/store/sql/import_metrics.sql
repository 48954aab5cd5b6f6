-- A metric without a time has that of its movie. Without that too, it counts as new when its value changes.
WITH metric AS MATERIALIZED (
    SELECT m.id AS movie_id, s.source, s.metric_type, s.value, min(s.line) AS line,
           max(coalesce(s.fetched_at, movie.fetched_at)) AS fetched_at
    FROM staged_metrics AS s
    JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
    LEFT JOIN staged_movies AS movie ON movie.tmdb_id = s.tmdb_id
    GROUP BY m.id, s.source, s.metric_type, s.value
), merged AS (
    INSERT INTO public.external_metrics AS stored
        (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
    SELECT metric.movie_id, metric.source, metric.metric_type, metric.value,
           CASE WHEN metric.fetched_at IS NOT NULL THEN metric.fetched_at
                WHEN own.value = metric.value THEN own.fetched_at
                ELSE $1 END,
           $1, $1
    FROM metric
    LEFT JOIN public.external_metrics AS own
        ON (own.movie_id, own.source, own.metric_type) = (metric.movie_id, metric.source, metric.metric_type)
    ORDER BY line
    ON CONFLICT (movie_id, source, metric_type) DO UPDATE
        SET value = excluded.value, fetched_at = excluded.fetched_at, updated_at = excluded.updated_at
        WHERE (stored.value, stored.fetched_at) IS DISTINCT FROM (excluded.value, excluded.fetched_at)
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM metric) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
