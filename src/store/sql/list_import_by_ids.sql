-- Movies by TMDb ids ($1) or IMDb ids ($2). In the order of their ids, so that candidates are always listed alike.
SELECT id AS "id!", nullif(greatest(tmdb_id, 0), 0) AS tmdb_id, imdb_id, title AS "title!",
       extract(year FROM release_date)::integer AS year, NULL::text AS folded
FROM public.movies
WHERE tmdb_id = ANY ($1) OR imdb_id = ANY ($2)
ORDER BY id
