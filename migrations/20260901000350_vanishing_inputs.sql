-- An input too near to 0 for PostgreSQL to multiply: half of 5e-324 is an underflow error there, and one such rating
-- would end the refresh of every film in its batch. It counts 0, as in Rust. Infinite ones are clamped later.
CREATE OR REPLACE FUNCTION cinegraph.known(input double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN abs(input) BETWEEN 1e-300 AND 'Infinity' THEN input ELSE 0 END $$;
