-- Views of others that read from ours: dropping our schemas would drop them too.
SELECT DISTINCT format('%I.%I', home.nspname, v.relname) AS "name!"
FROM pg_depend AS d
JOIN pg_rewrite AS rule ON rule.oid = d.objid
JOIN pg_class AS v ON v.oid = rule.ev_class
JOIN pg_namespace AS home ON home.oid = v.relnamespace AND home.nspname NOT IN ('cinegraph', 'cinegraph_jobs')
LEFT JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
LEFT JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
JOIN pg_namespace AS ours ON ours.oid = coalesce(c.relnamespace, p.pronamespace)
                         AND ours.nspname IN ('cinegraph', 'cinegraph_jobs')
WHERE d.classid = 'pg_rewrite'::regclass
ORDER BY 1
