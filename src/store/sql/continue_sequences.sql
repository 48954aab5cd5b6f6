-- The next row of each table gets the id after the last; of an empty one, 1.
SELECT setval(pg_get_serial_sequence('public.movies', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.movies
UNION ALL
SELECT setval(pg_get_serial_sequence('public.external_metrics', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.external_metrics
UNION ALL
SELECT setval(pg_get_serial_sequence('public.people', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.people
UNION ALL
SELECT setval(pg_get_serial_sequence('public.movie_credits', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.movie_credits
UNION ALL
SELECT setval(pg_get_serial_sequence('public.festival_organizations', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.festival_organizations
UNION ALL
SELECT setval(pg_get_serial_sequence('public.festival_ceremonies', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.festival_ceremonies
UNION ALL
SELECT setval(pg_get_serial_sequence('public.festival_categories', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.festival_categories
UNION ALL
SELECT setval(pg_get_serial_sequence('public.festival_nominations', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.festival_nominations
UNION ALL
SELECT setval(pg_get_serial_sequence('public.genres', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.genres
UNION ALL
SELECT setval(pg_get_serial_sequence('public.production_countries', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.production_countries
UNION ALL
SELECT setval(pg_get_serial_sequence('public.movie_lists', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM public.movie_lists
