WITH merged AS (
    INSERT INTO public.people AS stored (tmdb_id, imdb_id, name, inserted_at, updated_at)
    SELECT tmdb_id, imdb_id, name, $1, $1
    FROM staged_imdb_people
    ORDER BY line
    ON CONFLICT (tmdb_id) DO UPDATE
        SET imdb_id = excluded.imdb_id, name = excluded.name, updated_at = excluded.updated_at
        WHERE (stored.imdb_id, stored.name) IS DISTINCT FROM (excluded.imdb_id, excluded.name)
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM staged_imdb_people) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
