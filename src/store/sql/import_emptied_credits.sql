-- The time, $1, has no column here.
SELECT count(*) AS count, min(line) AS line, (array_agg(value ORDER BY line))[1] AS value
FROM (SELECT s.line, unnest(ARRAY[
                 CASE WHEN s.department IS NULL THEN 'department ' || c.department END,
                 CASE WHEN s.job IS NULL THEN 'job ' || c.job END,
                 CASE WHEN s."character" IS NULL THEN 'character ' || c."character" END,
                 CASE WHEN s.cast_order IS NULL THEN 'cast_order ' || c.cast_order END]) AS value
      FROM staged_credits AS s
      JOIN public.movie_credits AS c USING (credit_id)) AS emptied
WHERE value IS NOT NULL
HAVING count(*) > 0
