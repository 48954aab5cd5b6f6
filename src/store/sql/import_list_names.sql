-- $2 known keys, $3 their names; another key is made readable.
INSERT INTO public.movie_lists (source_key, name, source_type, source_url, inserted_at, updated_at)
SELECT key, coalesce(known.name, initcap(translate(key, '_-', '  '))), 'custom', '', $1, $1
FROM (SELECT list_key AS key, min(line) AS line FROM staged_lists GROUP BY list_key) AS listed
LEFT JOIN unnest($2::text[], $3::text[]) AS known (key, name) USING (key)
ORDER BY line
ON CONFLICT (source_key) DO NOTHING
