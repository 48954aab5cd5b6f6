-- Up to $1 people who were added, by id. Transactions commit out of the order of their ids, so also those whose ids are up to
-- 1,000 below the highest folded one. The condition is also in `Store::is_anything_queued`.
SELECT p.id AS "id!"
FROM public.people AS p
WHERE p.id > coalesce((SELECT max(person_id) - 1000 FROM cinegraph.folded_names), -9223372036854775808)
  AND p.name IS NOT NULL
  AND NOT EXISTS (SELECT FROM cinegraph.folded_names AS f WHERE f.person_id = p.id)
ORDER BY p.id
LIMIT $1
