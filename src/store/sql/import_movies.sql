-- Rows are inserted in the order of the file, so that the same files give the same ids everywhere; likewise below.
WITH merged AS (
    INSERT INTO public.movies AS stored
        (tmdb_id, imdb_id, title, release_date, adult, import_status, original_language, inserted_at, updated_at)
    SELECT tmdb_id, imdb_id, title, release_date, adult, import_status, original_language, $1, $1
    FROM staged_movies
    ORDER BY line
    ON CONFLICT (tmdb_id) DO UPDATE
        SET imdb_id = excluded.imdb_id,
            title = excluded.title,
            release_date = excluded.release_date,
            adult = excluded.adult,
            import_status = excluded.import_status,
            original_language = excluded.original_language,
            updated_at = excluded.updated_at
        WHERE (stored.imdb_id, stored.title, stored.release_date, stored.adult, stored.import_status,
               stored.original_language)
            IS DISTINCT FROM
              (excluded.imdb_id, excluded.title, excluded.release_date, excluded.adult, excluded.import_status,
               excluded.original_language)
    -- A row version that was inserted, not updated, has no xmax.
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM staged_movies) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
