-- Of the movies $1, removes what is stored of those that are gone, and stores what the movies $2 are searched by.
WITH gone AS (
    DELETE FROM cinegraph.folded_titles AS f
    WHERE f.movie_id = ANY ($1) AND NOT EXISTS (SELECT FROM public.movies AS m WHERE m.id = f.movie_id)
)
INSERT INTO cinegraph.folded_titles AS f
    (movie_id, title, keyed, original, folded, bare, bare_original, words, popularity, released)
SELECT movie_id, title, title, original, folded, bare, bare_original, words, popularity, released
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::smallint[],
            $10::date[])
    AS now (movie_id, title, original, folded, bare, bare_original, words, popularity, released)
ON CONFLICT (movie_id) DO UPDATE
    SET title = excluded.title,
        keyed = excluded.keyed,
        original = excluded.original,
        folded = excluded.folded,
        bare = excluded.bare,
        bare_original = excluded.bare_original,
        words = excluded.words,
        popularity = excluded.popularity,
        released = excluded.released
