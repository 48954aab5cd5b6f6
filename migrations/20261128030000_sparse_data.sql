-- The number of votes of each movie as of the snapshot, by which baselines rank; movies without votes have no row. A table
-- of its own, so that nothing is rebuilt while the previous release serves.
CREATE TABLE IF NOT EXISTS cinegraph.movie_votes (
    movie_id bigint PRIMARY KEY,
    votes double precision NOT NULL
);

-- For each criterion, in the order of the formula, whether the movies have data for it, as of the last snapshot of this
-- release; null before the first one.
ALTER TABLE cinegraph.snapshot ADD COLUMN IF NOT EXISTS criteria_with_data boolean[];

-- Has a row as soon as the default profile was chosen, by accuracy or by an administrator; then it is never chosen by
-- accuracy again. Before this migration, somebody may have chosen another than the shipped one, or have seen rankings by it.
DO $$
BEGIN
    IF to_regclass('cinegraph.default_profile_choice') IS NULL THEN
        CREATE TABLE cinegraph.default_profile_choice (
            singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
            chosen_at timestamptz NOT NULL DEFAULT now()
        );
        INSERT INTO cinegraph.default_profile_choice (singleton)
        SELECT true
        WHERE EXISTS (SELECT FROM cinegraph.snapshot)
           OR NOT EXISTS (SELECT FROM public.metric_weight_profiles WHERE name = 'Balanced' AND is_default);
    END IF;
END
$$;
