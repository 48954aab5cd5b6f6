SELECT movie_id AS "movie_id!",
       list_keys AS "list_keys!",
       popular_opinion_score AS "popular_opinion_score!",
       critical_acclaim_score AS "critical_acclaim_score!",
       industry_recognition_score AS "industry_recognition_score!",
       cultural_impact_score AS "cultural_impact_score!",
       people_quality_score AS "people_quality_score!",
       blind_cultural_impact_score AS "blind_cultural_impact_score!",
       blind_people_quality_score AS "blind_people_quality_score!",
       popularity
FROM cinegraph.movie_scores
WHERE list_key = $1 AND release_date >= $2 AND release_date < $3
ORDER BY movie_id
