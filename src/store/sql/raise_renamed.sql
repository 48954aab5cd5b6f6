-- Takes the changes of genres and countries off their queue. If there are any, the names in queries are read again at once,
-- and the results of every decade, which show these names, soon.
WITH taken AS (
    DELETE FROM cinegraph.name_changes RETURNING id
), scope AS (
    SELECT scope, decade FROM cinegraph.data_versions WHERE scope = 'scores'
    UNION VALUES ('reference', 0)
), raised AS (
    SELECT cinegraph.raise_version(scope, '', decade, scope = 'reference')
    FROM (SELECT scope, decade FROM scope WHERE EXISTS (SELECT FROM taken) ORDER BY scope DESC, decade) AS scope
)
SELECT count(*) AS "scopes!" FROM raised
