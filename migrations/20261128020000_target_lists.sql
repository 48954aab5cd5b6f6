-- Target lists that an administrator has chosen while the service runs, beside those of the setting `target_lists`. Not to be
-- confused with the table `target_lists`: the lists, of both origins, that the snapshot has blind scores for.
CREATE TABLE IF NOT EXISTS cinegraph.chosen_target_lists (
    list_key  text PRIMARY KEY,
    chosen_at timestamptz NOT NULL DEFAULT now()
);

-- As `list_names`, and when the row of a list was last changed.
CREATE OR REPLACE FUNCTION cinegraph.named_lists() RETURNS TABLE (list_key text, name text, updated_at timestamptz)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass('public.movie_lists') IS NOT NULL THEN
        RETURN QUERY
            SELECT l.source_key::text, l.name::text, l.updated_at AT TIME ZONE 'UTC' FROM public.movie_lists AS l;
    END IF;
END
$$;
