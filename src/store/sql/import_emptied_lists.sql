-- The time, $1, has no column here.
SELECT count(*) AS count, min(line) AS line, (array_agg(value ORDER BY line))[1] AS value
FROM (SELECT s.line, unnest(ARRAY[
                 CASE WHEN s.list_position IS NULL THEN 'list_position ' || (stored.entry ->> 'list_position') END,
                 CASE WHEN s.edition IS NULL THEN 'edition ' || (stored.entry ->> 'edition') END]) AS value
      FROM staged_lists AS s
      JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
      CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(m.canonical_sources) = 'object'
                                      THEN m.canonical_sources -> s.list_key END AS entry) AS stored) AS emptied
WHERE value IS NOT NULL
HAVING count(*) > 0
