-- What a text finds in {table}, a table of folded titles or names, of which {bare_other} is a second text: the first $9 after
-- the place $6, $7, $8 (kind of match, popularity and id; kind -1 for the beginning). Ordered by kind, then by popularity, then
-- by id. $1: a `tsquery` for the beginnings of the rarer words; $2: the text without a leading article; $3: pattern of texts
-- that begin with it; $4: patterns for the beginnings of the other words.
--
-- The planner must know the values: it folds what they decide and estimates how frequent the words are. Where they are
-- frequent, it reads the index by popularity until there are enough, and else the index of words. The parts run one after
-- another, and only until there are $9 rows, because a LIMIT over UNION ALL without an order reads no further.
(SELECT 0 AS kind, t.popularity, t.{id} AS id
 FROM {table} AS t
 WHERE (t.bare = $2 OR {bare_other} = $2)
   AND $6 <= 0 AND t.popularity <= CASE WHEN $6 = 0 THEN $7 ELSE 32767 END AND ($6 < 0 OR t.popularity < $7 OR t.{id} > $8)
   {filters}
 ORDER BY t.popularity DESC, t.{id}
 LIMIT $9)
UNION ALL
(SELECT 1, t.popularity, t.{id}
 FROM {table} AS t
 WHERE array_to_tsvector(string_to_array(btrim(t.words), ' ')) @@ $1::tsquery AND t.words LIKE ALL ($4)
   AND (t.bare LIKE $3 OR {bare_other} LIKE $3)
   AND (t.bare = $2 OR {bare_other} = $2) IS NOT TRUE
   AND $6 <= 1 AND t.popularity <= CASE WHEN $6 = 1 THEN $7 ELSE 32767 END AND ($6 < 1 OR t.popularity < $7 OR t.{id} > $8)
   {filters}
 ORDER BY t.popularity DESC, t.{id}
 LIMIT $9)
UNION ALL
(SELECT 2, t.popularity, t.{id}
 FROM {table} AS t
 WHERE array_to_tsvector(string_to_array(btrim(t.words), ' ')) @@ $1::tsquery AND t.words LIKE ALL ($4)
   AND (t.bare LIKE $3 OR {bare_other} LIKE $3) IS NOT TRUE
   AND $6 <= 2 AND t.popularity <= CASE WHEN $6 = 2 THEN $7 ELSE 32767 END AND ($6 < 2 OR t.popularity < $7 OR t.{id} > $8)
   {filters}
 ORDER BY t.popularity DESC, t.{id}
 LIMIT $9)
LIMIT $9
