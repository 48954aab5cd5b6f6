SELECT movie_id,
       release_date AS "release_date!",
       list_keys,
       popular_opinion_score,
       critical_acclaim_score,
       industry_recognition_score,
       cultural_impact_score,
       people_quality_score,
       coverage,
       formula_version,
       computed_at,
       title,
       language,
       genre_ids AS genres,
       country_ids AS countries
FROM cinegraph.movie_discovery_scores
WHERE release_date >= $1 AND release_date < $2
ORDER BY movie_id
