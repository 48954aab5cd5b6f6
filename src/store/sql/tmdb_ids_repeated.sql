SELECT line, earlier, format('movie %s', tmdb_id) AS value
FROM (SELECT line, tmdb_id, min(line) OVER (PARTITION BY tmdb_id) AS earlier FROM staged_tmdb_ids) AS row
WHERE line > earlier
ORDER BY line LIMIT 1
