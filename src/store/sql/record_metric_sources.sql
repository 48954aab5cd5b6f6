-- The sources of the metrics, for people: of many, the largest.
WITH counted AS MATERIALIZED (
    SELECT source, count(DISTINCT movie_id) AS movies, max(fetched_at) AT TIME ZONE 'UTC' AS newest
    FROM public.external_metrics
    GROUP BY source
    ORDER BY movies DESC, source
    LIMIT 20
), removed AS (
    DELETE FROM cinegraph.metric_sources AS m WHERE NOT EXISTS (SELECT FROM counted WHERE counted.source = m.source)
)
INSERT INTO cinegraph.metric_sources (source, movies, newest)
SELECT source, movies, newest FROM counted
ON CONFLICT (source) DO UPDATE SET movies = excluded.movies, newest = excluded.newest
