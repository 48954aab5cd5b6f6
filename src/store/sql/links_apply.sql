WITH linked AS (
    UPDATE public.movies AS m
    SET tmdb_id = staged.tmdb_id, updated_at = $1
    FROM staged_links AS staged
    WHERE staged.outcome = 'linked' AND m.id = staged.movie_id
    RETURNING cinegraph.decade(m.release_date) AS decade
), raised AS (
    -- At once, and here: no score changes, so the drain would not raise the versions of what shows these movies.
    SELECT cinegraph.raise_version(CASE WHEN decade IS NULL THEN 'reference' ELSE 'scores' END, '', coalesce(decade, 0), true)
    FROM (SELECT DISTINCT decade FROM linked ORDER BY 1) AS touched
)
SELECT (SELECT count(*) FROM linked) AS linked,
       count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
       count(*) FILTER (WHERE outcome = 'repeated') AS repeated,
       count(*) FILTER (WHERE outcome = 'absent') AS absent,
       count(*) FILTER (WHERE outcome NOT IN ('linked', 'unchanged', 'repeated', 'absent')) AS conflicts,
       (SELECT count(*) FROM raised) AS scopes
FROM staged_links
