-- What tells the states of a Cinegraph database apart.
SELECT to_regclass('public.movies') IS NOT NULL AS "movies!",
       to_regclass('cinegraph.installation') IS NOT NULL AS "migrated!",
       to_regclass('public.prediction_cache') IS NOT NULL AS "prediction_cache!",
       to_regclass('public.movie_score_caches') IS NOT NULL AS "score_caches!",
       (SELECT count(*) = 2 FROM pg_attribute
        WHERE attrelid = to_regclass('public.movie_score_caches') AND attname IN ('mob_score', 'critics_score')
          AND NOT attisdropped) AS "final_lenses!",
       to_regclass('public.prediction_models') IS NOT NULL AS "prediction_models!"
