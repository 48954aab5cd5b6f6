-- A nominee is linked when the whole field, byte for byte, is the name of exactly one credited person of the film.
-- All nominations of the films at hand are looked at: new credits may decide a name that an earlier import brought.
WITH named AS MATERIALIZED (
    SELECT n.id, n.movie_id, n.person_id, n.details ->> 'nominee_names' AS name
    FROM (SELECT tmdb_id FROM staged_movies UNION SELECT movie_tmdb_id FROM staged_credits) AS s
    JOIN public.movies AS m ON m.tmdb_id = s.tmdb_id
    JOIN public.festival_nominations AS n ON n.movie_id = m.id
    WHERE jsonb_typeof(n.details -> 'nominee_names') = 'string'
), link AS MATERIALIZED (
    SELECT named.id, named.person_id AS stored, CASE WHEN count(DISTINCT p.id) = 1 THEN min(p.id) END AS person_id
    FROM named
    LEFT JOIN (public.movie_credits AS c JOIN public.people AS p ON p.id = c.person_id)
        ON c.movie_id = named.movie_id AND p.name = named.name COLLATE "C"
    GROUP BY named.id, named.person_id
), written AS (
    UPDATE public.festival_nominations AS n
    SET person_id = link.person_id, updated_at = $1
    FROM link
    WHERE n.id = link.id AND link.stored IS DISTINCT FROM link.person_id
)
SELECT count(person_id) AS linked,
       count(*) - count(person_id) AS unlinked,
       count(*) FILTER (WHERE stored IS DISTINCT FROM person_id) AS changed
FROM link
