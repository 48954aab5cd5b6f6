-- Everything that is ours lives in this schema, so that it never meets a table of the host application
-- and so that detaching is one DROP SCHEMA.
CREATE SCHEMA IF NOT EXISTS cinegraph;

-- Who made the film tables. Decided once, before the next migration can create them: where they were already
-- there, they are another application's, and `import` and `generate` refuse to write to them.
CREATE TABLE IF NOT EXISTS cinegraph.installation (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    owns_catalogue   boolean NOT NULL,
    -- What filled the tables, so that a demo can tell films that it may replace (generated) from yours.
    catalogue_origin text CHECK (catalogue_origin IN ('generated', 'imported')),
    -- Of a generated catalogue: {"films": N, "seed": S}.
    catalogue_detail jsonb,
    installed_at     timestamptz NOT NULL DEFAULT now()
);

INSERT INTO cinegraph.installation (owns_catalogue)
VALUES (to_regclass('public.movies') IS NULL)
ON CONFLICT DO NOTHING;
