-- What lists are called. A function, since a database that another application made may lack the table, or get it later.
CREATE FUNCTION cinegraph.list_names() RETURNS TABLE (list_key text, name text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass('public.movie_lists') IS NOT NULL THEN
        RETURN QUERY SELECT l.source_key::text, l.name::text FROM public.movie_lists AS l;
    END IF;
END
$$;
