-- Answers under one set of weights can be invalidated by hand: scope 'taste', its fingerprint in the place of the list's key.
ALTER TABLE cinegraph.data_versions DROP CONSTRAINT IF EXISTS data_versions_scope_check;
ALTER TABLE cinegraph.data_versions ADD CONSTRAINT data_versions_scope_check
    CHECK (scope IN ('scores', 'list', 'snapshot', 'profiles', 'reference', 'taste'));

-- As before; and a list that was never counted is a new name, which questions may use from now on.
CREATE OR REPLACE FUNCTION cinegraph.raise_version(of_scope text, of_list text, of_decade integer, hard boolean) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO cinegraph.data_versions AS v (scope, list_key, decade, version, floor, changed_at)
    SELECT 'reference', '', 0, 1, 1, now()
    WHERE of_scope = 'list'
      AND NOT EXISTS (SELECT FROM cinegraph.data_versions AS known WHERE known.scope = 'list' AND known.list_key = of_list)
    ON CONFLICT (scope, list_key, decade) DO UPDATE
        SET version = v.version + 1, floor = v.version + 1, changed_at = now();
    INSERT INTO cinegraph.data_versions AS v (scope, list_key, decade, version, floor, changed_at)
    VALUES (of_scope, of_list, of_decade, 1, hard::integer, now())
    ON CONFLICT (scope, list_key, decade) DO UPDATE
        SET version = v.version + 1,
            floor = CASE WHEN hard THEN v.version + 1 ELSE v.floor END,
            changed_at = now();
    SELECT pg_notify('cinegraph_events', of_scope || ':' || of_list || ':' || of_decade);
$$;
