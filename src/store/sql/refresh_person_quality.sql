-- Quality of the people with ids in ($1, $2], over their distinct films by any credit.
WITH person_movie AS MATERIALIZED (
    SELECT DISTINCT person_id, movie_id FROM public.movie_credits WHERE person_id > $1 AND person_id <= $2
), film AS (
    SELECT m.id,
           cardinality(cinegraph.list_keys(m.canonical_sources)) AS lists,
           EXISTS (SELECT FROM public.external_metrics AS e
                   WHERE e.movie_id = m.id AND e.source IN ('tmdb', 'imdb') AND e.metric_type = 'rating_average'
                     AND e.value >= 7 AND e.value <> 'NaN') AS well_rated,
           unnamed.nominations,
           unnamed.wins
    FROM (SELECT DISTINCT movie_id FROM person_movie) AS credited
    JOIN public.movies AS m ON m.id = credited.movie_id
    CROSS JOIN LATERAL (
        -- Nominations that name nobody here belong to all who worked on the film.
        SELECT count(*) AS nominations, count(*) FILTER (WHERE n.won) AS wins
        FROM public.festival_nominations AS n
        WHERE n.movie_id = m.id AND n.person_id IS NULL
    ) AS unnamed
), shared AS (
    SELECT pm.person_id,
           sum(film.lists) AS canonical,
           count(*) FILTER (WHERE film.well_rated) AS well_rated,
           count(*) AS films,
           sum(film.nominations) AS nominations,
           sum(film.wins) AS wins
    FROM person_movie AS pm
    JOIN film ON film.id = pm.movie_id
    GROUP BY pm.person_id
), direct AS (
    SELECT person_id, count(*) AS nominations, count(*) FILTER (WHERE won) AS wins
    FROM public.festival_nominations
    WHERE person_id > $1 AND person_id <= $2
    GROUP BY person_id
), record AS (
    SELECT person_id,
           coalesce(shared.canonical, 0)::bigint AS canonical,
           coalesce(shared.well_rated, 0) AS well_rated,
           coalesce(shared.films, 0) AS films,
           (coalesce(shared.wins, 0) + coalesce(direct.wins, 0))::bigint AS wins,
           (coalesce(shared.nominations, 0) + coalesce(direct.nominations, 0))::bigint AS nominations,
           coalesce(direct.wins, 0) AS direct_wins,
           coalesce(direct.nominations, 0) AS direct_nominations
    FROM shared FULL JOIN direct USING (person_id)
), weighed AS (
    SELECT record.*,
           (10 * canonical + 3 * well_rated + films + 15 * (wins + direct_wins)
             + 5 * (nominations + direct_nominations))::double precision AS raw
    FROM record
), stored AS (
    INSERT INTO public.person_metrics AS stored
        (person_id, metric_type, score, components, metadata, calculated_at, inserted_at, updated_at)
    SELECT person_id,
           'quality_score',
           cinegraph.person_quality(raw),
           jsonb_build_object(
               'canonical_count', canonical,
               'high_rated_count', well_rated,
               'total_count', films,
               'festival_wins', wins,
               'festival_nominations', nominations,
               'direct_festival_wins', direct_wins,
               'direct_festival_nominations', direct_nominations,
               'raw_score', raw),
           '{"source": "cinegraph"}',
           now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
    FROM weighed
    ORDER BY person_id
    ON CONFLICT (person_id, metric_type) DO UPDATE
        SET score = excluded.score,
            components = excluded.components,
            metadata = excluded.metadata,
            calculated_at = excluded.calculated_at,
            updated_at = excluded.updated_at
        WHERE (stored.score, stored.components) IS DISTINCT FROM (excluded.score, excluded.components)
    RETURNING 1
), removed AS (
    DELETE FROM public.person_metrics AS gone
    WHERE gone.metric_type = 'quality_score' AND gone.person_id > $1 AND gone.person_id <= $2
      AND NOT EXISTS (SELECT FROM record WHERE record.person_id = gone.person_id)
    RETURNING 1
)
SELECT (SELECT count(*) FROM record) AS "computed!",
       (SELECT count(*) FROM stored) + (SELECT count(*) FROM removed) AS "changed!"
