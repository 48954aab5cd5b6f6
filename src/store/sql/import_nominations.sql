WITH nomination AS MATERIALIZED (
    SELECT ceremony.id AS ceremony_id, category.id AS category_id, m.id AS movie_id,
           s.person_name, bool_or(s.won) AS won, min(s.line) AS line
    FROM staged_nominations AS s
    JOIN staged_organization_ids AS o ON o.abbreviation = s.organization
    JOIN public.festival_ceremonies AS ceremony
        ON ceremony.organization_id = o.organization_id AND ceremony.year = s.year
    JOIN public.festival_categories AS category
        ON category.organization_id = o.organization_id AND category.name = s.category
    JOIN public.movies AS m ON m.tmdb_id = s.movie_tmdb_id
    GROUP BY ceremony.id, category.id, m.id, s.person_name
), merged AS (
    INSERT INTO public.festival_nominations AS stored
        (ceremony_id, category_id, movie_id, won, details, inserted_at, updated_at)
    SELECT ceremony_id, category_id, movie_id, won,
           CASE WHEN person_name IS NULL THEN '{}' ELSE jsonb_build_object('nominee_names', person_name) END, $1, $1
    FROM nomination
    ORDER BY line
    ON CONFLICT (ceremony_id, category_id, movie_id, (coalesce(details ->> 'nominee_names', ''))) DO UPDATE
        SET won = excluded.won, updated_at = excluded.updated_at
        WHERE stored.won IS DISTINCT FROM excluded.won
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM nomination) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
