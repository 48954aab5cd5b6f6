-- A decade is read film by film only until memory holds it, but somebody waits for that. A statement that returns fifteen
-- columns of each film spends most of its time on putting them into messages and taking them out again. So each row of the
-- score table also holds what of it is read, end to end as one value, and the values of a day travel as one.

-- PostgreSQL's binary forms; `store::records` reads them. Declared immutable, as a generated column demands: text has the
-- encoding of the session that writes, which for writers of the score table is always UTF-8. In plpgsql, for a function
-- in SQL that is more than its parts are is not inlined and takes five times as long.
CREATE FUNCTION cinegraph.film_record(
    movie_id bigint, release_date date, popular_opinion double precision, critical_acclaim double precision,
    industry_recognition double precision, cultural_impact double precision, people_quality double precision,
    coverage smallint, computed_at timestamptz, title text, language text, list_keys text[], genre_ids bigint[],
    country_ids bigint[]
) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN int8send(movie_id) || date_send(release_date) || float8send(popular_opinion) || float8send(critical_acclaim)
        || float8send(industry_recognition) || float8send(cultural_impact) || float8send(people_quality)
        || int2send(coverage) || timestamptz_send(computed_at) || array_send(ARRAY[title, language])
        || array_send(list_keys) || array_send(genre_ids) || array_send(country_ids);
END
$$;

-- NULL for undated films, which are in no decade.
ALTER TABLE cinegraph.movie_discovery_scores ADD COLUMN record bytea GENERATED ALWAYS AS (
    cinegraph.film_record(movie_id, release_date, popular_opinion_score, critical_acclaim_score,
                          industry_recognition_score, cultural_impact_score, people_quality_score, coverage,
                          computed_at, title, language, list_keys, genre_ids, country_ids)) STORED;

-- The films of a decade side by side, on a tenth of the pages. With room for new versions of the rows, which then stay
-- where they are: a refresh goes in the order of ids, so few rows of a page change at a time.
ALTER TABLE cinegraph.movie_discovery_scores SET (fillfactor = 90);
CLUSTER cinegraph.movie_discovery_scores USING movie_discovery_scores_release_date_idx;
ANALYZE cinegraph.movie_discovery_scores;

-- The snapshot likewise: the films of a list by date, and of each what is read of it.
DROP MATERIALIZED VIEW cinegraph.movie_scores;
CREATE MATERIALIZED VIEW cinegraph.movie_scores AS
SELECT target.list_key,
       s.movie_id,
       s.release_date,
       s.list_keys,
       s.popular_opinion_score,
       s.critical_acclaim_score,
       s.industry_recognition_score,
       s.cultural_impact_score,
       s.people_quality_score,
       blind.cultural_impact_score AS blind_cultural_impact_score,
       blind.people_quality_score AS blind_people_quality_score,
       s.coverage,
       s.popularity,
       s.computed_at,
       int8send(s.movie_id) || float8send(s.popular_opinion_score) || float8send(s.critical_acclaim_score)
           || float8send(s.industry_recognition_score) || float8send(s.cultural_impact_score)
           || float8send(s.people_quality_score) || float8send(blind.cultural_impact_score)
           || float8send(blind.people_quality_score) || float8send(coalesce(nullif(s.popularity, 'NaN'), 0))
           || array_send(s.list_keys) AS record
FROM cinegraph.target_lists AS target
CROSS JOIN cinegraph.movie_discovery_scores AS s
LEFT JOIN cinegraph.movie_blind_scores AS hidden
    ON hidden.list_key = target.list_key AND hidden.movie_id = s.movie_id
CROSS JOIN LATERAL (
    SELECT coalesce(hidden.cultural_impact_score, s.cultural_impact_score) AS cultural_impact_score,
           coalesce(hidden.people_quality_score, s.people_quality_score) AS people_quality_score
) AS blind
ORDER BY target.list_key, s.release_date
WITH NO DATA;
CREATE UNIQUE INDEX movie_scores_list_key_movie_id_idx ON cinegraph.movie_scores (list_key, movie_id);
CREATE INDEX movie_scores_list_key_release_date_idx ON cinegraph.movie_scores (list_key, release_date);

-- Where there was a snapshot, there is one until the next is taken; as old, at the most, as its blind scores.
DO $$
BEGIN
    IF EXISTS (SELECT FROM cinegraph.snapshot) THEN
        REFRESH MATERIALIZED VIEW cinegraph.movie_scores;
        ANALYZE cinegraph.movie_scores;
    END IF;
END
$$;
