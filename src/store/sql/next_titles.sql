-- The next $2 ids after $1 of movies, and of folded titles whose movie is gone.
(SELECT id AS "id!" FROM public.movies WHERE id > $1 ORDER BY id LIMIT $2)
UNION
(SELECT movie_id FROM cinegraph.folded_titles WHERE movie_id > $1 ORDER BY movie_id LIMIT $2)
ORDER BY 1
LIMIT $2
