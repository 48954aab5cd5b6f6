-- By day, so that no value is large, however many films a decade has.
SELECT string_agg(record, '') AS "records!",
       bool_and(formula_version = $3) AS "current!"
FROM cinegraph.movie_discovery_scores
WHERE release_date >= $1 AND release_date < $2
GROUP BY release_date
