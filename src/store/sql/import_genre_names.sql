-- $2 TMDb's names, $3 its ids; another genre gets the next id below 0, once.
WITH named AS MATERIALIZED (
    SELECT genre, known.tmdb_id, line
    FROM (SELECT genre, min(line) AS line FROM staged_genres GROUP BY genre) AS given
    LEFT JOIN unnest($2::text[], $3::integer[]) AS known (genre, tmdb_id) USING (genre)
), found AS MATERIALIZED (
    SELECT named.*, (SELECT min(g.id) FROM public.genres AS g
                     WHERE CASE WHEN named.tmdb_id IS NULL THEN g.name = named.genre
                                ELSE g.tmdb_id = named.tmdb_id END) AS id
    FROM named
), added AS (
    INSERT INTO public.genres (tmdb_id, name, inserted_at, updated_at)
    SELECT coalesce(tmdb_id, (SELECT least(0, min(tmdb_id)) FROM public.genres)
                             - row_number() OVER (PARTITION BY tmdb_id IS NULL ORDER BY line)), genre, $1, $1
    FROM found
    WHERE id IS NULL
    ORDER BY line
    RETURNING id, name
)
INSERT INTO staged_genre_ids
SELECT found.genre, coalesce(found.id, added.id) FROM found LEFT JOIN added ON added.name = found.genre
