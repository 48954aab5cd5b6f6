WITH merged AS (
    INSERT INTO public.movie_credits AS stored
        (movie_id, person_id, credit_id, credit_type, department, job, character, cast_order, inserted_at, updated_at)
    SELECT m.id, p.id, s.credit_id, s.credit_type, s.department, s.job, s.character, s.cast_order, $1, $1
    FROM staged_credits AS s
    JOIN public.movies AS m ON m.tmdb_id = s.movie_tmdb_id
    JOIN public.people AS p ON p.tmdb_id = s.person_tmdb_id
    ORDER BY s.line
    ON CONFLICT (credit_id) DO UPDATE
        SET movie_id = excluded.movie_id,
            person_id = excluded.person_id,
            credit_type = excluded.credit_type,
            department = excluded.department,
            job = excluded.job,
            character = excluded.character,
            cast_order = excluded.cast_order,
            updated_at = excluded.updated_at
        WHERE (stored.movie_id, stored.person_id, stored.credit_type, stored.department, stored.job, stored.character,
               stored.cast_order)
            IS DISTINCT FROM
              (excluded.movie_id, excluded.person_id, excluded.credit_type, excluded.department, excluded.job,
               excluded.character, excluded.cast_order)
    RETURNING stored.xmax = 0 AS is_new
)
-- People whom IMDb's dumps name nowhere have no row.
SELECT (SELECT count(*) FROM staged_credits AS s JOIN public.people AS p ON p.tmdb_id = s.person_tmdb_id) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
