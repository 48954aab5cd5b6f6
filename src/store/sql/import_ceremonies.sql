INSERT INTO public.festival_ceremonies (organization_id, year, inserted_at, updated_at)
SELECT o.organization_id, s.year, $1, $1
FROM staged_nominations AS s
JOIN staged_organization_ids AS o ON o.abbreviation = s.organization
GROUP BY o.organization_id, s.year
ORDER BY min(s.line)
ON CONFLICT (organization_id, year) DO NOTHING
