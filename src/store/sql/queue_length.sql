-- How many films wait for new scores, and since when.
SELECT CASE WHEN EXISTS (SELECT FROM cinegraph.score_refresh_queue WHERE movie_id IS NULL)
            THEN greatest((SELECT reltuples::bigint FROM pg_class WHERE oid = 'public.movies'::regclass), 1)
            ELSE (SELECT count(DISTINCT movie_id) FROM cinegraph.score_refresh_queue) END AS "films!",
       (SELECT min(enqueued_at) FROM cinegraph.score_refresh_queue) AS oldest
