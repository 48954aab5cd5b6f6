-- Jobs that failed for good get all their attempts anew: job $1, or all of them where it is NULL.
SELECT id FROM cinegraph_jobs.reschedule_jobs(
    ARRAY(SELECT id FROM cinegraph_jobs.jobs
          WHERE locked_at IS NULL AND attempts >= max_attempts AND ($1::bigint IS NULL OR id = $1)),
    now(), NULL, 0)
ORDER BY id
