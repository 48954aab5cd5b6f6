-- What the files say, row by row, checked but not merged. Columns in the order in which they are copied.
CREATE TEMP TABLE staged_movies (
    line bigint, tmdb_id integer, imdb_id text, title text, release_date date, adult boolean, import_status text,
    original_language text, poster_path text, overview text, runtime integer, original_title text,
    fetched_at timestamp
) ON COMMIT DROP;
CREATE TEMP TABLE staged_people (line bigint, tmdb_id integer, name text) ON COMMIT DROP;
CREATE TEMP TABLE staged_metrics (
    line bigint, tmdb_id integer, source text, metric_type text, value double precision, fetched_at timestamp
) ON COMMIT DROP;
CREATE TEMP TABLE staged_lists (
    line bigint, list_key text, tmdb_id integer, list_position integer, edition text
) ON COMMIT DROP;
CREATE TEMP TABLE staged_credits (
    line bigint, movie_tmdb_id integer, person_tmdb_id integer, credit_id text, credit_type text, department text,
    job text, "character" text, cast_order integer
) ON COMMIT DROP;
CREATE TEMP TABLE staged_nominations (
    line bigint, organization text, year integer, category text, movie_tmdb_id integer, person_name text, won boolean
) ON COMMIT DROP;
CREATE TEMP TABLE staged_genres (line bigint, tmdb_id integer, genre text) ON COMMIT DROP;

-- What the words of the files mean here, once their rows exist.
CREATE TEMP TABLE staged_organization_ids (abbreviation text, organization_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE staged_genre_ids (genre text, genre_id bigint) ON COMMIT DROP;

-- IMDb's dumps. Films are spread to staged_movies and staged_genres, credits are staged as others are.
CREATE TEMP TABLE staged_imdb_films (
    line bigint, tmdb_id integer, imdb_id text, title text, release_date date, genres text
) ON COMMIT DROP;
CREATE TEMP TABLE staged_imdb_ratings (
    line bigint, tmdb_id integer, imdb_id text, average double precision, votes integer
) ON COMMIT DROP;
CREATE TEMP TABLE staged_imdb_people (line bigint, tmdb_id integer, imdb_id text, name text) ON COMMIT DROP;

-- What completes movies of earlier imports. Of a link, the columns after the second id are filled by the merge.
CREATE TEMP TABLE staged_links (
    line bigint, imdb_id text, tmdb_id integer, movie_id bigint, stored_id integer, outcome text
) ON COMMIT DROP;
CREATE TEMP TABLE staged_tmdb_ids (
    line bigint, tmdb_id integer, adult boolean, popularity double precision
) ON COMMIT DROP;
