SELECT line, earlier, imdb_id AS value
FROM (SELECT line, imdb_id, min(line) OVER (PARTITION BY tmdb_id) AS earlier FROM staged_imdb_films) AS row
WHERE line > earlier
ORDER BY line LIMIT 1
