-- Stored scores of the movies $1: those that differ from the formula ($2 = its version) are replaced, those of films
-- that are gone or no longer full removed, and versions raised: softly of the decades touched, hard of each list in each
-- decade that a film joined or left.
WITH before AS MATERIALIZED (
    SELECT movie_id, release_date, list_keys,
           (popular_opinion_score, critical_acclaim_score, industry_recognition_score, cultural_impact_score,
            people_quality_score, release_date, list_keys) AS scored
    FROM cinegraph.movie_discovery_scores
    WHERE movie_id = ANY ($1)
), live AS MATERIALIZED (
    SELECT s.*, a.title, a.language, a.genre_ids, a.country_ids,
           (popular_opinion_score, critical_acclaim_score, industry_recognition_score, cultural_impact_score,
            people_quality_score, release_date, list_keys) AS scored
    FROM cinegraph.movie_scores_live AS s
    -- OFFSET 0: looked up film by film, never by reading all films.
    CROSS JOIN LATERAL (SELECT * FROM cinegraph.movie_attributes AS a WHERE a.movie_id = s.movie_id OFFSET 0) AS a
    WHERE s.movie_id = ANY ($1) AND s.import_status = 'full'
), stored AS (
    INSERT INTO cinegraph.movie_discovery_scores AS stored
        (movie_id, release_date, list_keys, popular_opinion_score, critical_acclaim_score, industry_recognition_score,
         cultural_impact_score, people_quality_score, coverage, popularity, title, language, genre_ids, country_ids,
         formula_version, computed_at)
    SELECT movie_id, release_date, list_keys, popular_opinion_score, critical_acclaim_score, industry_recognition_score,
           cultural_impact_score, people_quality_score, coverage, popularity, title, language, genre_ids, country_ids,
           $2, now()
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
    WHERE gone.movie_id = ANY ($1) AND NOT EXISTS (SELECT FROM live WHERE live.movie_id = gone.movie_id)
    RETURNING gone.movie_id, gone.release_date
), changed AS (
    SELECT movie_id FROM stored UNION ALL SELECT movie_id FROM removed
), touched AS (
    SELECT cinegraph.decade(release_date) AS decade FROM stored
    UNION SELECT cinegraph.decade(release_date) FROM before JOIN changed USING (movie_id)
), was_on AS (
    SELECT movie_id, list_key, coalesce(cinegraph.decade(release_date), 0) AS decade
    FROM before JOIN changed USING (movie_id) CROSS JOIN LATERAL unnest(list_keys) AS list_key
), is_on AS (
    SELECT movie_id, list_key, coalesce(cinegraph.decade(release_date), 0) AS decade
    FROM stored CROSS JOIN LATERAL unnest(list_keys) AS list_key
), moved AS (
    (TABLE was_on EXCEPT TABLE is_on) UNION ALL (TABLE is_on EXCEPT TABLE was_on)
), raised AS (
    -- Who is on a list must be seen at once, scores soon.
    SELECT cinegraph.raise_version('scores', '', decade, decade IN (SELECT decade FROM moved))
    FROM touched WHERE decade IS NOT NULL ORDER BY decade
), raised_lists AS (
    SELECT cinegraph.raise_version('list', list_key, decade, true)
    FROM (SELECT DISTINCT list_key, decade FROM moved ORDER BY list_key, decade) AS list
), corrected AS (
    -- Not what waits in the queue: that is only late.
    SELECT FROM changed LEFT JOIN before USING (movie_id) LEFT JOIN live USING (movie_id)
    WHERE before.scored IS DISTINCT FROM live.scored
      AND NOT EXISTS (SELECT FROM cinegraph.score_refresh_queue AS entry WHERE entry.movie_id = changed.movie_id)
      AND NOT EXISTS (SELECT FROM cinegraph.score_refresh_queue AS entry WHERE entry.movie_id IS NULL)
)
SELECT (SELECT count(*) FROM live) AS "computed!",
       (SELECT count(*) FROM changed) AS "changed!",
       (SELECT count(*) FROM corrected) AS "corrected!",
       (SELECT count(*) FROM raised) AS "decades!",
       (SELECT count(*) FROM raised_lists) AS "lists!"
