-- TMDb ids that movies had before TMDb merged two entries, so that links with them still find the movie. A row whose id a
-- movie has again is not used. No foreign key: that would put triggers on the movie table of a host application.
CREATE TABLE IF NOT EXISTS cinegraph.former_tmdb_ids (
    tmdb_id  integer PRIMARY KEY,
    movie_id bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS former_tmdb_ids_movie_id_index ON cinegraph.former_tmdb_ids (movie_id);

-- How many movies each source has metrics of, and how new these are. Counted with each snapshot, because the table of
-- metrics is too large for each request.
CREATE TABLE IF NOT EXISTS cinegraph.metric_sources (
    source text PRIMARY KEY,
    movies bigint NOT NULL,
    newest timestamptz NOT NULL
);
