-- All profiles, or the one of an id. Exact weights count as long as the category weights beside them are those that were
-- written with them.
SELECT p.id,
       p.name,
       p.description,
       coalesce(p.category_weights, '{}') AS "category_weights!",
       CASE WHEN w.profile_id IS NULL THEN p.category_weights END AS stored_categories,
       CASE WHEN w.profile_id IS NOT NULL THEN
           ARRAY[w.popular_opinion, w.critical_acclaim, w.industry_recognition, w.cultural_impact, w.people_quality]
       END AS exact,
       coalesce(p.is_default, false) AS "is_default!",
       coalesce(p.is_system, false) AS "is_system!",
       coalesce(p.active, false) AS "active!",
       p.updated_at
FROM public.metric_weight_profiles AS p
LEFT JOIN cinegraph.profile_weights AS w ON w.profile_id = p.id AND w.category_weights = p.category_weights
WHERE $1::bigint IS NULL OR p.id = $1
ORDER BY p.name
