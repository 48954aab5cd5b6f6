SELECT line, earlier, credit_id AS value
FROM (SELECT line, credit_id, min(line) OVER (PARTITION BY credit_id) AS earlier FROM staged_credits) AS row
WHERE line > earlier
ORDER BY line LIMIT 1
