-- The first $4 movies after ($2, $3) whose folded title matches the pattern $1; and the title of each movie that waits to be
-- folded, for the caller to fold.
(SELECT f.folded AS "folded?", NULL::text AS "title?", f.movie_id AS "id!"
 FROM cinegraph.folded_titles AS f
 JOIN public.movies AS m ON m.id = f.movie_id AND m.title = f.title
 WHERE f.folded LIKE $1 AND ($2::text IS NULL OR (f.folded, f.movie_id) > ($2, $3::bigint))
 ORDER BY f.folded, f.movie_id
 LIMIT $4)
UNION ALL
-- OFFSET 0 keeps the planner from joining the whole table: it expects an empty queue to have a thousand rows.
SELECT NULL, m.title, m.id
FROM (SELECT DISTINCT movie_id FROM cinegraph.title_queue WHERE movie_id IS NOT NULL) AS queued
CROSS JOIN LATERAL (SELECT title, id FROM public.movies WHERE id = queued.movie_id OFFSET 0) AS m
UNION ALL
-- EXISTS is evaluated once: without an entry that stands for all movies, the table is not read.
SELECT NULL, m.title, m.id FROM public.movies AS m
WHERE EXISTS (SELECT FROM cinegraph.title_queue WHERE movie_id IS NULL)
  AND m.id > (SELECT min(coalesce(done_id, -9223372036854775808)) FROM cinegraph.title_queue WHERE movie_id IS NULL)
