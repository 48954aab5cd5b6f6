-- Movies by list and decade (NULL: undated). Rows without a list count the scored, so full, films of a decade.
SELECT listed.key AS list_key,
       cinegraph.decade(m.release_date) AS decade,
       count(*) AS "movies!",
       count(*) FILTER (WHERE m.import_status = 'full') AS "full!"
FROM public.movies AS m
CROSS JOIN LATERAL unnest(cinegraph.list_keys(m.canonical_sources)) AS listed (key)
WHERE m.canonical_sources <> '{}'
GROUP BY 1, 2
UNION ALL
SELECT NULL, scope.decade, 0, (
    SELECT count(*) FROM cinegraph.movie_discovery_scores AS s
    WHERE s.release_date >= make_date(scope.decade, 1, 1) AND s.release_date < make_date(scope.decade + 10, 1, 1))
FROM cinegraph.data_versions AS scope
WHERE scope.scope = 'scores'
ORDER BY 1, 2
