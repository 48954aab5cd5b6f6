-- Invalidates what was derived from the list $1 in the decades $2: rankings and validations of the list, and the scores and
-- details of its movies.
SELECT cinegraph.raise_version(scope.name, scope.list_key, scope.decade, true)
FROM (SELECT 'scores' AS name, '' AS list_key, unnest($2::integer[]) AS decade
      UNION ALL SELECT 'list', $1::text, unnest($2::integer[])
      UNION ALL SELECT 'reference', '', 0
      ORDER BY name DESC, decade) AS scope
