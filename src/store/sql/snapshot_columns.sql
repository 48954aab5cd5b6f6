-- By day, so that no value is large, however many films a decade has. Both texts have the movies in the same order.
SELECT string_agg(s.record, '') AS "records!", string_agg(float8send(coalesce(v.votes, 0)), '') AS "votes!"
FROM cinegraph.movie_scores AS s
LEFT JOIN cinegraph.movie_votes AS v ON v.movie_id = s.movie_id
WHERE s.list_key = $1 AND s.release_date >= $2 AND s.release_date < $3
GROUP BY s.release_date
