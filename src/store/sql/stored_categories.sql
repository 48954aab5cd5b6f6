-- Categories of awards, with each name of their organization, in the order in which they were added.
SELECT given AS "organization!", c.name AS "category!"
FROM public.festival_categories AS c
JOIN public.festival_organizations AS o ON o.id = c.organization_id
CROSS JOIN unnest(ARRAY[o.abbreviation, o.name]) AS given
WHERE given IS NOT NULL
ORDER BY c.id
