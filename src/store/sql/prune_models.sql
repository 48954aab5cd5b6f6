-- Removes the versions of a ranking that are needed neither for serving nor for rolling back: all but the two newest
-- accepted ones, and the $3 newest of the others. Codes are kept of the served version alone.
WITH numbered AS (
    SELECT id, status,
           row_number() OVER (PARTITION BY status = 'accepted' ORDER BY id DESC) AS number
    FROM cinegraph.model_versions
    WHERE list_key = $1 AND variant = $2
), removed AS (
    DELETE FROM cinegraph.model_versions
    WHERE id IN (SELECT id FROM numbered WHERE number > CASE WHEN status = 'accepted' THEN 2 ELSE $3::bigint END)
)
DELETE FROM cinegraph.model_codes
WHERE version_id IN (SELECT id FROM numbered WHERE NOT (status = 'accepted' AND number = 1))
