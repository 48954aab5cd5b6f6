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
       a.title AS "title!",
       a.language AS "language!",
       a.genre_ids AS "genres!",
       a.country_ids AS "countries!"
FROM cinegraph.movie_scores_live AS s
-- OFFSET 0: looked up film by film, never by reading all films.
CROSS JOIN LATERAL (SELECT * FROM cinegraph.movie_attributes AS a WHERE a.movie_id = s.movie_id OFFSET 0) AS a
WHERE s.release_date >= $1 AND s.release_date < $2 AND s.import_status = 'full'
ORDER BY s.movie_id
