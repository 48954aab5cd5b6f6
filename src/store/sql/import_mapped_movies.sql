-- Films that IMDb's dumps brought, and the file has under TMDb's id: one film each, so they get what the file says.
WITH mapped AS (
    UPDATE public.movies AS m
    SET tmdb_id = s.tmdb_id,
        title = s.title,
        release_date = s.release_date,
        adult = s.adult,
        import_status = s.import_status,
        original_language = s.original_language,
        updated_at = $1
    FROM staged_movies AS s
    WHERE m.imdb_id = s.imdb_id AND m.tmdb_id < 0
      AND NOT EXISTS (SELECT FROM public.movies AS other WHERE other.tmdb_id = s.tmdb_id)
    RETURNING 1
)
SELECT count(*) FROM mapped
