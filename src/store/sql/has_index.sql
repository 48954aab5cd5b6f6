-- Whether table $1 has an index of method $2 that begins with the columns $3 and covers every row, whatever its name.
SELECT EXISTS (
    SELECT
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_am AS method ON method.oid = c.relam
    WHERE i.indrelid = to_regclass('public.' || $1) AND method.amname = $2
      AND i.indisvalid AND i.indpred IS NULL
      -- Expressions are no columns, and columns stored along are not searched by.
      AND $3::text[] = ARRAY(
          SELECT a.attname::text
          FROM unnest(i.indkey::smallint[], i.indclass::oid[]) WITH ORDINALITY AS key (attnum, class, place)
          JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
          JOIN pg_opclass AS class ON class.oid = key.class AND class.opcdefault
          WHERE key.place <= least(i.indnkeyatts, cardinality($3::text[]))
          ORDER BY key.place)
) AS "there!"
