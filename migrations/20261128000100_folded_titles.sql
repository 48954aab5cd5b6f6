-- Titles as they are searched: folded by `scoring::fold_title`, because what `lower` and ILIKE do depends on the locale of
-- the database. Beside the movie tables, which may be another application's.
CREATE TABLE IF NOT EXISTS cinegraph.folded_titles (
    movie_id bigint PRIMARY KEY,
    -- The title that was folded. A row whose movie has another title by now does not count.
    title    text NOT NULL,
    -- Compared by bytes, so that its order is the same in every database.
    folded   text COLLATE "C" NOT NULL
);

-- Searches for a part of a title. The extension is there if the movie tables are ours; in another application's database we
-- do not create it, and searches read all folded titles where it is missing. Without fastupdate: a search would read the
-- list of entries that wait to be inserted into the index.
DO $$
DECLARE
    extension_schema name;
BEGIN
    SELECT n.nspname INTO extension_schema
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF FOUND THEN
        EXECUTE format('CREATE INDEX IF NOT EXISTS folded_titles_trgm_index ON cinegraph.folded_titles '
                       'USING gin (folded %I.gin_trgm_ops) WITH (fastupdate = off)', extension_schema);
    END IF;
END
$$;

-- Movies whose title waits to be folded. Append-only, like the queue of scores; a search folds the titles of the movies
-- that are queued here itself, so that none is missing meanwhile.
CREATE TABLE IF NOT EXISTS cinegraph.title_queue (
    id       bigserial PRIMARY KEY,
    -- NULL: every movie.
    movie_id bigint,
    -- Of an entry that stands for all movies: the id up to which they are done, NULL until it is begun.
    done_id  bigint
);
CREATE INDEX IF NOT EXISTS title_queue_all_movies_idx ON cinegraph.title_queue (id) WHERE movie_id IS NULL;
-- Entries live for a moment, so most of the table is soon dead rows, which every search would read.
ALTER TABLE cinegraph.title_queue
    SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_analyze_scale_factor = 0,
         autovacuum_analyze_threshold = 10000);

-- The titles that are there already. The drain folds them in the background.
INSERT INTO cinegraph.title_queue (movie_id)
SELECT NULL WHERE EXISTS (SELECT FROM public.movies) AND NOT EXISTS (SELECT FROM cinegraph.title_queue WHERE movie_id IS NULL);

-- As before; and the titles of a table that was emptied.
CREATE OR REPLACE FUNCTION cinegraph.queue_all() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    INSERT INTO cinegraph.score_refresh_queue (reason) VALUES (TG_TABLE_NAME);
    IF TG_TABLE_NAME = 'movies' THEN
        INSERT INTO cinegraph.title_queue (movie_id) VALUES (NULL);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

-- As before; also a change of title or language, by which movies are filtered; and the titles that were added, changed or
-- removed.
CREATE OR REPLACE FUNCTION cinegraph.queue_movies() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT film.id, TG_TABLE_NAME
        FROM before AS b
        FULL JOIN after AS a ON a.id = b.id
        CROSS JOIN LATERAL (VALUES (b.id), (a.id)) AS film (id)
        WHERE film.id IS NOT NULL
          AND (b.id, b.release_date, b.import_status, b.canonical_sources, b.tmdb_data -> 'popularity', b.title,
               b.original_language)
              IS DISTINCT FROM
              (a.id, a.release_date, a.import_status, a.canonical_sources, a.tmdb_data -> 'popularity', a.title,
               a.original_language);
        INSERT INTO cinegraph.title_queue (movie_id)
        SELECT DISTINCT film.id
        FROM before AS b
        FULL JOIN after AS a ON a.id = b.id
        CROSS JOIN LATERAL (VALUES (b.id), (a.id)) AS film (id)
        WHERE film.id IS NOT NULL AND (b.id, b.title) IS DISTINCT FROM (a.id, a.title);
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason) SELECT id, TG_TABLE_NAME FROM written;
        INSERT INTO cinegraph.title_queue (movie_id) SELECT id FROM written;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
