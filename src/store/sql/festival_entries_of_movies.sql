SELECT n.movie_id,
       coalesce(nullif(o.abbreviation, ''), o.name) AS "organization!",
       o.name AS organization_name,
       c.year,
       cat.name AS category,
       coalesce(p.name,
           CASE jsonb_typeof(n.details -> 'nominee_names')
               WHEN 'string' THEN n.details ->> 'nominee_names'
               WHEN 'array' THEN (SELECT string_agg(nominee, ', ') FROM jsonb_array_elements_text(n.details -> 'nominee_names') AS nominee)
           END) AS person_name,
       coalesce(n.won, false) AS "won!"
FROM public.festival_nominations AS n
JOIN public.festival_ceremonies AS c ON c.id = n.ceremony_id
JOIN public.festival_organizations AS o ON o.id = c.organization_id
JOIN public.festival_categories AS cat ON cat.id = n.category_id
LEFT JOIN public.people AS p ON p.id = n.person_id
WHERE n.movie_id = ANY ($1)
ORDER BY c.year DESC, 2, cat.name, n.id
