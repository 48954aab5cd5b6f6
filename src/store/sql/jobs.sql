SELECT id, task_identifier AS task, attempts, max_attempts, run_at, locked_at AS running_since, last_error
FROM cinegraph_jobs.jobs
ORDER BY locked_at IS NULL, attempts >= max_attempts, run_at, id
