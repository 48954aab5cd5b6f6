SELECT movie_id AS "movie_id!",
       cardinality(list_keys)::bigint AS "lists!",
       tmdb_rating,
       imdb_rating,
       metascore,
       tomatometer,
       popularity,
       nominations AS "nominations!",
       wins AS "wins!",
       people_quality
FROM cinegraph.movie_score_inputs
WHERE release_date >= $1 AND release_date < $2 AND import_status = 'full'
ORDER BY movie_id
