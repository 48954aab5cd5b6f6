-- What people are searched by: the words of their names, which `scoring::search_key` derives. The drain fills it with the
-- people that were added since; the nightly check of all scores finds those that were renamed or removed.
CREATE TABLE IF NOT EXISTS cinegraph.folded_names (
    person_id  bigint PRIMARY KEY,
    -- The name that the words were derived from.
    name       text NOT NULL,
    -- The words of the name without a leading article: how whole names and beginnings are compared.
    bare       text COLLATE "C" NOT NULL,
    -- The words, each after a space, and a space at the end.
    words      text COLLATE "C" NOT NULL,
    -- Logarithm of the number of votes for the movies of the person, in coarse steps.
    popularity smallint NOT NULL
);

-- As those of `folded_titles`.
CREATE INDEX IF NOT EXISTS folded_names_words_index ON cinegraph.folded_names
    USING gin (array_to_tsvector(string_to_array(btrim(words), ' '))) WITH (fastupdate = off);
CREATE INDEX IF NOT EXISTS folded_names_bare_index ON cinegraph.folded_names (bare, person_id);
CREATE INDEX IF NOT EXISTS folded_names_popularity_index ON cinegraph.folded_names (popularity DESC, person_id);
ALTER INDEX cinegraph.folded_names_words_index ALTER COLUMN 1 SET STATISTICS 500;
ALTER TABLE cinegraph.folded_names ALTER COLUMN words SET STATISTICS 500;

-- People are looked up by their IMDb id. In another application's tables, `cinegraph migrate` creates this index.
DO $$
BEGIN
    IF (SELECT owns_catalogue FROM cinegraph.installation) THEN
        CREATE INDEX IF NOT EXISTS cinegraph_people_imdb_id_idx ON public.people (imdb_id);
    END IF;
END
$$;
