-- The host application renamed the keys of category_weights in March 2026, and since then reads only the new ones ('mob'
-- and others). So the keys written are those that the profiles in the table use: the new ones ($3) if any has 'mob',
-- otherwise the old ones ($2).
WITH written AS (
    UPDATE public.metric_weight_profiles AS p
    SET category_weights = CASE
            WHEN EXISTS (SELECT FROM public.metric_weight_profiles AS other WHERE other.category_weights ? 'mob') THEN $3::jsonb
            ELSE $2::jsonb
        END
    WHERE p.id = $1
    RETURNING p.id, p.category_weights
)
INSERT INTO cinegraph.profile_weights
    (profile_id, popular_opinion, critical_acclaim, industry_recognition, cultural_impact, people_quality, category_weights,
     updated_at)
SELECT id, w.exact[1], w.exact[2], w.exact[3], w.exact[4], w.exact[5], category_weights, $5
FROM written, (SELECT $4::double precision[] AS exact) AS w
ON CONFLICT (profile_id) DO UPDATE
    SET popular_opinion = excluded.popular_opinion, critical_acclaim = excluded.critical_acclaim,
        industry_recognition = excluded.industry_recognition, cultural_impact = excluded.cultural_impact,
        people_quality = excluded.people_quality, category_weights = excluded.category_weights,
        updated_at = excluded.updated_at
