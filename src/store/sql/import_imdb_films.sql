-- Spreads the films to where those of CSV files are staged. The time, $1, is theirs.
WITH film AS (
    INSERT INTO staged_movies (line, tmdb_id, imdb_id, title, release_date, adult, import_status)
    SELECT line, tmdb_id, imdb_id, title, release_date, false, 'full' FROM staged_imdb_films
)
INSERT INTO staged_genres (line, tmdb_id, genre)
SELECT line, tmdb_id, genre FROM staged_imdb_films, unnest(string_to_array(genres, ',')) AS genre
