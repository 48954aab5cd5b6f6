SELECT cinegraph.film_record(s.movie_id, s.release_date, s.popular_opinion_score, s.critical_acclaim_score,
                             s.industry_recognition_score, s.cultural_impact_score, s.people_quality_score, s.coverage,
                             now(), a.title, a.language, s.list_keys, a.genre_ids, a.country_ids) AS "record!"
FROM cinegraph.movie_scores_live AS s
-- OFFSET 0: looked up film by film, never by reading all films.
CROSS JOIN LATERAL (SELECT * FROM cinegraph.movie_attributes AS a WHERE a.movie_id = s.movie_id OFFSET 0) AS a
WHERE s.release_date >= $1 AND s.release_date < $2 AND s.import_status = 'full'
