-- Takes the oldest $1 entries of films off the queue; the films, each once.
WITH oldest AS (
    SELECT id FROM cinegraph.score_refresh_queue WHERE movie_id IS NOT NULL ORDER BY id LIMIT $1
), taken AS (
    DELETE FROM cinegraph.score_refresh_queue AS entry USING oldest WHERE entry.id = oldest.id RETURNING entry.movie_id
)
SELECT DISTINCT movie_id AS "movie_id!" FROM taken ORDER BY 1
