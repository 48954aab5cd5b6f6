SELECT c.movie_id,
       c.credit_id,
       c.person_id,
       p.tmdb_id,
       p.name,
       c.credit_type = 'cast' AS "cast!",
       c.department,
       c.job,
       c.character
FROM public.movie_credits AS c
JOIN public.people AS p ON p.id = c.person_id
WHERE c.movie_id = ANY ($1)
ORDER BY (c.credit_type = 'crew' AND c.job = 'Director') IS TRUE DESC, c.credit_type = 'cast' DESC, c.cast_order, c.id
