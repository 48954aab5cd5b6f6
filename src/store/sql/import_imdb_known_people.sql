SELECT substr(imdb_id, 3)::integer AS "number!", min(tmdb_id) AS "tmdb_id!"
FROM public.people
WHERE tmdb_id > 0 AND imdb_id ~ '^nm[0-9]{1,9}$'
GROUP BY 1
