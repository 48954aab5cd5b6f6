-- Takes all entries of the film that waits longest off the queue; which film.
WITH oldest AS (
    SELECT movie_id FROM cinegraph.score_refresh_queue WHERE movie_id IS NOT NULL ORDER BY id LIMIT 1
), gone AS (
    DELETE FROM cinegraph.score_refresh_queue AS entry USING oldest WHERE entry.movie_id = oldest.movie_id
)
SELECT movie_id FROM oldest
