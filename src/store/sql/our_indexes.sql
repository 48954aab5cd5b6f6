-- Of the indexes $1, those that are there: all, or ($2) only those whose building was interrupted.
SELECT c.relname::text AS "name!"
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1::text[]) AND (NOT $2 OR NOT i.indisvalid)
ORDER BY c.relname
