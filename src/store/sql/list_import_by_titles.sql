-- Movies whose folded title is among $1; and the movies whose title waits to be folded, for the caller to fold.
SELECT m.id AS "id!", nullif(greatest(m.tmdb_id, 0), 0) AS tmdb_id, m.imdb_id, m.title AS "title!",
       extract(year FROM m.release_date)::integer AS year, f.folded AS "folded?"
FROM cinegraph.folded_titles AS f
JOIN public.movies AS m ON m.id = f.movie_id AND m.title = f.title
WHERE f.folded = ANY ($1)
UNION ALL
-- OFFSET 0 keeps the planner from joining the whole table: it expects an empty queue to have a thousand rows.
SELECT m.id, nullif(greatest(m.tmdb_id, 0), 0), m.imdb_id, m.title, extract(year FROM m.release_date)::integer, NULL
FROM (SELECT DISTINCT movie_id FROM cinegraph.title_queue WHERE movie_id IS NOT NULL) AS queued
CROSS JOIN LATERAL (SELECT * FROM public.movies WHERE id = queued.movie_id OFFSET 0) AS m
UNION ALL
-- EXISTS is evaluated once: without an entry that stands for all movies, the table is not read.
SELECT m.id, nullif(greatest(m.tmdb_id, 0), 0), m.imdb_id, m.title, extract(year FROM m.release_date)::integer, NULL
FROM public.movies AS m
WHERE EXISTS (SELECT FROM cinegraph.title_queue WHERE movie_id IS NULL)
  AND m.id > (SELECT min(coalesce(done_id, -9223372036854775808)) FROM cinegraph.title_queue WHERE movie_id IS NULL)
