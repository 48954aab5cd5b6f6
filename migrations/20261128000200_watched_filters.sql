-- The genres and countries that movies are filtered by are watched like what their scores are computed from; `queue_movies`
-- watches titles and languages. The rules of `queue_movies` and its siblings apply to the functions below.

-- The link tables have no id, so that a row that was changed is one removed and one added.
CREATE OR REPLACE FUNCTION cinegraph.queue_movie_genres() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME
        FROM ((SELECT movie_id, genre_id FROM before EXCEPT ALL SELECT movie_id, genre_id FROM after)
              UNION ALL
              (SELECT movie_id, genre_id FROM after EXCEPT ALL SELECT movie_id, genre_id FROM before)) AS link
        WHERE movie_id IS NOT NULL;
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME FROM written WHERE movie_id IS NOT NULL;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION cinegraph.queue_movie_production_countries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME
        FROM ((SELECT movie_id, production_country_id FROM before
               EXCEPT ALL SELECT movie_id, production_country_id FROM after)
              UNION ALL
              (SELECT movie_id, production_country_id FROM after
               EXCEPT ALL SELECT movie_id, production_country_id FROM before)) AS link
        WHERE movie_id IS NOT NULL;
    ELSE
        INSERT INTO cinegraph.score_refresh_queue (movie_id, reason)
        SELECT DISTINCT movie_id, TG_TABLE_NAME FROM written WHERE movie_id IS NOT NULL;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

-- Genres and countries that were added, renamed or removed. They queue no movie, because no score changes; the drain raises
-- the versions of what shows their names.
CREATE TABLE IF NOT EXISTS cinegraph.name_changes (
    id         bigserial PRIMARY KEY,
    -- The table that was written to.
    table_name text NOT NULL
);

CREATE OR REPLACE FUNCTION cinegraph.queue_genres() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.name_changes (table_name)
        SELECT TG_TABLE_NAME
        WHERE EXISTS (SELECT id, tmdb_id, name FROM before EXCEPT SELECT id, tmdb_id, name FROM after);
    ELSE
        INSERT INTO cinegraph.name_changes (table_name) SELECT TG_TABLE_NAME WHERE EXISTS (SELECT FROM written);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION cinegraph.queue_production_countries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' SET jit = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO cinegraph.name_changes (table_name)
        SELECT TG_TABLE_NAME
        WHERE EXISTS (SELECT id, iso_3166_1, name FROM before EXCEPT SELECT id, iso_3166_1, name FROM after);
    ELSE
        INSERT INTO cinegraph.name_changes (table_name) SELECT TG_TABLE_NAME WHERE EXISTS (SELECT FROM written);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;
