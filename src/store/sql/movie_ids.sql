-- Movies by the TMDb ids $1, then by the IMDb ids $2, in their order; NULL for an id that no movie has. Negative TMDb ids are
-- our own, of movies without one; an empty IMDb id is none.
SELECT found.id
FROM (
    SELECT 1 AS part, given.place,
           coalesce((SELECT m.id FROM public.movies AS m WHERE m.tmdb_id = given.tmdb_id AND given.tmdb_id > 0),
                    (SELECT m.id FROM cinegraph.former_tmdb_ids AS f JOIN public.movies AS m ON m.id = f.movie_id
                     WHERE f.tmdb_id = given.tmdb_id)) AS id
    FROM unnest($1::integer[]) WITH ORDINALITY AS given (tmdb_id, place)
    UNION ALL
    SELECT 2, given.place, (SELECT min(m.id) FROM public.movies AS m WHERE m.imdb_id = given.imdb_id AND given.imdb_id <> '')
    FROM unnest($2::text[]) WITH ORDINALITY AS given (imdb_id, place)
) AS found
ORDER BY found.part, found.place
