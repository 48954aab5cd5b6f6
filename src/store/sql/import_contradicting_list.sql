SELECT line, earlier, format('film %s of list %s', tmdb_id, list_key) AS value
FROM (SELECT *, first_value(line) OVER same AS earlier, first_value(list_position) OVER same AS earlier_position,
             first_value(edition) OVER same AS earlier_edition
      FROM staged_lists
      WINDOW same AS (PARTITION BY tmdb_id, list_key ORDER BY line)) AS row
WHERE (list_position, edition) IS DISTINCT FROM (earlier_position, earlier_edition)
ORDER BY line LIMIT 1
