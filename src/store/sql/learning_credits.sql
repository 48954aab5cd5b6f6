-- Directors and cast of fully imported movies, the cast in order of billing.
SELECT c.movie_id, c.person_id, c.credit_type = 'cast' AS "is_cast!"
FROM public.movie_credits AS c
JOIN public.movies AS m ON m.id = c.movie_id
WHERE m.import_status = 'full' AND m.release_date IS NOT NULL
  AND (c.credit_type = 'cast' OR c.credit_type = 'crew' AND c.job = 'Director')
ORDER BY c.movie_id, c.cast_order NULLS LAST, c.id
