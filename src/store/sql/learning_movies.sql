-- All fully imported movies with a release date: their numbers, genres, awards by category, and lists with positions.
WITH metric AS (
    SELECT movie_id,
           max(value) FILTER (WHERE source = 'imdb' AND metric_type = 'rating_average') AS imdb_rating,
           max(value) FILTER (WHERE source = 'imdb' AND metric_type = 'rating_votes') AS imdb_votes,
           max(value) FILTER (WHERE source = 'tmdb' AND metric_type = 'rating_average') AS tmdb_rating,
           -- Some databases hold a count of reviews under this name, and one of user lists as the popularity.
           max(value) FILTER (WHERE source = 'tmdb' AND metric_type = 'rating_votes'
                                AND metadata ->> 'type' IS DISTINCT FROM 'user_reviews') AS tmdb_votes,
           max(value) FILTER (WHERE source = 'tmdb' AND metric_type = 'popularity_score'
                                AND metadata ->> 'type' IS DISTINCT FROM 'list_appearances') AS popularity,
           max(value) FILTER (WHERE source = 'metacritic' AND metric_type = 'metascore') AS metascore,
           max(value) FILTER (WHERE source = 'rotten_tomatoes' AND metric_type = 'tomatometer') AS tomatometer,
           max(value) FILTER (WHERE source = 'tmdb' AND metric_type = 'budget') AS budget,
           max(value) FILTER (WHERE source = 'tmdb' AND metric_type = 'revenue_worldwide') AS revenue,
           max(fetched_at) FILTER (WHERE source = 'imdb' AND isfinite(fetched_at)) AS imdb_at,
           max(fetched_at) FILTER (WHERE source = 'tmdb' AND isfinite(fetched_at)) AS tmdb_at,
           max(fetched_at) FILTER (WHERE source = 'metacritic' AND isfinite(fetched_at)) AS metacritic_at,
           max(fetched_at) FILTER (WHERE source = 'rotten_tomatoes' AND isfinite(fetched_at)) AS rotten_tomatoes_at
    FROM public.external_metrics
    GROUP BY movie_id
), category AS (
    SELECT movie_id, category_id, count(*)::integer AS nominations, (count(*) FILTER (WHERE won))::integer AS wins
    FROM public.festival_nominations
    GROUP BY movie_id, category_id
), award AS (
    SELECT movie_id,
           array_agg(category_id ORDER BY category_id) AS categories,
           array_agg(nominations ORDER BY category_id) AS nominations,
           array_agg(wins ORDER BY category_id) AS wins
    FROM category
    GROUP BY movie_id
), genre AS (
    SELECT mg.movie_id, array_agg(g.name::text) AS names
    FROM public.movie_genres AS mg
    JOIN public.genres AS g ON g.id = mg.genre_id
    GROUP BY mg.movie_id
)
SELECT m.id,
       extract(year FROM m.release_date)::integer AS "year!",
       m.original_language AS language,
       metric.imdb_rating, metric.imdb_votes, metric.tmdb_rating, metric.tmdb_votes,
       coalesce(metric.popularity, cinegraph.json_number(m.tmdb_data -> 'popularity')) AS popularity,
       metric.metascore, metric.tomatometer, metric.budget, metric.revenue,
       extract(epoch FROM now() AT TIME ZONE 'UTC' - metric.imdb_at)::double precision / 86400 AS imdb_age,
       extract(epoch FROM now() AT TIME ZONE 'UTC' - metric.tmdb_at)::double precision / 86400 AS tmdb_age,
       extract(epoch FROM now() AT TIME ZONE 'UTC' - metric.metacritic_at)::double precision / 86400 AS metacritic_age,
       extract(epoch FROM now() AT TIME ZONE 'UTC' - metric.rotten_tomatoes_at)::double precision / 86400
           AS rotten_tomatoes_age,
       award.categories AS "categories?", award.nominations AS "nominations?", award.wins AS "wins?",
       genre.names AS "genres?",
       list.keys AS "list_keys!", list.positions AS "list_positions!: Vec<Option<i32>>"
FROM public.movies AS m
LEFT JOIN metric ON metric.movie_id = m.id
LEFT JOIN award ON award.movie_id = m.id
LEFT JOIN genre ON genre.movie_id = m.id
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(key), '{}') AS keys,
           coalesce(array_agg(CASE WHEN (m.canonical_sources -> key ->> 'list_position') ~ '^[0-9]{1,9}$'
                                   THEN (m.canonical_sources -> key ->> 'list_position')::integer END), '{}') AS positions
    FROM unnest(cinegraph.list_keys(m.canonical_sources)) AS key
) AS list
WHERE m.import_status = 'full' AND m.release_date IS NOT NULL
ORDER BY m.id
