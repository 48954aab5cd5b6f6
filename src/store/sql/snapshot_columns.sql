-- By day, so that no value is large, however many films a decade has.
SELECT string_agg(record, '') AS "records!"
FROM cinegraph.movie_scores
WHERE list_key = $1 AND release_date >= $2 AND release_date < $3
GROUP BY release_date
