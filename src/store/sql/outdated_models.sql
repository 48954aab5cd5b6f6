-- The served version of each ranking whose codes are older than the last change of scores or lists, or that lacks the codes
-- of a decade with movies.
SELECT v.id, v.list_key, v.variant, v.status, v.trained_at, v.report
FROM (
    SELECT DISTINCT ON (list_key, variant) * FROM cinegraph.model_versions
    WHERE status = 'accepted' ORDER BY list_key, variant, id DESC
) AS v
WHERE EXISTS (
    SELECT FROM cinegraph.data_versions AS d
    WHERE d.scope = 'scores'
      AND EXISTS (SELECT FROM cinegraph.movie_discovery_scores AS s
                  WHERE s.release_date >= make_date(d.decade, 1, 1) AND s.release_date < make_date(d.decade + 10, 1, 1))
      AND NOT EXISTS (SELECT FROM cinegraph.model_codes AS c WHERE c.version_id = v.id AND c.decade = d.decade)
)
   OR (SELECT min(computed_at) FROM cinegraph.model_codes AS c WHERE c.version_id = v.id)
    < (SELECT max(changed_at) FROM cinegraph.data_versions WHERE scope IN ('scores', 'list'))
ORDER BY v.id
