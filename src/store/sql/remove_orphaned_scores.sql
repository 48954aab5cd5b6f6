WITH removed AS (
    DELETE FROM cinegraph.movie_discovery_scores AS gone
    WHERE NOT EXISTS (SELECT FROM public.movies AS m WHERE m.id = gone.movie_id)
    RETURNING cinegraph.decade(release_date) AS decade
), raised AS (
    SELECT cinegraph.raise_version('scores', '', decade, false)
    FROM (SELECT DISTINCT decade FROM removed WHERE decade IS NOT NULL ORDER BY decade) AS touched
)
SELECT (SELECT count(*) FROM removed) + 0 * (SELECT count(*) FROM raised) AS "removed!"
