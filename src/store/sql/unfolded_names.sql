-- Of the people $1, those for whom something else is stored than what they are searched by now.
SELECT p.id AS "id!", p.name AS "name!", now.popularity AS "popularity!"
FROM public.people AS p
CROSS JOIN LATERAL (
    -- Steps of 19 %, of the votes for all movies of the person, which are stored as the same steps.
    SELECT coalesce(round(4 * ln(sum(power(2, t.popularity / 4.0))) / ln(2)), 0)::smallint AS popularity
    FROM (SELECT DISTINCT movie_id FROM public.movie_credits WHERE person_id = p.id) AS c
    JOIN cinegraph.folded_titles AS t ON t.movie_id = c.movie_id
) AS now
LEFT JOIN cinegraph.folded_names AS f ON f.person_id = p.id
WHERE p.id = ANY ($1) AND p.name IS NOT NULL AND (f.name, f.popularity) IS DISTINCT FROM (p.name, now.popularity)
