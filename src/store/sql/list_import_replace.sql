-- Makes the movies $2, with the positions $3 and the editions $4, those of the list $1. Returns the movies that changed.
WITH given AS (
    SELECT movie_id,
           jsonb_build_object('included', true, 'list_position', list_position)
               || CASE WHEN edition IS NULL THEN '{}' ELSE jsonb_build_object('edition', edition) END AS entry
    FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS given (movie_id, list_position, edition)
), stored AS (
    SELECT id AS movie_id, canonical_sources -> $1::text AS entry FROM public.movies WHERE canonical_sources ? $1::text
), changed AS (
    SELECT movie_id, given.entry, stored.movie_id IS NULL AS is_added
    FROM given FULL JOIN stored USING (movie_id)
    WHERE given.entry IS DISTINCT FROM stored.entry
)
UPDATE public.movies AS m
SET canonical_sources = CASE
        WHEN changed.entry IS NULL THEN m.canonical_sources - $1::text
        WHEN jsonb_typeof(m.canonical_sources) = 'object' THEN m.canonical_sources || jsonb_build_object($1::text, changed.entry)
        ELSE jsonb_build_object($1::text, changed.entry)
    END,
    updated_at = $5
FROM changed
WHERE m.id = changed.movie_id
RETURNING m.title AS "title!", extract(year FROM m.release_date)::integer AS year,
          changed.entry IS NULL AS "is_removed!", changed.is_added AS "is_added!"
