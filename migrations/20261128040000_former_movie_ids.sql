-- Ids of rows that were merged with the row of another movie id, so that links with them still find the movie.
CREATE TABLE IF NOT EXISTS cinegraph.former_movie_ids (
    id       bigint PRIMARY KEY,
    movie_id bigint NOT NULL
);
