-- Of the columns $2 of the tables $1, those that are not there.
SELECT DISTINCT wanted.table_name || coalesce('.' || CASE WHEN to_regclass('public.' || wanted.table_name) IS NOT NULL
                                                          THEN wanted.column_name END, '') AS "name!"
FROM unnest($1::text[], $2::text[]) AS wanted (table_name, column_name)
WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                  WHERE a.attrelid = to_regclass('public.' || wanted.table_name) AND a.attname = wanted.column_name
                    AND NOT a.attisdropped)
ORDER BY 1
