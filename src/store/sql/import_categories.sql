INSERT INTO public.festival_categories (organization_id, name, inserted_at, updated_at)
SELECT o.organization_id, s.category, $1, $1
FROM staged_nominations AS s
JOIN staged_organization_ids AS o ON o.abbreviation = s.organization
GROUP BY o.organization_id, s.category
ORDER BY min(s.line)
ON CONFLICT (organization_id, name) DO NOTHING
