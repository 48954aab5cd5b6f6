-- The last training of each ranking, when the served version was trained, and the number of refusals since the last
-- accepted one.
SELECT latest.id AS "id!", latest.list_key AS "list_key!", latest.variant AS "variant!", latest.status AS "status!",
       latest.trained_at AS "trained_at!", latest.report AS "report!",
       (SELECT trained_at FROM cinegraph.model_versions AS served
        WHERE (served.list_key, served.variant, served.status) = (latest.list_key, latest.variant, 'accepted')
        ORDER BY id DESC LIMIT 1) AS served,
       (SELECT count(*) FROM cinegraph.model_versions AS refused
        WHERE (refused.list_key, refused.variant, refused.status) = (latest.list_key, latest.variant, 'refused')
          AND NOT EXISTS (
              SELECT FROM cinegraph.model_versions AS later
              WHERE (later.list_key, later.variant) = (latest.list_key, latest.variant)
                AND later.status <> 'refused' AND later.id > refused.id
          )) AS "refusals!"
FROM (
    SELECT DISTINCT ON (list_key, variant) * FROM cinegraph.model_versions ORDER BY list_key, variant, id DESC
) AS latest
ORDER BY latest.list_key, latest.variant
