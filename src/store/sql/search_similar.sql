-- What a text finds in {table} besides the matches of `search.sql`, whose values this has too: texts that contain its words,
-- and texts that contain it with one edit. $5: patterns for all words anywhere; $13 and $14: those of the two longest; $15,
-- $16 and $17: patterns of which a text with one edit matches one, because an edit is in one half of the text or in the
-- other, or swaps the two letters between them; $18: all patterns with one edit.
--
-- Popularity is no column in the order, and the last patterns are for no column: the planner must read the index of
-- trigrams, and must not estimate a hundred patterns.
(SELECT 3 AS kind, t.popularity, t.{id} AS id
 FROM {table} AS t
 WHERE t.words LIKE $13 AND t.words LIKE $14 AND (t.words || '') LIKE ALL ($5)
   AND NOT (array_to_tsvector(string_to_array(btrim(t.words), ' ')) @@ $1::tsquery AND (t.words || '') LIKE ALL ($4))
   AND (t.bare = $2 OR {bare_other} = $2) IS NOT TRUE
   AND $6 <= 3 AND t.popularity <= CASE WHEN $6 = 3 THEN $7 ELSE 32767 END AND ($6 < 3 OR t.popularity < $7 OR t.{id} > $8)
   {filters}
 ORDER BY t.popularity + 0 DESC, t.{id}
 LIMIT $9)
UNION ALL
(SELECT 4, t.popularity, t.{id}
 FROM {table} AS t
 WHERE (t.words LIKE $15 OR t.words LIKE $16 OR t.words LIKE $17) AND (t.words || '') LIKE ANY ($18)
   AND NOT (t.words || '') LIKE ALL ($5)
   AND (t.bare = $2 OR {bare_other} = $2) IS NOT TRUE
   AND $6 <= 4 AND t.popularity <= CASE WHEN $6 = 4 THEN $7 ELSE 32767 END AND ($6 < 4 OR t.popularity < $7 OR t.{id} > $8)
   {filters}
 ORDER BY t.popularity + 0 DESC, t.{id}
 LIMIT $9)
LIMIT $9
