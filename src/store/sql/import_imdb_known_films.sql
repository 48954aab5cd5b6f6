-- An id below 0 was made of IMDb's number, so no other source has mapped the film.
SELECT DISTINCT ON (number) number AS "number!", tmdb_id,
       EXISTS (SELECT FROM public.movie_credits AS c
               WHERE c.movie_id = m.id AND c.credit_id NOT LIKE 'imdb-tt%') AS "has_credits!"
FROM (SELECT id, tmdb_id, substr(imdb_id, 3)::integer AS number
      FROM public.movies
      WHERE tmdb_id > 0 AND imdb_id ~ '^tt[0-9]{1,9}$') AS m
ORDER BY number, tmdb_id
