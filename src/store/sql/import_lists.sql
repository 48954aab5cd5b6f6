WITH membership AS MATERIALIZED (
    SELECT DISTINCT m.id AS movie_id, s.list_key,
           jsonb_build_object('included', true, 'list_position', s.list_position)
               || CASE WHEN s.edition IS NULL THEN '{}' ELSE jsonb_build_object('edition', s.edition) END AS entry,
           CASE WHEN jsonb_typeof(m.canonical_sources) = 'object' THEN m.canonical_sources -> s.list_key END AS stored
    FROM staged_lists AS s
    JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
), changed AS (
    SELECT movie_id, jsonb_object_agg(list_key, entry) AS entries
    FROM membership
    WHERE stored IS DISTINCT FROM entry
    GROUP BY movie_id
), touched AS (
    -- Later for each state of a list, so that clients detect a change by others.
    UPDATE public.movie_lists
    SET updated_at = greatest($1, updated_at + interval '1 second')
    WHERE source_key IN (SELECT list_key FROM membership WHERE stored IS DISTINCT FROM entry)
), written AS (
    UPDATE public.movies AS m
    SET canonical_sources =
            CASE WHEN jsonb_typeof(m.canonical_sources) = 'object' THEN m.canonical_sources ELSE '{}' END || changed.entries,
        updated_at = $1
    FROM changed
    WHERE m.id = changed.movie_id
)
SELECT count(*) AS rows,
       count(*) FILTER (WHERE stored IS NULL) AS inserted,
       count(*) FILTER (WHERE stored <> entry) AS updated
FROM membership
