SELECT line, earlier, imdb_id AS value
FROM (SELECT line, imdb_id, min(line) OVER (PARTITION BY imdb_id) AS earlier
      FROM staged_movies WHERE imdb_id IS NOT NULL) AS row
WHERE line > earlier
ORDER BY line LIMIT 1
