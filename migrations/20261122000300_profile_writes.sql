-- The category weights that were written beside the exact ones. Where the profile has others by now, another application
-- has changed it since, and those count.
ALTER TABLE cinegraph.profile_weights ADD COLUMN category_weights jsonb;
