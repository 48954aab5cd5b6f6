-- Movies by TMDb ids ($1) or IMDb ids ($2); by a former TMDb id as well, which then stands in the place of the movie's. In
-- the order of their ids, so that candidates are always listed alike.
SELECT id AS "id!", nullif(greatest(tmdb_id, 0), 0) AS tmdb_id, imdb_id, title AS "title!",
       extract(year FROM release_date)::integer AS year, NULL::text AS folded
FROM public.movies
WHERE tmdb_id = ANY ($1) OR imdb_id = ANY ($2)
UNION ALL
SELECT m.id, former.tmdb_id, m.imdb_id, m.title, extract(year FROM m.release_date)::integer, NULL
FROM cinegraph.former_tmdb_ids AS former
JOIN public.movies AS m ON m.id = former.movie_id
WHERE former.tmdb_id = ANY ($1) AND NOT EXISTS (SELECT FROM public.movies WHERE tmdb_id = former.tmdb_id)
ORDER BY 1
