-- The first $1 movies whose title was folded without deriving its words.
SELECT movie_id AS "movie_id!" FROM cinegraph.folded_titles WHERE keyed IS DISTINCT FROM title ORDER BY movie_id LIMIT $1
