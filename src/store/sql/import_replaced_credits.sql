-- Credits of IMDb's dumps give way to others of the same film: people of different sources cannot be told to be one, so
-- both together would count everybody twice. The time, $1, has no column here.
DELETE FROM public.movie_credits AS c
USING (SELECT DISTINCT movie_tmdb_id FROM staged_credits WHERE credit_id NOT LIKE 'imdb-tt%') AS s
JOIN public.movies AS m ON m.tmdb_id = s.movie_tmdb_id
WHERE c.movie_id = m.id AND c.credit_id LIKE 'imdb-tt%'
