SELECT line, earlier, format('%s %s of film %s', source, metric_type, tmdb_id) AS value
FROM (SELECT *, first_value(line) OVER same AS earlier, first_value(value) OVER same AS earlier_value
      FROM staged_metrics
      WINDOW same AS (PARTITION BY tmdb_id, source, metric_type ORDER BY line)) AS row
WHERE value IS DISTINCT FROM earlier_value
ORDER BY line LIMIT 1
