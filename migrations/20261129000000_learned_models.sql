-- Versions of learned rankings. The newest accepted version of a list and variant is served; `withdrawn` is one that an
-- operator has rolled back. A refused version keeps its report, which says why, but no model.
CREATE TABLE IF NOT EXISTS cinegraph.model_versions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list_key   text NOT NULL,
    variant    text NOT NULL CHECK (variant IN ('with_lists', 'without_lists')),
    status     text NOT NULL CHECK (status IN ('accepted', 'refused', 'withdrawn')),
    trained_at timestamptz NOT NULL DEFAULT now(),
    report     jsonb NOT NULL,
    -- SHA-256 of the model, then the model.
    model      bytea,
    CHECK ((model IS NULL) = (status = 'refused'))
);
CREATE INDEX IF NOT EXISTS model_versions_of_ranking ON cinegraph.model_versions (list_key, variant, id DESC);

-- What a version ranks the movies of a decade by: their feature codes. One row for each decade, because features are ranks
-- within it. The ids are 8 bytes each, ascending; the codes are one byte for each movie and feature, feature by feature.
CREATE TABLE IF NOT EXISTS cinegraph.model_codes (
    version_id  bigint NOT NULL REFERENCES cinegraph.model_versions ON DELETE CASCADE,
    decade      integer NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    movie_ids   bytea NOT NULL,
    codes       bytea NOT NULL,
    PRIMARY KEY (version_id, decade)
);
-- Codes are not worth the time of compressing them.
ALTER TABLE cinegraph.model_codes ALTER COLUMN movie_ids SET STORAGE EXTERNAL, ALTER COLUMN codes SET STORAGE EXTERNAL;

-- The version of a list's learned rankings: raised when another model, or newer codes, are served.
ALTER TABLE cinegraph.data_versions DROP CONSTRAINT IF EXISTS data_versions_scope_check;
ALTER TABLE cinegraph.data_versions ADD CONSTRAINT data_versions_scope_check
    CHECK (scope IN ('scores', 'list', 'snapshot', 'profiles', 'reference', 'taste', 'model'));
