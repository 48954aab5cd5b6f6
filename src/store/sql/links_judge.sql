-- What becomes of each row. Only a movie without a TMDb id gets one, and only if neither the database nor another row
-- contradicts it.
WITH link AS (
    SELECT line, imdb_id, tmdb_id,
           line > min(line) OVER (PARTITION BY imdb_id, tmdb_id) AS is_repeated,
           min(imdb_id) OVER (PARTITION BY tmdb_id) <> max(imdb_id) OVER (PARTITION BY tmdb_id) AS has_other_movie,
           min(tmdb_id) OVER (PARTITION BY imdb_id) <> max(tmdb_id) OVER (PARTITION BY imdb_id) AS has_other_id
    FROM staged_links
), known AS (
    SELECT link.line,
           -- The ids below 0 were made of IMDb's.
           min(m.id) FILTER (WHERE m.tmdb_id < 0) AS movie_id,
           bool_or(m.tmdb_id = link.tmdb_id) AS is_linked,
           min(m.tmdb_id) FILTER (WHERE m.tmdb_id > 0) AS stored_id
    FROM link
    JOIN public.movies AS m ON m.imdb_id = link.imdb_id
    GROUP BY link.line
)
UPDATE staged_links AS staged
SET movie_id = known.movie_id,
    stored_id = known.stored_id,
    outcome = CASE
        WHEN link.is_repeated THEN 'repeated'
        WHEN known.line IS NULL THEN 'absent'
        WHEN known.is_linked THEN 'unchanged'
        WHEN known.movie_id IS NULL THEN 'has another id'
        WHEN link.has_other_movie THEN 'id of several rows'
        WHEN link.has_other_id THEN 'several ids'
        WHEN EXISTS (SELECT FROM public.movies AS other WHERE other.tmdb_id = link.tmdb_id) THEN 'id of another movie'
        ELSE 'linked'
    END
FROM link LEFT JOIN known USING (line)
WHERE staged.line = link.line
