-- What this role lacks to read the tables $1, to put triggers and indexes on the tables $2, and, with $3, to create
-- anything beside them.
SELECT 'CREATE on database ' || quote_ident(current_database()) AS "privilege!"
WHERE NOT has_database_privilege(current_database(), 'CREATE')
UNION ALL
SELECT 'CREATE on schema public' WHERE $3 AND NOT has_schema_privilege('public', 'CREATE')
UNION ALL
SELECT 'SELECT on public.' || name FROM unnest($1::text[]) AS name
WHERE NOT has_table_privilege('public.' || name, 'SELECT')
UNION ALL
SELECT 'ownership of public.' || name FROM unnest($2::text[]) AS name
JOIN pg_class AS c ON c.oid = to_regclass('public.' || name)
WHERE NOT pg_has_role(c.relowner, 'USAGE')
