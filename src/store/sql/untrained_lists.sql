-- Those of the lists $1 of which one of the rankings $2 was never trained, or not since $3 and the last change of the list.
SELECT list_key AS "list_key!"
FROM unnest($1::text[]) AS list_key
WHERE EXISTS (
    SELECT FROM unnest($2::text[]) AS variant
    WHERE coalesce((SELECT max(m.trained_at) FROM cinegraph.model_versions AS m
                    WHERE m.list_key = list_key.list_key AND m.variant = variant.variant), '-infinity')
        -- Without a change, NULL, which is ignored.
        < greatest($3, (SELECT max(v.changed_at) FROM cinegraph.data_versions AS v
                        WHERE v.scope = 'list' AND v.list_key = list_key.list_key))
)
ORDER BY 1
