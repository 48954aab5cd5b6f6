-- Movies that the database has under another id than the file: those of IMDb's dumps, whose ids are negative, and those
-- whose entry in TMDb was merged with another, unless the file has both. Each keeps its row, and gets the id and what
-- the file says. $2: the optional columns that the file has.
WITH other AS MATERIALIZED (
    SELECT DISTINCT ON (s.tmdb_id) m.id, m.tmdb_id AS former, s.tmdb_id
    FROM staged_movies AS s
    JOIN public.movies AS m ON m.imdb_id = s.imdb_id AND m.tmdb_id <> s.tmdb_id
    WHERE NOT EXISTS (SELECT FROM public.movies AS taken WHERE taken.tmdb_id = s.tmdb_id)
      AND NOT EXISTS (SELECT FROM staged_movies AS kept WHERE kept.tmdb_id = m.tmdb_id)
    ORDER BY s.tmdb_id, m.tmdb_id < 0, m.id
), mapped AS (
    UPDATE public.movies AS m
    SET tmdb_id = s.tmdb_id,
        title = s.title,
        release_date = s.release_date,
        adult = s.adult,
        import_status = s.import_status,
        original_language = s.original_language,
        poster_path = CASE WHEN 'poster_path' = ANY ($2) THEN s.poster_path ELSE m.poster_path END,
        overview = CASE WHEN 'overview' = ANY ($2) THEN s.overview ELSE m.overview END,
        runtime = CASE WHEN 'runtime' = ANY ($2) THEN s.runtime ELSE m.runtime END,
        original_title = CASE WHEN 'original_title' = ANY ($2) THEN s.original_title ELSE m.original_title END,
        updated_at = $1
    FROM other JOIN staged_movies AS s USING (tmdb_id)
    WHERE m.id = other.id
), recorded AS (
    INSERT INTO cinegraph.former_tmdb_ids (tmdb_id, movie_id)
    SELECT former, id FROM other WHERE former > 0
    ON CONFLICT (tmdb_id) DO UPDATE SET movie_id = excluded.movie_id
)
SELECT FROM other
