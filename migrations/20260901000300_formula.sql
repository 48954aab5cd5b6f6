-- The one SQL definition of the formula, version 1. Its twin in Rust is `scoring::score`; a test holds the two equal
-- bit for bit on generated films, so an operation must not be reordered here alone.

-- A missing or NaN input counts 0 (NaN sorts above every number here). So does one too near to 0 for PostgreSQL to
-- multiply: half of 5e-324 is an underflow error, and one such rating would end the refresh of every film in its batch.
CREATE OR REPLACE FUNCTION cinegraph.known(input double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN abs(input) BETWEEN 1e-300 AND 'Infinity' THEN input ELSE 0 END $$;

-- A criterion: 0 to 1, whatever the inputs were. The argument is used once, so that PostgreSQL inlines the function
-- whatever it costs; NaN must go first, for LEAST would make it a 1.
CREATE OR REPLACE FUNCTION cinegraph.criterion(raw double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT greatest(0::double precision, least(1::double precision, coalesce(nullif(raw, 'NaN'), 0))) $$;

-- Cultural impact of a film on `lists` lists. `popularity` is TMDb's, open upwards.
CREATE OR REPLACE FUNCTION cinegraph.cultural_impact(lists integer, popularity double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT cinegraph.criterion(
       0.1::double precision * lists
       + ln(greatest(0::double precision, coalesce(nullif(popularity, 'NaN'), 0)) + 1) / ln(1001::double precision)) $$;

-- Quality of a person, 0 to 100, from the weighted count of what they did. Negative counts do not occur.
CREATE OR REPLACE FUNCTION cinegraph.person_quality(raw double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT least(100::double precision,
       100::double precision * log(greatest(0::double precision, raw) + 1) / log(1001::double precision)) $$;

-- A JSON number as a double, NULL for anything else or what a double cannot hold.
CREATE OR REPLACE FUNCTION cinegraph.json_number(value jsonb) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
       CASE WHEN value::numeric = 0 THEN 0::double precision
            WHEN abs(value::numeric) BETWEEN 1e-300 AND 1e300 THEN value::double precision END
   END $$;

-- The lists that a film is on, in a fixed order; none where `canonical_sources` is NULL or no object.
CREATE OR REPLACE FUNCTION cinegraph.list_keys(sources jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN jsonb_typeof(sources) = 'object'
       THEN ARRAY(SELECT key FROM jsonb_object_keys(sources) AS key ORDER BY key COLLATE "C")
       ELSE '{}' END $$;

-- First year of the decade of a date.
CREATE OR REPLACE FUNCTION cinegraph.decade(day date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT floor(extract(year FROM day) / 10)::integer * 10 $$;

-- What the criteria of every film are made of, from the base tables. Only correlated look-ups per film, so that a
-- condition on id or date reaches every index.
CREATE OR REPLACE VIEW cinegraph.movie_score_inputs AS
SELECT m.id AS movie_id,
       m.release_date,
       m.import_status,
       lists.keys AS list_keys,
       rating.tmdb AS tmdb_rating,
       rating.imdb AS imdb_rating,
       rating.metascore,
       rating.tomatometer,
       rating.popularity,
       award.nominations,
       award.wins,
       people.quality AS people_quality
FROM public.movies AS m
CROSS JOIN LATERAL (SELECT cinegraph.list_keys(m.canonical_sources) AS keys OFFSET 0) AS lists
CROSS JOIN LATERAL (
    -- One row per film, source and type, so max() is that row's value.
    SELECT max(e.value) FILTER (WHERE e.source = 'tmdb' AND e.metric_type = 'rating_average') AS tmdb,
           max(e.value) FILTER (WHERE e.source = 'imdb' AND e.metric_type = 'rating_average') AS imdb,
           max(e.value) FILTER (WHERE e.source = 'metacritic' AND e.metric_type = 'metascore') AS metascore,
           max(e.value) FILTER (WHERE e.source = 'rotten_tomatoes' AND e.metric_type = 'tomatometer') AS tomatometer,
           -- Some databases hold a count of user lists under this name: then the film's raw record has the popularity.
           max(CASE WHEN e.metadata ->> 'type' = 'list_appearances'
                    THEN cinegraph.json_number(m.tmdb_data -> 'popularity')
                    ELSE e.value END)
               FILTER (WHERE e.source = 'tmdb' AND e.metric_type = 'popularity_score') AS popularity
    FROM public.external_metrics AS e
    WHERE e.movie_id = m.id
) AS rating
CROSS JOIN LATERAL (
    SELECT count(*) AS nominations, count(*) FILTER (WHERE f.won) AS wins
    FROM public.festival_nominations AS f
    WHERE f.movie_id = m.id
) AS award
CROSS JOIN LATERAL (
    -- Per credit row, so that somebody credited twice counts twice; added in the order of the rows.
    SELECT sum(q.score ORDER BY c.id) / count(*) AS quality
    FROM public.movie_credits AS c
    JOIN public.person_metrics AS q ON q.person_id = c.person_id AND q.metric_type = 'quality_score'
    WHERE c.movie_id = m.id AND q.score <> 'NaN'
) AS people;

-- Scores of every film from its inputs: what fills the score table (full films), and the direct query that serves when
-- the table cannot.
CREATE OR REPLACE VIEW cinegraph.movie_scores_live AS
SELECT movie_id,
       release_date,
       import_status,
       list_keys,
       cinegraph.criterion(0.5::double precision * cinegraph.known(tmdb_rating) / 10
                         + 0.5::double precision * cinegraph.known(imdb_rating) / 10) AS popular_opinion_score,
       cinegraph.criterion(0.5::double precision * cinegraph.known(metascore) / 100
                         + 0.5::double precision * cinegraph.known(tomatometer) / 100) AS critical_acclaim_score,
       cinegraph.criterion(0.2::double precision * wins
                         + 0.05::double precision * nominations) AS industry_recognition_score,
       cinegraph.cultural_impact(cardinality(list_keys), popularity) AS cultural_impact_score,
       cinegraph.criterion(people_quality / 100) AS people_quality_score,
       ((cinegraph.known(tmdb_rating) > 0)::integer + (cinegraph.known(imdb_rating) > 0)::integer
         + (cinegraph.known(metascore) > 0)::integer + (cinegraph.known(tomatometer) > 0)::integer)::smallint AS coverage,
       popularity
FROM cinegraph.movie_score_inputs;

-- What a decade's films are filtered by, so that the score table and the direct query agree on it.
CREATE VIEW cinegraph.movie_attributes AS
SELECT m.id AS movie_id,
       m.title,
       coalesce(m.original_language, '') AS language,
       ARRAY(SELECT g.genre_id FROM public.movie_genres AS g WHERE g.movie_id = m.id ORDER BY g.genre_id) AS genre_ids,
       ARRAY(SELECT c.production_country_id FROM public.movie_production_countries AS c
             WHERE c.movie_id = m.id ORDER BY c.production_country_id) AS country_ids
FROM public.movies AS m;
