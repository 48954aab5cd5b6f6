-- What a decade's films are filtered by, so that the score table and the direct query agree on it.
CREATE VIEW cinegraph.movie_attributes AS
SELECT m.id AS movie_id,
       m.title,
       coalesce(m.original_language, '') AS language,
       ARRAY(SELECT g.genre_id FROM public.movie_genres AS g WHERE g.movie_id = m.id ORDER BY g.genre_id) AS genre_ids,
       ARRAY(SELECT c.production_country_id FROM public.movie_production_countries AS c
             WHERE c.movie_id = m.id ORDER BY c.production_country_id) AS country_ids
FROM public.movies AS m;

-- Beside the scores, so that a decade is read as one range of one table: gathered film by film on the first touch of a
-- decade it took six times as long. Rows from before have none; until a refresh has made them anew, the direct query serves.
TRUNCATE cinegraph.movie_discovery_scores;
ALTER TABLE cinegraph.movie_discovery_scores
    ADD COLUMN title text NOT NULL,
    ADD COLUMN language text NOT NULL,
    ADD COLUMN genre_ids bigint[] NOT NULL,
    ADD COLUMN country_ids bigint[] NOT NULL;
