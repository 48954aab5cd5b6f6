-- $1: the time of the export.
SELECT count(*) AS count, min(s.line) AS line,
       (array_agg(format('movie %s of %s over %s', s.tmdb_id, $1, own.fetched_at) ORDER BY s.line))[1] AS value
FROM staged_tmdb_ids AS s
JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
JOIN public.external_metrics AS own
    ON (own.movie_id, own.source, own.metric_type) = (m.id, 'tmdb', 'popularity_score')
-- A value without a time has that of its import, which is later than that of its source.
WHERE $1 < own.fetched_at - interval '7 days' AND own.value <> s.popularity
HAVING count(*) > 0
