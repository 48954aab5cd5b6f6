-- Queues the movies of a decade whose scores have another formula version than $3. Newer ones are queued only if they are
-- few: many are those of a newer release, which is being rolled out and must not be undone.
WITH outdated AS (
    SELECT movie_id, formula_version FROM cinegraph.movie_discovery_scores
    WHERE release_date >= $1 AND release_date < $2 AND formula_version <> $3
)
INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
SELECT movie_id, 'formula' FROM outdated
WHERE (formula_version < $3 OR (SELECT count(*) FROM outdated WHERE formula_version > $3) <= $4)
  AND NOT EXISTS (SELECT FROM cinegraph.score_refresh_queue AS entry WHERE entry.movie_id = outdated.movie_id)
