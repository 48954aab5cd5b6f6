-- Movies that the database had twice, which only now is known: the one with the file's id stays, with what it lacks of
-- the other. $1 is the time.
WITH doubled AS MATERIALIZED (
    SELECT old.tmdb_id AS former, old.id AS old_id, kept.id AS kept_id
    FROM staged_movies AS s
    JOIN public.movies AS kept ON kept.tmdb_id = s.tmdb_id
    JOIN public.movies AS old ON old.imdb_id = s.imdb_id AND old.id <> kept.id
    WHERE s.tmdb_id > 0
), metrics AS (
    UPDATE public.external_metrics AS e
    SET movie_id = best.kept_id
    FROM (SELECT DISTINCT ON (kept_id, source, metric_type) other.id, kept_id
          FROM doubled JOIN public.external_metrics AS other ON other.movie_id = old_id
          WHERE NOT EXISTS (SELECT FROM public.external_metrics AS own
                            WHERE own.movie_id = kept_id
                              AND (own.source, own.metric_type) = (other.source, other.metric_type))
          ORDER BY kept_id, source, metric_type, former DESC) AS best
    WHERE e.id = best.id
), lists AS (
    UPDATE public.movies AS m
    SET canonical_sources =
            entries || CASE WHEN jsonb_typeof(m.canonical_sources) = 'object' THEN m.canonical_sources ELSE '{}' END,
        updated_at = $1
    FROM (SELECT kept_id, jsonb_object_agg(entry.key, entry.value) AS entries
          FROM doubled
          JOIN public.movies AS old ON old.id = old_id
          CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(old.canonical_sources) = 'object'
                                             THEN old.canonical_sources END) AS entry
          GROUP BY kept_id) AS moved
    WHERE m.id = moved.kept_id
), credits AS (
    -- Credits of two sources are not mixed: the same people would count twice.
    UPDATE public.movie_credits AS c
    SET movie_id = kept_id
    FROM (SELECT DISTINCT ON (kept_id) kept_id, old_id
          FROM doubled
          WHERE EXISTS (SELECT FROM public.movie_credits WHERE movie_id = old_id)
            AND NOT EXISTS (SELECT FROM public.movie_credits WHERE movie_id = kept_id)
          ORDER BY kept_id, former DESC) AS moved
    WHERE c.movie_id = old_id
), nominations AS (
    UPDATE public.festival_nominations AS n
    SET movie_id = best.kept_id
    FROM (SELECT DISTINCT ON (kept_id, ceremony_id, category_id, coalesce(details ->> 'nominee_names', ''))
                 other.id, kept_id
          FROM doubled JOIN public.festival_nominations AS other ON other.movie_id = old_id
          WHERE NOT EXISTS (SELECT FROM public.festival_nominations AS own
                            WHERE own.movie_id = kept_id
                              AND (own.ceremony_id, own.category_id, coalesce(own.details ->> 'nominee_names', ''))
                                = (other.ceremony_id, other.category_id, coalesce(other.details ->> 'nominee_names', '')))
          ORDER BY kept_id, ceremony_id, category_id, coalesce(details ->> 'nominee_names', ''), other.id) AS best
    WHERE n.id = best.id
), genres AS (
    INSERT INTO public.movie_genres (movie_id, genre_id)
    SELECT DISTINCT kept_id, genre_id FROM doubled JOIN public.movie_genres ON movie_id = old_id
    ON CONFLICT (movie_id, genre_id) DO NOTHING
), recorded AS (
    INSERT INTO cinegraph.former_tmdb_ids (tmdb_id, movie_id)
    SELECT former, kept_id FROM doubled WHERE former > 0
    ON CONFLICT (tmdb_id) DO UPDATE SET movie_id = excluded.movie_id
), redirected AS (
    UPDATE cinegraph.former_tmdb_ids AS f
    SET movie_id = kept_id
    FROM doubled
    WHERE f.movie_id = old_id AND NOT EXISTS (SELECT FROM doubled AS other WHERE other.former = f.tmdb_id)
), recorded_rows AS (
    INSERT INTO cinegraph.former_movie_ids (id, movie_id) SELECT old_id, kept_id FROM doubled
    ON CONFLICT (id) DO NOTHING
), redirected_rows AS (
    UPDATE cinegraph.former_movie_ids AS f SET movie_id = kept_id FROM doubled WHERE f.movie_id = old_id
)
DELETE FROM public.movies AS m USING doubled WHERE m.id = doubled.old_id
