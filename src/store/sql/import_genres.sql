-- The time, $1, has no column here.
WITH pair AS MATERIALIZED (
    SELECT m.id AS movie_id, g.genre_id, min(s.line) AS line
    FROM staged_genres AS s
    JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
    JOIN staged_genre_ids AS g ON g.genre = s.genre
    GROUP BY m.id, g.genre_id
), added AS (
    INSERT INTO public.movie_genres (movie_id, genre_id)
    SELECT movie_id, genre_id FROM pair ORDER BY line
    ON CONFLICT (movie_id, genre_id) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM pair) AS rows, count(*) AS inserted, 0::bigint AS updated FROM added
