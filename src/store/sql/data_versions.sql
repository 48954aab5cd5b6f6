-- Every version, with the identity of the database that has them: read by one statement, from one snapshot. Without
-- versions, one row with the identity alone.
SELECT i.identity::text AS "schema!", d.oid || '/' || i.tableoid AS "objects!", s.system,
       coalesce(s.is_standby, false) AS "is_standby!", s.timeline,
       v.scope AS "scope?", v.list_key AS "list_key?", v.decade AS "decade?", v.version AS "version?", v.floor AS "floor?"
FROM cinegraph.installation AS i
JOIN pg_database AS d ON d.datname = current_database()
CROSS JOIN cinegraph.server_identity() AS s
LEFT JOIN cinegraph.data_versions AS v ON true
