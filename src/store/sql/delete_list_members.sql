-- Removes the list $1 from its movies; $2 is the time. Returns their number and decades.
WITH written AS (
    UPDATE public.movies
    SET canonical_sources = canonical_sources - $1::text, updated_at = $2::timestamptz AT TIME ZONE 'UTC'
    WHERE canonical_sources ? $1 AND jsonb_typeof(canonical_sources) = 'object'
    RETURNING cinegraph.decade(release_date) AS decade
)
SELECT count(*) AS "movies!", coalesce(array_agg(DISTINCT decade) FILTER (WHERE decade IS NOT NULL), '{}') AS "decades!"
FROM written
