-- What movies are searched by: the words of their titles, which `scoring::search_key` derives. Beside the folded
-- titles,
-- because both are derived from the same titles, at the same time.
--
-- Additions only, and no row of the table is rewritten. The columns are NULL at first and the drain fills them in the
-- background, so the indexes are built at once.
ALTER TABLE cinegraph.folded_titles
    -- The original title that was folded.
    ADD COLUMN IF NOT EXISTS original       text,
    -- The title that the words were derived from. Another one than `title` where a previous version of the program has
    -- stored the row: the drain then derives them again.
    ADD COLUMN IF NOT EXISTS keyed          text,
    -- The words of the title without a leading article: how whole titles and beginnings are compared.
    ADD COLUMN IF NOT EXISTS bare           text COLLATE "C",
    -- The same of the original title; NULL if it is that of the title.
    ADD COLUMN IF NOT EXISTS bare_original  text COLLATE "C",
    -- The words of both titles, each after a space, and a space at the end.
    ADD COLUMN IF NOT EXISTS words          text COLLATE "C",
    -- Logarithm of the number of votes, in coarse steps: each change of it rewrites all index entries of the row.
    ADD COLUMN IF NOT EXISTS popularity     smallint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS released       date;

-- Beginnings of words, by an index of PostgreSQL itself, which needs no extension: `array_to_tsvector` takes the
-- words as
-- they are, in any script and locale. Without fastupdate: a search would read the list of entries that wait to be
-- inserted
-- into the index.
CREATE INDEX IF NOT EXISTS folded_titles_words_index ON cinegraph.folded_titles
    USING gin (array_to_tsvector(string_to_array(btrim(words), ' '))) WITH (fastupdate = off);
-- Whole titles, their beginnings, and titles in order.
CREATE INDEX IF NOT EXISTS folded_titles_bare_index ON cinegraph.folded_titles (bare, movie_id);
CREATE INDEX IF NOT EXISTS folded_titles_bare_original_index ON cinegraph.folded_titles (bare_original)
    WHERE bare_original IS NOT NULL;
-- The most popular first: where many match, the best of them are found without reading the others.
CREATE INDEX IF NOT EXISTS folded_titles_popularity_index ON cinegraph.folded_titles (popularity DESC, movie_id);
CREATE INDEX IF NOT EXISTS folded_titles_released_index ON cinegraph.folded_titles (released, movie_id);
-- Rows whose words are to be derived.
CREATE INDEX IF NOT EXISTS folded_titles_unkeyed_index ON cinegraph.folded_titles (movie_id)
    WHERE keyed IS DISTINCT FROM title;
-- More than the default, because the plans of searches depend on how frequent a word is.
ALTER INDEX cinegraph.folded_titles_words_index ALTER COLUMN 1 SET STATISTICS 500;
ALTER TABLE cinegraph.folded_titles ALTER COLUMN words SET STATISTICS 500;

-- Parts of words, and words with a wrong letter, where the extension is there. In another application's database we
-- do not
-- create it.
DO $$
DECLARE
    extension_schema name;
BEGIN
    SELECT n.nspname INTO extension_schema
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF FOUND THEN
        EXECUTE format('CREATE INDEX IF NOT EXISTS folded_titles_words_trgm_index ON cinegraph.folded_titles '
                       'USING gin (words %I.gin_trgm_ops) WITH (fastupdate = off)', extension_schema);
    END IF;
END
$$;

-- As before; also a change of the original title.
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
        WHERE film.id IS NOT NULL
          AND (b.id, b.title, b.original_title) IS DISTINCT FROM (a.id, a.title, a.original_title);
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason) SELECT id, TG_TABLE_NAME FROM written;
        INSERT INTO cinegraph.title_queue (movie_id) SELECT id FROM written;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
