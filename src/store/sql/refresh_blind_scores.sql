-- The two criteria that membership of list $1 leaks into, without it: (a) the list is not counted among the film's lists;
-- (b) people are judged without their films of the same decade that are on the list, 10 raw points each.
WITH listed AS MATERIALIZED (
    SELECT id, cinegraph.decade(release_date) AS decade
    FROM public.movies
    WHERE canonical_sources ? $1 AND jsonb_typeof(canonical_sources) = 'object' AND release_date IS NOT NULL
), leak AS (
    SELECT c.person_id, listed.decade, count(DISTINCT listed.id) AS films
    FROM listed
    JOIN public.movie_credits AS c ON c.movie_id = listed.id
    GROUP BY c.person_id, listed.decade
), blind_person AS MATERIALIZED (
    SELECT leak.person_id,
           leak.decade,
           -- Where another system left no raw count, the score is turned back into one.
           cinegraph.person_quality(
               coalesce(cinegraph.json_number(q.components -> 'raw_score'),
                        power(1001::double precision, q.score / 100) - 1)
               - 10 * leak.films) AS score
    FROM leak
    JOIN public.person_metrics AS q ON q.person_id = leak.person_id AND q.metric_type = 'quality_score'
    WHERE q.score <> 'NaN'
), touched AS (
    SELECT s.movie_id
    FROM blind_person
    JOIN public.movie_credits AS c ON c.person_id = blind_person.person_id
    JOIN cinegraph.movie_discovery_scores AS s
        ON s.movie_id = c.movie_id AND cinegraph.decade(s.release_date) = blind_person.decade
    UNION
    SELECT movie_id FROM cinegraph.movie_discovery_scores WHERE list_keys @> ARRAY[$1]
), film AS (
    SELECT s.movie_id, s.list_keys, s.popularity, cinegraph.decade(s.release_date) AS decade
    FROM touched
    JOIN cinegraph.movie_discovery_scores AS s ON s.movie_id = touched.movie_id
), people AS (
    SELECT film.movie_id, sum(coalesce(blind.score, q.score) ORDER BY c.id) / count(*) AS quality
    FROM film
    JOIN public.movie_credits AS c ON c.movie_id = film.movie_id
    JOIN public.person_metrics AS q ON q.person_id = c.person_id AND q.metric_type = 'quality_score'
    LEFT JOIN blind_person AS blind ON blind.person_id = c.person_id AND blind.decade = film.decade
    WHERE q.score <> 'NaN'
    GROUP BY film.movie_id
)
INSERT INTO cinegraph.movie_blind_scores (list_key, movie_id, cultural_impact_score, people_quality_score)
SELECT $1,
       film.movie_id,
       cinegraph.cultural_impact(cardinality(film.list_keys) - (film.list_keys @> ARRAY[$1])::integer, film.popularity),
       cinegraph.criterion(people.quality / 100)
FROM film
LEFT JOIN people ON people.movie_id = film.movie_id
