SELECT s.movie_id,
       s.release_date AS "release_date!",
       s.list_keys,
       s.popular_opinion_score,
       s.critical_acclaim_score,
       s.industry_recognition_score,
       s.cultural_impact_score,
       s.people_quality_score,
       s.coverage,
       s.formula_version,
       s.computed_at,
       m.title,
       coalesce(m.original_language, '') AS "language!",
       ARRAY(SELECT g.genre_id FROM public.movie_genres AS g WHERE g.movie_id = s.movie_id) AS "genres!",
       ARRAY(SELECT c.production_country_id FROM public.movie_production_countries AS c
             WHERE c.movie_id = s.movie_id) AS "countries!"
FROM cinegraph.movie_discovery_scores AS s
JOIN public.movies AS m ON m.id = s.movie_id
WHERE s.release_date >= $1 AND s.release_date < $2
ORDER BY s.movie_id
