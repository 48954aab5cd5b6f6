SELECT id
FROM public.movies
WHERE canonical_sources ? $1 AND jsonb_typeof(canonical_sources) = 'object'
  AND release_date >= $2 AND release_date < $3 AND import_status <> 'full'
ORDER BY id
