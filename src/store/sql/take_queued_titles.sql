-- Takes the oldest $1 entries of movies off the queue of titles; the movies, each once.
WITH oldest AS (
    SELECT id FROM cinegraph.title_queue WHERE movie_id IS NOT NULL ORDER BY id LIMIT $1
), taken AS (
    DELETE FROM cinegraph.title_queue AS entry USING oldest WHERE entry.id = oldest.id RETURNING entry.movie_id
)
SELECT DISTINCT movie_id AS "movie_id!" FROM taken ORDER BY 1
