-- Of the movies $1, removes the folded titles of those that are gone, and stores those of the movies $2: titles $3, folded $4.
WITH gone AS (
    DELETE FROM cinegraph.folded_titles AS f
    WHERE f.movie_id = ANY ($1) AND NOT EXISTS (SELECT FROM public.movies AS m WHERE m.id = f.movie_id)
)
INSERT INTO cinegraph.folded_titles (movie_id, title, folded)
SELECT * FROM unnest($2::bigint[], $3::text[], $4::text[])
ON CONFLICT (movie_id) DO UPDATE SET title = excluded.title, folded = excluded.folded
