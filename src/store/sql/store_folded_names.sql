-- Of the people $1, removes what is stored of those that are gone, and stores what the people $2 are searched by. Returns how
-- many rows it wrote.
WITH gone AS (
    DELETE FROM cinegraph.folded_names AS f
    WHERE f.person_id = ANY ($1) AND NOT EXISTS (SELECT FROM public.people AS p WHERE p.id = f.person_id)
    RETURNING f.person_id
), stored AS (
    INSERT INTO cinegraph.folded_names AS f (person_id, name, bare, words, popularity)
    SELECT person_id, name, bare, words, popularity
    FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::smallint[])
        AS now (person_id, name, bare, words, popularity)
    ON CONFLICT (person_id) DO UPDATE
        SET name = excluded.name, bare = excluded.bare, words = excluded.words, popularity = excluded.popularity
    RETURNING f.person_id
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM stored) AS "changed!"
