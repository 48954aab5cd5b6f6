-- Rows are inserted in the order of the file, so that the same files give the same ids everywhere; likewise below. $2:
-- the optional columns that the file has; the others keep their values.
WITH merged AS (
    INSERT INTO public.movies AS stored
        (tmdb_id, imdb_id, title, release_date, adult, import_status, original_language, poster_path, overview, runtime,
         original_title, inserted_at, updated_at)
    SELECT s.tmdb_id, s.imdb_id, s.title, s.release_date, s.adult, s.import_status, s.original_language,
           CASE WHEN 'poster_path' = ANY ($2) THEN s.poster_path ELSE m.poster_path END,
           CASE WHEN 'overview' = ANY ($2) THEN s.overview ELSE m.overview END,
           CASE WHEN 'runtime' = ANY ($2) THEN s.runtime ELSE m.runtime END,
           CASE WHEN 'original_title' = ANY ($2) THEN s.original_title ELSE m.original_title END,
           $1, $1
    FROM staged_movies AS s
    LEFT JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
    ORDER BY s.line
    ON CONFLICT (tmdb_id) DO UPDATE
        SET imdb_id = excluded.imdb_id,
            title = excluded.title,
            release_date = excluded.release_date,
            adult = excluded.adult,
            import_status = excluded.import_status,
            original_language = excluded.original_language,
            poster_path = excluded.poster_path,
            overview = excluded.overview,
            runtime = excluded.runtime,
            original_title = excluded.original_title,
            updated_at = excluded.updated_at
        WHERE (stored.imdb_id, stored.title, stored.release_date, stored.adult, stored.import_status,
               stored.original_language, stored.poster_path, stored.overview, stored.runtime,
               stored.original_title)
            IS DISTINCT FROM
              (excluded.imdb_id, excluded.title, excluded.release_date, excluded.adult, excluded.import_status,
               excluded.original_language, excluded.poster_path, excluded.overview, excluded.runtime,
               excluded.original_title)
    -- A row version that was inserted, not updated, has no xmax.
    RETURNING stored.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM staged_movies) AS rows,
       count(*) FILTER (WHERE is_new) AS inserted,
       count(*) FILTER (WHERE NOT is_new) AS updated
FROM merged
