WITH taken AS (
    INSERT INTO cinegraph.snapshot (taken_at, formula_version) VALUES (now(), $1)
    ON CONFLICT (singleton) DO UPDATE SET taken_at = excluded.taken_at, formula_version = excluded.formula_version
)
SELECT cinegraph.raise_version('snapshot', '', 0, $2)
