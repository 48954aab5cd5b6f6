-- Jumps from decade to decade along the index of release dates, instead of reading every film.
WITH RECURSIVE film AS (
    (SELECT release_date FROM public.movies WHERE release_date >= '1000-01-01' ORDER BY release_date LIMIT 1)
    UNION ALL
    SELECT (SELECT m.release_date FROM public.movies AS m
            WHERE m.release_date >= make_date(cinegraph.decade(film.release_date) + 10, 1, 1)
            ORDER BY m.release_date LIMIT 1)
    FROM film
    WHERE film.release_date IS NOT NULL
)
SELECT cinegraph.decade(release_date) AS "decade!" FROM film WHERE release_date < $1
