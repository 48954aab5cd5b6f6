-- What a bulk load is faster without: secondary indexes and foreign keys of the tables in $1, each as the statements
-- that drop and restore it. Indexes come first, since the check of a foreign key is quicker with them.
-- What backs a constraint (primary keys) stays.
SELECT format('DROP INDEX %s', i.indexrelid::regclass) AS "remove!",
       pg_get_indexdef(i.indexrelid) AS "restore!",
       i.indexrelid::regclass::text AS "name!",
       1 AS kind
FROM pg_index AS i
WHERE i.indrelid = ANY ($1::text[]::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
UNION ALL
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)),
       c.conname,
       2
FROM pg_constraint AS c
WHERE c.conrelid = ANY ($1::text[]::regclass[]) AND c.contype = 'f'
ORDER BY 4, 3
