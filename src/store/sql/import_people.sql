WITH merged AS (
    INSERT INTO public.people AS stored (tmdb_id, name, inserted_at, updated_at)
    SELECT tmdb_id, name, $1, $1
    FROM staged_people
    ORDER BY line
    ON CONFLICT (tmdb_id) DO UPDATE
        SET name = excluded.name, updated_at = excluded.updated_at
        WHERE stored.name <> excluded.name
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM staged_people) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
