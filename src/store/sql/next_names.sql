-- The next $2 ids after $1 of people, and of folded names whose person is gone.
(SELECT id AS "id!" FROM public.people WHERE id > $1 ORDER BY id LIMIT $2)
UNION
(SELECT person_id FROM cinegraph.folded_names WHERE person_id > $1 ORDER BY person_id LIMIT $2)
ORDER BY 1
LIMIT $2
