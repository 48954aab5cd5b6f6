-- Films whose scores must be computed anew. Triggers on the film tables append to it; `cinegraph migrate` puts them there,
-- one table at a time, since on a database in use each must wait for its table's writers.
--
-- Append-only and without a unique key on the film: two transactions that write the same film never wait for each other.
CREATE TABLE cinegraph.score_refresh_queue (
    id          bigserial PRIMARY KEY,
    -- NULL: every film, as where a table was emptied.
    movie_id    bigint,
    -- The table that was written to.
    reason      text NOT NULL,
    enqueued_at timestamptz NOT NULL DEFAULT statement_timestamp()
);

-- The functions below run inside the statements of whoever writes films, perhaps another application. So each
--   - runs with our rights (SECURITY DEFINER) and finds nothing by a path that a caller could bend (search_path);
--   - catches its errors: a film that could not be queued is found by the daily refresh, a failed write would be harm;
--   - hardly waits for a lock (lock_timeout), takes none that two writers could meet at, and compiles no plan (jit).
-- They fire once per statement and see its rows as `written` (inserted or deleted), or as `before` and `after` (updated);
-- an update that changes nothing that scores are made of queues nothing.

CREATE FUNCTION cinegraph.queue_all() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    INSERT INTO cinegraph.score_refresh_queue (reason) VALUES (TG_TABLE_NAME);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION cinegraph.queue_movies() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT film.id, TG_TABLE_NAME
        FROM before AS b
        FULL JOIN after AS a ON a.id = b.id
        CROSS JOIN LATERAL (VALUES (b.id), (a.id)) AS film (id)
        WHERE film.id IS NOT NULL
          AND (b.id, b.release_date, b.import_status, b.canonical_sources, b.tmdb_data -> 'popularity')
              IS DISTINCT FROM
              (a.id, a.release_date, a.import_status, a.canonical_sources, a.tmdb_data -> 'popularity');
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason) SELECT id, TG_TABLE_NAME FROM written;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION cinegraph.queue_external_metrics() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT film.id, TG_TABLE_NAME
        FROM before AS b
        FULL JOIN after AS a ON a.id = b.id
        CROSS JOIN LATERAL (VALUES (b.movie_id), (a.movie_id)) AS film (id)
        WHERE film.id IS NOT NULL
          AND (b.movie_id, b.source, b.metric_type, b.value, b.metadata ->> 'type')
              IS DISTINCT FROM
              (a.movie_id, a.source, a.metric_type, a.value, a.metadata ->> 'type');
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME FROM written;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION cinegraph.queue_movie_credits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT film.id, TG_TABLE_NAME
        FROM before AS b
        FULL JOIN after AS a ON a.id = b.id
        CROSS JOIN LATERAL (VALUES (b.movie_id), (a.movie_id)) AS film (id)
        WHERE film.id IS NOT NULL
          AND (b.movie_id, b.person_id) IS DISTINCT FROM (a.movie_id, a.person_id);
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME FROM written;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

-- The films of the people whose quality changed; all films where these are many, since finding theirs would keep the writer
-- waiting. The people are gathered first: a session keeps the plan of its first statement, and a join that suits thousands
-- of people would read all credits for one.
CREATE FUNCTION cinegraph.queue_person_metrics() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
DECLARE
    many CONSTANT integer := 10000;
    people bigint[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        people := ARRAY(
            SELECT DISTINCT person.id
            FROM before AS b
            FULL JOIN after AS a ON a.id = b.id
            CROSS JOIN LATERAL (VALUES (b.person_id), (a.person_id)) AS person (id)
            WHERE (b.person_id, b.metric_type, b.score) IS DISTINCT FROM (a.person_id, a.metric_type, a.score)
              AND 'quality_score' IN (b.metric_type, a.metric_type));
    ELSE
        people := ARRAY(SELECT DISTINCT person_id FROM written WHERE metric_type = 'quality_score');
    END IF;
    IF cardinality(people) > many THEN
        INSERT INTO cinegraph.score_refresh_queue (reason) VALUES (TG_TABLE_NAME);
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME FROM public.movie_credits WHERE person_id = ANY (people);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION cinegraph.queue_festival_nominations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT film.id, TG_TABLE_NAME
        FROM before AS b
        FULL JOIN after AS a ON a.id = b.id
        CROSS JOIN LATERAL (VALUES (b.movie_id), (a.movie_id)) AS film (id)
        WHERE film.id IS NOT NULL AND (b.movie_id, b.won) IS DISTINCT FROM (a.movie_id, a.won);
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME FROM written WHERE movie_id IS NOT NULL;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
