-- For each person of $1 the first $4 movies, each once, after the one with release date $2 and id $3, the latest first;
-- undated ones last. NULL as id: from the beginning.
SELECT asked.place AS "place!", movie.id AS "id!", movie.release_date AS released
FROM unnest($1::bigint[], $2::date[], $3::bigint[], $4::bigint[])
    WITH ORDINALITY AS asked (person_id, released, id, size, place)
CROSS JOIN LATERAL (
    SELECT m.id, m.release_date, coalesce(m.release_date, '-infinity') AS day
    FROM public.movies AS m
    WHERE m.id IN (SELECT c.movie_id FROM public.movie_credits AS c WHERE c.person_id = asked.person_id)
      AND (asked.id IS NULL
           OR (coalesce(m.release_date, '-infinity'), m.id) < (coalesce(asked.released, '-infinity'), asked.id))
    ORDER BY day DESC, m.id DESC
    LIMIT asked.size
) AS movie
ORDER BY asked.place, movie.day DESC, movie.id DESC
