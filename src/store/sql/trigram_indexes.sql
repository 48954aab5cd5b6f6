-- Indexes of parts of words, and of words with a wrong letter, where the extension is there: also one that was created after
-- the migrations. In another application's database we do not create it. Without fastupdate: a search would read the list
-- of entries that wait to be inserted into the index.
DO $$
DECLARE
    extension_schema name;
BEGIN
    SELECT n.nspname INTO extension_schema
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE INDEX IF NOT EXISTS folded_titles_trgm_index ON cinegraph.folded_titles '
                   'USING gin (folded %I.gin_trgm_ops) WITH (fastupdate = off)', extension_schema);
    EXECUTE format('CREATE INDEX IF NOT EXISTS folded_titles_words_trgm_index ON cinegraph.folded_titles '
                   'USING gin (words %I.gin_trgm_ops) WITH (fastupdate = off)', extension_schema);
    EXECUTE format('CREATE INDEX IF NOT EXISTS folded_names_words_trgm_index ON cinegraph.folded_names '
                   'USING gin (words %I.gin_trgm_ops) WITH (fastupdate = off)', extension_schema);
END
$$
