-- All lists by key. $1: keys of the target lists that the setting names. A list without a name, because only movies or the
-- target lists have it, is named by its key.
WITH named AS MATERIALIZED (
    SELECT list_key, name, updated_at FROM cinegraph.named_lists()
), counted AS MATERIALIZED (
    SELECT DISTINCT list_key FROM cinegraph.data_versions
    WHERE scope = 'list' AND list_key NOT IN (SELECT list_key FROM named)
), unnamed AS (
    -- The versions of a list stay when it is deleted, since versions must never decrease. In movie tables of our own, where
    -- lists are deleted, those count that have a movie. Counted and not EXISTS: for a list without movies, the planner would
    -- read all movies, because it expects to find one soon.
    SELECT list_key FROM counted
    WHERE NOT (SELECT owns_catalogue FROM cinegraph.installation)
       OR (SELECT count(*) FROM public.movies WHERE canonical_sources ? list_key) > 0
    UNION SELECT list_key FROM cinegraph.chosen_target_lists
    UNION SELECT unnest($1::text[])
), known AS (
    SELECT list_key, name, updated_at FROM named
    UNION ALL
    SELECT list_key, list_key, NULL FROM unnamed WHERE list_key NOT IN (SELECT list_key FROM named)
)
SELECT list_key AS "key!", name AS "name!", updated_at AS "updated_at?", target.is_target AS "is_target!",
       CASE WHEN target.is_target THEN (SELECT count(*) FROM public.movies WHERE canonical_sources ? list_key) > 0
            ELSE false END AS "is_filled_target!"
FROM known
CROSS JOIN LATERAL (
    SELECT list_key = ANY ($1) OR list_key IN (SELECT list_key FROM cinegraph.chosen_target_lists) AS is_target
) AS target
ORDER BY list_key
