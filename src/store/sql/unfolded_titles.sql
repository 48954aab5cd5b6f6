-- Of the movies $1, those whose title is not the one that was folded.
SELECT m.id AS "id!", m.title AS "title!"
FROM public.movies AS m
LEFT JOIN cinegraph.folded_titles AS f ON f.movie_id = m.id
WHERE m.id = ANY ($1) AND f.title IS DISTINCT FROM m.title
