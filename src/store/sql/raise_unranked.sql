-- Raises versions softly for those of the movies $1 that no ranking has, so that the score table does not tell that they
-- changed: of their decade, or, for undated movies, which are in none, of reference data, on which their details depend.
WITH touched AS (
    SELECT DISTINCT cinegraph.decade(release_date) AS decade
    FROM public.movies
    WHERE id = ANY ($1) AND (import_status <> 'full' OR release_date IS NULL)
    ORDER BY 1
), raised AS (
    SELECT cinegraph.raise_version(CASE WHEN decade IS NULL THEN 'reference' ELSE 'scores' END, '', coalesce(decade, 0), false)
    FROM touched
)
SELECT count(*) AS "scopes!" FROM raised
