SELECT s.movie_id AS "movie_id!",
       s.release_date,
       s.import_status = 'full' AS "full!",
       s.list_keys AS "list_keys!",
       s.popular_opinion_score AS "popular_opinion_score!",
       s.critical_acclaim_score AS "critical_acclaim_score!",
       s.industry_recognition_score AS "industry_recognition_score!",
       s.cultural_impact_score AS "cultural_impact_score!",
       s.people_quality_score AS "people_quality_score!",
       s.coverage AS "coverage!",
       now() AS "computed_at!"
FROM cinegraph.movie_scores_live AS s
WHERE s.movie_id = ANY ($1)
