SELECT lower(title) COLLATE "C" AS "title!", id
FROM public.movies
WHERE title ILIKE $1
  AND ($2::text IS NULL OR (lower(title) COLLATE "C", id) > ($2, $3::bigint))
ORDER BY 1, 2
LIMIT $4
