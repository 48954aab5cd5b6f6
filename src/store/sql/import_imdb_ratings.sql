-- Two metrics of each film that is there. A film counts once: as new if one of them is.
WITH rating AS MATERIALIZED (
    SELECT m.id AS movie_id, s.line, s.average, s.votes
    FROM staged_imdb_ratings AS s
    JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
), merged AS (
    INSERT INTO public.external_metrics AS stored
        (movie_id, source, metric_type, value, fetched_at, inserted_at, updated_at)
    SELECT movie_id, 'imdb', metric.type, metric.value, $1, $1, $1
    FROM rating, LATERAL (VALUES ('rating_average', average), ('rating_votes', votes)) AS metric (type, value)
    ORDER BY line, metric.type
    ON CONFLICT (movie_id, source, metric_type) DO UPDATE
        SET value = excluded.value, fetched_at = excluded.fetched_at, updated_at = excluded.updated_at
        WHERE stored.value IS DISTINCT FROM excluded.value
    RETURNING movie_id, stored.xmax = 0 AS is_new
), film AS (
    SELECT bool_or(is_new) AS is_new FROM merged GROUP BY movie_id
)
SELECT (SELECT count(*) FROM rating) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM film
