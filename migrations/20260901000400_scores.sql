-- Stored scores: one row per full film, the same values as movie_scores_live, ready to be read by decade.
CREATE TABLE cinegraph.movie_discovery_scores (
    movie_id                   bigint PRIMARY KEY,
    release_date               date,
    list_keys                  text[] NOT NULL,
    popular_opinion_score      double precision NOT NULL,
    critical_acclaim_score     double precision NOT NULL,
    industry_recognition_score double precision NOT NULL,
    cultural_impact_score      double precision NOT NULL,
    people_quality_score       double precision NOT NULL,
    -- How many of the four rating inputs are above 0.
    coverage                   smallint NOT NULL,
    -- The popularity that cultural impact used: the popularity-only baseline ranks by it, blind scores need it again.
    popularity                 double precision,
    -- What a decade's films are filtered by, as movie_attributes has it. Beside the scores, so that a decade is read as one
    -- range of one table: gathered film by film, the first touch of a decade took six times as long.
    title                      text NOT NULL,
    language                   text NOT NULL,
    genre_ids                  bigint[] NOT NULL,
    country_ids                bigint[] NOT NULL,
    -- Scores of another version are not served.
    formula_version            integer NOT NULL,
    computed_at                timestamptz NOT NULL
);
-- The films of a decade are one range.
CREATE INDEX movie_discovery_scores_release_date_idx ON cinegraph.movie_discovery_scores (release_date);

-- The lists whose own labels can be hidden from a validation.
CREATE TABLE cinegraph.target_lists (list_key text PRIMARY KEY);
INSERT INTO cinegraph.target_lists VALUES ('1001_movies');

-- The two criteria that membership of the target list leaks into, recomputed without it. Only films that differ from
-- their published scores have a row: listed ones, and those that share a person with a listed film of their decade.
CREATE TABLE cinegraph.movie_blind_scores (
    list_key              text NOT NULL,
    movie_id              bigint NOT NULL,
    cultural_impact_score double precision NOT NULL,
    people_quality_score  double precision NOT NULL,
    PRIMARY KEY (list_key, movie_id)
);

-- Both, as one snapshot that agrees with itself: a validation never sees half of an update.
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
       coalesce(blind.cultural_impact_score, s.cultural_impact_score) AS blind_cultural_impact_score,
       coalesce(blind.people_quality_score, s.people_quality_score) AS blind_people_quality_score,
       s.coverage,
       s.popularity,
       s.computed_at
FROM cinegraph.target_lists AS target
CROSS JOIN cinegraph.movie_discovery_scores AS s
LEFT JOIN cinegraph.movie_blind_scores AS blind
    ON blind.list_key = target.list_key AND blind.movie_id = s.movie_id
WITH NO DATA;
-- REFRESH … CONCURRENTLY needs a unique index; the second makes a decade of a list one range.
CREATE UNIQUE INDEX movie_scores_list_key_movie_id_idx ON cinegraph.movie_scores (list_key, movie_id);
CREATE INDEX movie_scores_list_key_release_date_idx ON cinegraph.movie_scores (list_key, release_date);

-- What the snapshot is: taken when, by which formula. No row: none was taken yet.
CREATE TABLE cinegraph.snapshot (
    singleton       boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    taken_at        timestamptz NOT NULL,
    formula_version integer NOT NULL
);

-- Counters that say how new an answer must be. Scopes: 'scores' (of one decade), 'list' (one list in one decade),
-- 'snapshot', 'profiles' and 'reference' (one row each; list_key '' and decade 0 where the scope has none).
-- `floor` is the version below which a cached answer may not even be served stale.
CREATE TABLE cinegraph.data_versions (
    scope      text NOT NULL CHECK (scope IN ('scores', 'list', 'snapshot', 'profiles', 'reference')),
    list_key   text NOT NULL DEFAULT '',
    decade     integer NOT NULL DEFAULT 0,
    version    bigint NOT NULL,
    floor      bigint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (scope, list_key, decade)
);

-- Raises one counter and tells every instance when the transaction commits.
CREATE FUNCTION cinegraph.raise_version(of_scope text, of_list text, of_decade integer, hard boolean) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO cinegraph.data_versions AS v (scope, list_key, decade, version, floor, changed_at)
    VALUES (of_scope, of_list, of_decade, 1, hard::integer, now())
    ON CONFLICT (scope, list_key, decade) DO UPDATE
        SET version = v.version + 1,
            floor = CASE WHEN hard THEN v.version + 1 ELSE v.floor END,
            changed_at = now();
    SELECT pg_notify('cinegraph_events', of_scope || ':' || of_list || ':' || of_decade);
$$;

-- Exact weights of profiles made here, in criterion order; a profile without a row has its category weights mapped.
CREATE TABLE cinegraph.profile_weights (
    profile_id           bigint PRIMARY KEY,
    popular_opinion      double precision NOT NULL CHECK (popular_opinion >= 0),
    critical_acclaim     double precision NOT NULL CHECK (critical_acclaim >= 0),
    industry_recognition double precision NOT NULL CHECK (industry_recognition >= 0),
    cultural_impact      double precision NOT NULL CHECK (cultural_impact >= 0),
    people_quality       double precision NOT NULL CHECK (people_quality >= 0),
    updated_at           timestamptz NOT NULL
);
