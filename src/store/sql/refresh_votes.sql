-- Stores the votes that have changed: IMDb's, or TMDb's of a movie that has none of IMDb.
WITH counted AS MATERIALIZED (
    SELECT movie_id,
           coalesce(
               max(value) FILTER (WHERE source = 'imdb'),
               -- Some databases hold a count of reviews under this name.
               max(value) FILTER (WHERE source = 'tmdb' AND metadata ->> 'type' IS DISTINCT FROM 'user_reviews')
           ) AS votes
    FROM public.external_metrics
    WHERE source IN ('imdb', 'tmdb') AND metric_type = 'rating_votes' AND value > 0 AND value < 'Infinity'
    GROUP BY movie_id
), removed AS (
    DELETE FROM cinegraph.movie_votes AS v
    WHERE NOT EXISTS (SELECT FROM counted WHERE counted.movie_id = v.movie_id AND counted.votes IS NOT NULL)
)
INSERT INTO cinegraph.movie_votes AS v (movie_id, votes)
SELECT movie_id, votes FROM counted WHERE votes IS NOT NULL
ON CONFLICT (movie_id) DO UPDATE SET votes = excluded.votes WHERE v.votes <> excluded.votes
