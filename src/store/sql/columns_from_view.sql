SELECT s.movie_id AS "movie_id!",
       s.release_date AS "release_date!",
       s.list_keys AS "list_keys!",
       s.popular_opinion_score AS "popular_opinion_score!",
       s.critical_acclaim_score AS "critical_acclaim_score!",
       s.industry_recognition_score AS "industry_recognition_score!",
       s.cultural_impact_score AS "cultural_impact_score!",
       s.people_quality_score AS "people_quality_score!",
       s.coverage AS "coverage!",
       $3::integer AS "formula_version!",
       now() AS "computed_at!",
       m.title AS "title!",
       coalesce(m.original_language, '') AS "language!",
       ARRAY(SELECT g.genre_id FROM public.movie_genres AS g WHERE g.movie_id = s.movie_id) AS "genres!",
       ARRAY(SELECT c.production_country_id FROM public.movie_production_countries AS c
             WHERE c.movie_id = s.movie_id) AS "countries!"
FROM cinegraph.movie_scores_live AS s
JOIN public.movies AS m ON m.id = s.movie_id
WHERE s.release_date >= $1 AND s.release_date < $2 AND s.import_status = 'full'
ORDER BY s.movie_id
