-- Each row has its own time, not $1.
SELECT count(*) AS count, min(line) AS line,
       (array_agg(format('%s %s of %s over %s', source, metric_type, given, stored) ORDER BY line))[1] AS value
FROM (SELECT s.line, s.source, s.metric_type, coalesce(s.fetched_at, movie.fetched_at) AS given,
             own.fetched_at AS stored
      FROM staged_metrics AS s
      LEFT JOIN staged_movies AS movie ON movie.tmdb_id = s.tmdb_id
      JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
      JOIN public.external_metrics AS own
          ON (own.movie_id, own.source, own.metric_type) = (m.id, s.source, s.metric_type)) AS metric
-- A value without a time has that of its import, which is later than that of its source.
WHERE given < stored - interval '7 days'
HAVING count(*) > 0
