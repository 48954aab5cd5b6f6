-- What keeps scores current by itself: the drain of the queue, and tasks that run by the clock or when asked for.

-- Of an entry that stands for all films: the id up to which they are done, NULL until it is begun.
ALTER TABLE cinegraph.score_refresh_queue ADD COLUMN done_id bigint;
-- Such entries are found at once behind any number of others.
CREATE INDEX score_refresh_queue_all_films_idx ON cinegraph.score_refresh_queue (id) WHERE movie_id IS NULL;
-- Entries live for a moment, so most of the table is soon dead rows, which every look at the queue would read.
ALTER TABLE cinegraph.score_refresh_queue
    SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_analyze_scale_factor = 0,
         autovacuum_analyze_threshold = 10000);

-- When each background task last succeeded, on whichever instance: a restart must not look like a success.
CREATE TABLE cinegraph.tasks (
    name            text PRIMARY KEY,
    last_success_at timestamptz NOT NULL
);

-- Asks for a run of a task after a while; asked for again before it begins, it still runs once. Its queue is made by
-- `cinegraph migrate`; without it there is nobody to ask.
CREATE FUNCTION cinegraph.request_task(task text, after interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('cinegraph_jobs._private_jobs') IS NOT NULL THEN
        PERFORM cinegraph_jobs.add_job(task, run_at => now() + after, max_attempts => 3, job_key => task,
                                       job_key_mode => 'preserve_run_at');
    END IF;
END
$$;
