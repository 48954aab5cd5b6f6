-- The row of the list $1, added or brought up to date: name $2 (NULL: as it is, or the name $3), type $4, address $5,
-- metadata $6, movies $7. A row that says all of it already stays as it is, unless members changed ($8). $9: the time.
INSERT INTO public.movie_lists AS stored
    (source_key, name, source_type, source_url, metadata, last_movie_count, last_import_at, last_import_status,
     total_imports, inserted_at, updated_at)
VALUES ($1, coalesce($2, $3::text), $4, $5, $6, $7, $9, 'success', 1, $9, $9)
ON CONFLICT (source_key) DO UPDATE
    SET name = coalesce($2, stored.name),
        source_type = excluded.source_type,
        source_url = excluded.source_url,
        metadata = coalesce(stored.metadata, '{}') || excluded.metadata,
        last_movie_count = excluded.last_movie_count,
        last_import_at = excluded.last_import_at,
        last_import_status = excluded.last_import_status,
        total_imports = coalesce(stored.total_imports, 0) + 1,
        -- Later for each state, although the column has seconds: clients detect by it that others have changed the list.
        updated_at = greatest(excluded.updated_at, stored.updated_at + interval '1 second')
    WHERE $8::boolean
       OR (stored.name, stored.source_type, stored.source_url, stored.last_movie_count)
          IS DISTINCT FROM
          (coalesce($2, stored.name), excluded.source_type, excluded.source_url, excluded.last_movie_count)
       OR NOT coalesce(stored.metadata, '{}') @> excluded.metadata
