-- A list says nothing about the movies that are not on it. So without popularity, cultural impact has data only if there
-- are several lists, each of which says something about the others.
WITH measured AS (
    SELECT ARRAY[
        EXISTS (SELECT FROM cinegraph.movie_discovery_scores WHERE popular_opinion_score > 0),
        EXISTS (SELECT FROM cinegraph.movie_discovery_scores WHERE critical_acclaim_score > 0),
        EXISTS (SELECT FROM cinegraph.movie_discovery_scores WHERE industry_recognition_score > 0),
        EXISTS (SELECT FROM cinegraph.movie_discovery_scores WHERE popularity > 0 AND popularity <> 'NaN')
            OR (SELECT count(*) > 1 FROM (
                    SELECT DISTINCT unnest(list_keys) FROM cinegraph.movie_discovery_scores LIMIT 2
                ) AS lists),
        EXISTS (SELECT FROM cinegraph.movie_discovery_scores WHERE people_quality_score > 0)
    ] AS criteria
), taken AS (
    INSERT INTO cinegraph.snapshot (taken_at, formula_version, criteria_with_data)
    SELECT now(), $1, criteria FROM measured
    ON CONFLICT (singleton) DO UPDATE
    SET taken_at = excluded.taken_at, formula_version = excluded.formula_version,
        criteria_with_data = excluded.criteria_with_data
)
SELECT cinegraph.raise_version('snapshot', '', 0, $2),
       -- Cached results keep the weights that they were computed by, unless these criteria have changed.
       CASE WHEN (SELECT criteria_with_data FROM cinegraph.snapshot) IS DISTINCT FROM criteria
            THEN cinegraph.raise_version('reference', '', 0, true) END
FROM measured
