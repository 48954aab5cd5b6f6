-- Triggers that run a function of ours.
SELECT t.tgname::text AS "name!", c.relname::text AS "table_name!"
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = 'public'::regnamespace
JOIN pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'cinegraph'
WHERE NOT t.tgisinternal
ORDER BY 2, 1
