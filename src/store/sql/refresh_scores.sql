-- Stored scores of the movies with ids in ($1, $2]: those that differ from the formula ($3 = its version) are replaced,
-- those of films that are no longer full removed, and the versions of the decades touched raised.
WITH before AS MATERIALIZED (
    SELECT movie_id, release_date FROM cinegraph.movie_discovery_scores WHERE movie_id > $1 AND movie_id <= $2
), live AS MATERIALIZED (
    SELECT s.*, a.title, a.language, a.genre_ids, a.country_ids
    FROM cinegraph.movie_scores_live AS s
    -- OFFSET 0: looked up film by film, never by reading all films.
    CROSS JOIN LATERAL (SELECT * FROM cinegraph.movie_attributes AS a WHERE a.movie_id = s.movie_id OFFSET 0) AS a
    WHERE s.movie_id > $1 AND s.movie_id <= $2 AND s.import_status = 'full'
), stored AS (
    INSERT INTO cinegraph.movie_discovery_scores AS stored
        (movie_id, release_date, list_keys, popular_opinion_score, critical_acclaim_score, industry_recognition_score,
         cultural_impact_score, people_quality_score, coverage, popularity, title, language, genre_ids, country_ids,
         formula_version, computed_at)
    SELECT movie_id, release_date, list_keys, popular_opinion_score, critical_acclaim_score, industry_recognition_score,
           cultural_impact_score, people_quality_score, coverage, popularity, title, language, genre_ids, country_ids,
           $3, now()
    FROM live
    ORDER BY movie_id
    ON CONFLICT (movie_id) DO UPDATE
        SET release_date = excluded.release_date,
            list_keys = excluded.list_keys,
            popular_opinion_score = excluded.popular_opinion_score,
            critical_acclaim_score = excluded.critical_acclaim_score,
            industry_recognition_score = excluded.industry_recognition_score,
            cultural_impact_score = excluded.cultural_impact_score,
            people_quality_score = excluded.people_quality_score,
            coverage = excluded.coverage,
            popularity = excluded.popularity,
            title = excluded.title,
            language = excluded.language,
            genre_ids = excluded.genre_ids,
            country_ids = excluded.country_ids,
            formula_version = excluded.formula_version,
            computed_at = excluded.computed_at
        WHERE (stored.release_date, stored.list_keys, stored.popular_opinion_score, stored.critical_acclaim_score,
               stored.industry_recognition_score, stored.cultural_impact_score, stored.people_quality_score,
               stored.coverage, stored.popularity, stored.title, stored.language, stored.genre_ids, stored.country_ids,
               stored.formula_version)
            IS DISTINCT FROM
              (excluded.release_date, excluded.list_keys, excluded.popular_opinion_score,
               excluded.critical_acclaim_score, excluded.industry_recognition_score, excluded.cultural_impact_score,
               excluded.people_quality_score, excluded.coverage, excluded.popularity, excluded.title, excluded.language,
               excluded.genre_ids, excluded.country_ids, excluded.formula_version)
    RETURNING movie_id, release_date, list_keys
), removed AS (
    DELETE FROM cinegraph.movie_discovery_scores AS gone
    USING before
    WHERE gone.movie_id = before.movie_id AND NOT EXISTS (SELECT FROM live WHERE live.movie_id = gone.movie_id)
    RETURNING gone.movie_id, gone.release_date
), touched AS (
    SELECT cinegraph.decade(release_date) AS decade FROM stored
    UNION SELECT cinegraph.decade(release_date) FROM removed
    UNION SELECT cinegraph.decade(before.release_date) FROM before JOIN stored USING (movie_id)
), raised AS (
    SELECT cinegraph.raise_version('scores', '', decade, false) FROM touched WHERE decade IS NOT NULL ORDER BY decade
), named AS (
    -- Lists that only films know: so that they can be asked for.
    INSERT INTO cinegraph.data_versions (scope, list_key, decade, version, changed_at)
    SELECT DISTINCT 'list', list_key, 0, 1, now()
    FROM stored CROSS JOIN LATERAL unnest(list_keys) AS list_key
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM live) AS "computed!",
       (SELECT count(*) FROM stored) + (SELECT count(*) FROM removed) AS "changed!",
       (SELECT count(*) FROM raised) AS "raised!"
