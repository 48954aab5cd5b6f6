SELECT id, title, canonical_sources -> $1::text AS "entry!"
FROM public.movies
WHERE canonical_sources ? $1 AND jsonb_typeof(canonical_sources) = 'object'
