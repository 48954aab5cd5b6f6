-- $2 known abbreviations, $3 their names; another one is its own name.
WITH named AS MATERIALIZED (
    SELECT abbreviation, coalesce(known.name, abbreviation) AS name, line
    FROM (SELECT organization AS abbreviation, min(line) AS line FROM staged_nominations GROUP BY organization) AS given
    LEFT JOIN unnest($2::text[], $3::text[]) AS known (abbreviation, name) USING (abbreviation)
), found AS MATERIALIZED (
    SELECT named.*, (SELECT o.id FROM public.festival_organizations AS o
                     WHERE o.abbreviation = named.abbreviation OR o.name = named.name
                     ORDER BY (o.abbreviation IS NOT DISTINCT FROM named.abbreviation) DESC, o.id LIMIT 1) AS id
    FROM named
), added AS (
    -- DISTINCT ON: a full name may be given beside its abbreviation.
    INSERT INTO public.festival_organizations (name, abbreviation, inserted_at, updated_at)
    SELECT name, abbreviation, $1, $1
    FROM (SELECT DISTINCT ON (name) * FROM found WHERE id IS NULL ORDER BY name, line) AS absent
    ORDER BY line
    RETURNING id, name
)
INSERT INTO staged_organization_ids
SELECT found.abbreviation, coalesce(found.id, added.id) FROM found LEFT JOIN added USING (name)
