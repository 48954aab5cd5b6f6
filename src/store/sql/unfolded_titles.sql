-- Of the movies $1, those for which something else is stored than what they are searched by now.
SELECT m.id AS "id!", m.title AS "title!", m.original_title AS original, m.release_date AS released,
       now.popularity AS "popularity!"
FROM public.movies AS m
CROSS JOIN LATERAL (
    -- Steps of 19 %, of IMDb's votes, or TMDb's of a movie that has none of IMDb.
    SELECT coalesce(round(4 * ln(1 + coalesce(max(value) FILTER (WHERE source = 'imdb'), max(value))) / ln(2)), 0)::smallint
           AS popularity
    FROM public.external_metrics AS e
    WHERE e.movie_id = m.id AND e.source IN ('imdb', 'tmdb') AND e.metric_type = 'rating_votes'
      AND e.value > 0 AND e.value < 1e15
) AS now
LEFT JOIN cinegraph.folded_titles AS f ON f.movie_id = m.id
WHERE m.id = ANY ($1)
  AND (f.title, f.keyed, f.original, f.released, f.popularity)
      IS DISTINCT FROM (m.title, m.title, m.original_title, m.release_date, now.popularity)
