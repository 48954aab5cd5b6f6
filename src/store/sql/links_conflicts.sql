SELECT line, CASE outcome
           WHEN 'has another id' THEN format('%s has the TMDb id %s, not %s', imdb_id, stored_id, tmdb_id)
           WHEN 'id of several rows' THEN format('other rows give the TMDb id %s of %s to other movies', tmdb_id, imdb_id)
           WHEN 'several ids' THEN format('other rows give %s other TMDb ids than %s', imdb_id, tmdb_id)
           ELSE format('the TMDb id %s of %s belongs to another movie', tmdb_id, imdb_id)
       END AS reason
FROM staged_links
WHERE outcome NOT IN ('linked', 'unchanged', 'repeated', 'absent')
ORDER BY line LIMIT $1
