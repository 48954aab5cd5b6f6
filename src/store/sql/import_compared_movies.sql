-- $1: the optional columns that the file has. An IMDb id decides only where neither TMDb id does.
WITH pair AS (
    SELECT s.line, m.id FROM staged_movies AS s JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
    UNION ALL
    SELECT s.line, m.id
    FROM staged_movies AS s
    JOIN public.movies AS m ON m.imdb_id = s.imdb_id AND m.tmdb_id <> s.tmdb_id
    WHERE NOT EXISTS (SELECT FROM staged_movies AS kept WHERE kept.tmdb_id = m.tmdb_id)
)
SELECT s.line, s.tmdb_id, m.tmdb_id AS stored_tmdb_id, s.title, coalesce(m.title, '') AS stored_title,
       extract(year FROM s.release_date)::integer AS year, extract(year FROM m.release_date)::integer AS stored_year,
       s.imdb_id, m.imdb_id AS stored_imdb_id,
       array_remove(ARRAY[
           CASE WHEN s.imdb_id IS NULL THEN 'imdb_id ' || m.imdb_id END,
           CASE WHEN s.release_date IS NULL THEN 'release_date ' || m.release_date END,
           CASE WHEN s.original_language IS NULL THEN 'original_language ' || m.original_language END,
           CASE WHEN s.poster_path IS NULL AND 'poster_path' = ANY ($1) THEN 'poster_path ' || m.poster_path END,
           CASE WHEN s.overview IS NULL AND 'overview' = ANY ($1) THEN 'overview ' || left(m.overview, 40) END,
           CASE WHEN s.runtime IS NULL AND 'runtime' = ANY ($1) THEN 'runtime ' || m.runtime END,
           CASE WHEN s.original_title IS NULL AND 'original_title' = ANY ($1)
                THEN 'original_title ' || m.original_title END
       ], NULL) AS removed
FROM pair
JOIN staged_movies AS s USING (line)
JOIN public.movies AS m USING (id)
ORDER BY s.line, m.id
