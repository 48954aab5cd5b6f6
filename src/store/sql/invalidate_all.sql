-- What was never counted has no row yet, but answers that were made of it.
WITH scope AS (
    SELECT scope, list_key, decade FROM cinegraph.data_versions
    UNION VALUES ('profiles', '', 0), ('reference', '', 0), ('snapshot', '', 0)
    UNION SELECT 'scores', '', decade FROM unnest($2::integer[]) AS decade
    UNION SELECT 'list', list_key, decade FROM unnest($1::text[]) AS list_key, unnest($2::integer[]) AS decade
), raised AS (
    SELECT cinegraph.raise_version(scope, list_key, decade, true) FROM scope
)
SELECT count(*) AS "scopes!" FROM raised
