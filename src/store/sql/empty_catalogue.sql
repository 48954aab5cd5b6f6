-- One statement, so that foreign keys among the tables do not matter; without CASCADE, so that a table that we do not
-- know is never emptied with them.
TRUNCATE public.movies,
         public.external_metrics,
         public.people,
         public.movie_credits,
         public.person_metrics,
         public.festival_organizations,
         public.festival_ceremonies,
         public.festival_categories,
         public.festival_nominations,
         public.genres,
         public.production_countries,
         public.movie_genres,
         public.movie_production_countries,
         public.movie_lists,
         cinegraph.movie_discovery_scores,
         cinegraph.folded_titles,
         cinegraph.former_tmdb_ids,
         cinegraph.metric_sources,
         cinegraph.movie_blind_scores,
         cinegraph.snapshot,
         cinegraph.chosen_target_lists
    RESTART IDENTITY
