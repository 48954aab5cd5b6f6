//! Searches for movies and people by the words of their titles and names, and movies in order.
//!
//! The statements are built from templates and not checked at compile time, because they are the same for movies and for
//! people. They are never prepared: their plans must be made for the values, see `search.sql`.

use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row};

use super::error::StoreError;
use super::like_pattern::literal;
use super::people::PersonId;
use super::pool::Store;
use super::query_name::QueryName;
use crate::scoring::{MovieId, is_article, one_edit_patterns, search_key, without_article};

/// Shortest text, in characters, that is searched for with one edit. Each half of it then has the three letters that the
/// index of trigrams needs; a half of two letters is in every other title.
const EDIT_MIN: usize = 6;

/// Shortest word, in characters, that is looked up in the index of words if a text has several.
const INDEXED_MIN: usize = 4;

/// Longest text, in characters, that is searched for with one edit. A choice: there are four patterns per character.
const EDIT_MAX: usize = 40;

/// Filters of movies, on the values $10 to $12. Of a subquery with LIMIT the planner does not read all movies of the genre.
const MOVIE_FILTERS: &str = "AND ($10::date IS NULL OR t.released BETWEEN $10 AND $11)
   AND ($12::bigint IS NULL OR (SELECT true FROM public.movie_genres AS g
                                WHERE g.movie_id = t.movie_id AND g.genre_id = $12 LIMIT 1))";

/// Lowest kind of the matches that only the index of trigrams finds.
const SIMILAR: i32 = 3;

static MOVIES: LazyLock<Searched> = LazyLock::new(|| Searched {
    query_name: QueryName::MoviesByTitle,
    trigram_index: "cinegraph.folded_titles_words_trgm_index",
    statements: statements("cinegraph.folded_titles", "movie_id", "t.bare_original", MOVIE_FILTERS),
});

static PEOPLE: LazyLock<Searched> = LazyLock::new(|| Searched {
    // A name of its own would have more series of metrics than a metric may have.
    query_name: QueryName::PeopleById,
    trigram_index: "cinegraph.folded_names_words_trgm_index",
    // Without a filter for people who were deleted since the last check: with one, the planner would not read the most popular
    // matches first. At a million names, a frequent beginning would take 240 ms instead of one.
    statements: statements("cinegraph.folded_names", "person_id", "NULL::text", ""),
});

/// What a search looks into.
struct Searched {
    query_name: QueryName,
    /// Index of trigrams, which exists only if the extension does.
    trigram_index: &'static str,
    /// The statement for what matches, and the one for what is similar.
    statements: [String; 2],
}

/// The statements for a table with this column of IDs and this expression for a second text of a row.
fn statements(table: &str, id: &str, other: &str, filters: &str) -> [String; 2] {
    [include_str!("sql/search.sql"), include_str!("sql/search_similar.sql")].map(|sql| {
        let sql = sql.replace("{table}", table).replace("{id}", id);
        sql.replace("{bare_other}", other).replace("{filters}", filters)
    })
}

/// What a title and another title, or a name, are searched by.
#[derive(Debug)]
pub(super) struct SearchTexts {
    /// Words of the title without a leading article.
    pub(super) bare: String,
    /// The same of the other title; `None` if it is that of the title.
    pub(super) bare_other: Option<String>,
    /// Words of both, each after a space, and a space at the end.
    pub(super) words: String,
}

impl SearchTexts {
    pub(super) fn of(title: &str, other: Option<&str>) -> Self {
        let key = search_key(title);
        let other = other.map(search_key).filter(|other| !other.is_empty() && *other != key);
        let words = match &other {
            Some(other) => format!(" {key} {other} "),
            None => format!(" {key} "),
        };
        let bare_other = other.map(|other| without_article(&other).to_owned());
        Self { bare: without_article(&key).to_owned(), bare_other, words }
    }
}

/// A text that is searched for, in the forms in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchText {
    key: String,
}

impl SearchText {
    /// Whether `order` is the text of a place in the order of matches.
    #[must_use]
    pub fn is_place(order: &str) -> bool {
        Match::from_order(order).is_some()
    }

    /// `None` if the text has no visible characters.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Some(search_key(text)).filter(|key| !key.is_empty()).map(|key| Self { key })
    }

    /// The words, separated by spaces. Texts with the same words find the same.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.key
    }

    /// The words whose beginnings are looked up in the index of words, and the others. Short words and articles are
    /// frequent: a search for them would read much of the index, so they are looked up only if there are no others.
    fn indexed_and_others(&self) -> (Vec<&str>, Vec<&str>) {
        let length = |word: &str| word.chars().count();
        let (long, short): (Vec<&str>, Vec<&str>) = self.key.split(' ').partition(|word| length(word) >= INDEXED_MIN);
        if !long.is_empty() {
            return (long, short);
        }
        // An article is looked up only if it is all.
        let weight = |word: &str| if is_article(word) { 0 } else { length(word) };
        let best = short.iter().copied().max_by_key(|word| weight(word)).unwrap_or_default();
        (vec![best], short.into_iter().filter(|word| *word != best).collect())
    }

    /// Whether a word is long enough for the index of trigrams, which has those of letters and digits only.
    fn has_trigrams(&self) -> bool {
        self.key.split(|c: char| !c.is_alphanumeric()).any(|word| word.chars().count() >= 3)
    }

    /// Binds the values $1 to $9 of `search.sql` and `search_similar.sql`, then $10 to $12 of the filters of movies, and then
    /// $13 to $18 of `search_similar.sql`.
    fn bind<'q>(
        &self,
        sql: &'q str,
        after: Option<(Match, i64)>,
        limit: usize,
        filters: Filters,
        similar: bool,
    ) -> Query<'q, Postgres, PgArguments> {
        let (indexed, others) = self.indexed_and_others();
        let bare = without_article(&self.key);
        let anywhere = |word: &str| format!("%{}%", literal(word));
        let starts: Vec<String> = others.iter().map(|word| format!("% {}%", literal(word))).collect();
        let (place, id) = after.unwrap_or((Match { kind: -1, popularity: 0 }, 0));
        let statement = sqlx::query(AssertSqlSafe(sql))
            .bind(tsquery(&indexed))
            .bind(bare.to_owned())
            .bind(format!("{}%", literal(bare)))
            .bind(starts)
            .bind(self.key.split(' ').map(anywhere).collect::<Vec<_>>())
            .bind(place.kind)
            .bind(place.popularity)
            .bind(id)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(filters.released.map(|[from, _]| from))
            .bind(filters.released.map(|[_, to]| to))
            .bind(filters.genre);
        if !similar {
            return statement;
        }
        let mut longest: Vec<&str> = self.key.split(' ').collect();
        longest.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
        let ([first, second, swapped], edits) = edits(bare);
        statement
            .bind(longest.first().map(|word| anywhere(word)))
            .bind(longest.iter().take(2).next_back().map(|word| anywhere(word)))
            .bind(first)
            .bind(second)
            .bind(swapped)
            .bind(edits)
    }
}

/// A `tsquery` for texts with words that begin with these, each quoted as a lexeme.
fn tsquery(words: &[&str]) -> String {
    let lexeme = |word: &&str| format!("'{}':*", word.replace('\\', "\\\\").replace('\'', "''"));
    words.iter().map(lexeme).collect::<Vec<_>>().join(" & ")
}

/// Patterns for the two halves of a text at the beginning of a word and for the text with the letters between them swapped,
/// and for the text with any edit. NULL and none for a text that is too short or too long.
fn edits(bare: &str) -> ([Option<String>; 3], Vec<String>) {
    let letters: Vec<char> = bare.chars().collect();
    if !(EDIT_MIN..=EDIT_MAX).contains(&letters.len()) {
        return ([None, None, None], vec![]);
    }
    let text = |letters: &[char]| literal(&letters.iter().collect::<String>());
    let (first, second) = letters.split_at(letters.len() / 2);
    let mut swapped = letters.clone();
    swapped.swap(letters.len() / 2 - 1, letters.len() / 2);
    let halves = [format!("% {}%", text(first)), format!("%{}%", text(second)), format!("% {}%", text(&swapped))];
    let edits = one_edit_patterns(bare).into_iter().map(|pattern| format!("% {pattern}%")).collect();
    (halves.map(Some), edits)
}

/// How a text matches: the better the kind, the lower it is. Among equal kinds the most popular come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Match {
    kind: i32,
    popularity: i32,
}

impl Match {
    fn to_order(self) -> String {
        format!("{} {}", self.kind, self.popularity)
    }

    fn from_order(order: &str) -> Option<Self> {
        let (kind, popularity) = order.split_once(' ')?;
        Some(Self { kind: kind.parse().ok()?, popularity: popularity.parse().ok()? })
    }
}

/// The index that searches use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchIndex {
    /// Also finds parts of words, and texts with an error of one letter.
    Trigrams,
    /// Finds beginnings of words: the database has not had the extension `pg_trgm` when it was migrated.
    Words,
}

impl SearchIndex {
    /// Name in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigrams => "trigrams",
            Self::Words => "words",
        }
    }
}

/// Order of movies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MovieOrder {
    /// By the kind of match, then by popularity. Without a text, by popularity.
    Relevance,
    /// By title, without leading articles.
    Title,
    /// The latest release first. Undated movies are left out.
    Newest,
    /// The earliest release first. Undated movies are left out.
    Oldest,
}

impl MovieOrder {
    /// The text of a movie's place, the condition for the movies after $3 and $4, and the order.
    fn sql(self) -> [&'static str; 3] {
        match self {
            Self::Relevance => [
                "t.popularity",
                "t.popularity <= coalesce($3::integer, 32767)
                 AND ($3 IS NULL OR t.popularity < $3::integer OR t.movie_id > $4)",
                "t.popularity DESC, t.movie_id",
            ],
            Self::Title => [
                "t.bare",
                "t.bare IS NOT NULL AND ($3::text IS NULL OR (t.bare, t.movie_id) > ($3, $4))",
                "t.bare, t.movie_id",
            ],
            Self::Newest => [
                "t.released",
                "t.released IS NOT NULL AND ($3::text IS NULL OR (t.released, t.movie_id) < ($3::date, $4))",
                "t.released DESC, t.movie_id DESC",
            ],
            Self::Oldest => [
                "t.released",
                "t.released IS NOT NULL AND ($3::text IS NULL OR (t.released, t.movie_id) > ($3::date, $4))",
                "t.released, t.movie_id",
            ],
        }
    }
}

/// A search for movies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovieSearch {
    /// What their titles match; `None`: all movies.
    pub text: Option<SearchText>,
    /// First and last day of their release; `None`: any, or none.
    pub released: Option<[NaiveDate; 2]>,
    /// Database id of a genre that they have; `None`: any.
    pub genre: Option<i64>,
    /// Order of the movies.
    pub order: MovieOrder,
}

/// Filters of movies, for the statements that have them.
#[derive(Debug, Clone, Copy, Default)]
struct Filters {
    released: Option<[NaiveDate; 2]>,
    genre: Option<i64>,
}

impl MovieSearch {
    /// The text, if the order is that of its matches.
    fn ranked_text(&self) -> Option<&SearchText> {
        self.text.as_ref().filter(|_| self.order == MovieOrder::Relevance)
    }

    /// Whether `order` is the text of a place in this order.
    #[must_use]
    pub fn is_place(&self, order: &str) -> bool {
        match self.order {
            MovieOrder::Relevance if self.text.is_some() => SearchText::is_place(order),
            MovieOrder::Relevance => order.parse::<i32>().is_ok(),
            MovieOrder::Title => true,
            MovieOrder::Newest | MovieOrder::Oldest => {
                order.parse::<NaiveDate>().is_ok_and(|date| (1..=9999).contains(&date.year()))
            }
        }
    }

    /// The SQL of movies that are not in the order of matches, with the same filters as `search.sql`.
    fn ordered_sql(&self) -> String {
        let [place, after, order] = self.order.sql();
        let filters = MOVIE_FILTERS.replace("$10", "$6").replace("$11", "$7").replace("$12", "$8");
        format!(
            "SELECT ({place})::text AS place, t.movie_id AS id
             FROM cinegraph.folded_titles AS t
             WHERE ($1::text IS NULL
                    OR array_to_tsvector(string_to_array(btrim(t.words), ' ')) @@ $1::tsquery AND t.words LIKE ALL ($2))
               AND {after} {filters}
             ORDER BY {order} LIMIT $5"
        )
    }
}

impl Store {
    /// Up to `limit` movies that a search finds, each with the text of its place in the order. `after` is the last movie of
    /// the previous page; `None` for the first page. A movie that was added or renamed is found when the drain has folded
    /// its title.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn search_movies(
        &self,
        search: &MovieSearch,
        after: Option<&(String, MovieId)>,
        limit: usize,
    ) -> Result<Vec<(String, MovieId)>, StoreError> {
        let filters = Filters { released: search.released, genre: search.genre };
        let Some(text) = search.ranked_text() else {
            let words = search.text.as_ref().map(SearchText::indexed_and_others);
            let others = words.iter().flat_map(|(_, others)| others);
            let others: Vec<String> = others.map(|word| format!("% {}%", literal(word))).collect();
            let statement = sqlx::query(AssertSqlSafe(search.ordered_sql()))
                .bind(words.map(|(indexed, _)| tsquery(&indexed)))
                .bind(others)
                .bind(after.map(|(order, _)| order.clone()))
                .bind(after.map(|(_, id)| id.0))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .bind(filters.released.map(|[from, _]| from))
                .bind(filters.released.map(|[_, to]| to))
                .bind(filters.genre);
            let convert = |row: &PgRow| Ok((row.try_get("place")?, MovieId(row.try_get("id")?)));
            return self.rows_of(QueryName::MoviesByTitle, statement, convert).await;
        };
        let after = after.map(|(order, id)| (order.as_str(), id.0));
        let found = self.matches(&MOVIES, text, after, limit, filters).await?;
        Ok(found.into_iter().map(|(order, id)| (order, MovieId(id))).collect())
    }

    /// Up to `limit` people whose name a text finds, in the order of matches, as [`search_movies`](Self::search_movies). A
    /// person who was added is found when the drain has folded the name, and a new name after the next check of all scores.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn search_people(
        &self,
        text: &SearchText,
        after: Option<&(String, PersonId)>,
        limit: usize,
    ) -> Result<Vec<(String, PersonId)>, StoreError> {
        let after = after.map(|(order, id)| (order.as_str(), id.0));
        let found = self.matches(&PEOPLE, text, after, limit, Filters::default()).await?;
        Ok(found.into_iter().map(|(order, id)| (order, PersonId(id))).collect())
    }

    /// The IDs of what a text finds, each with the text of its place in the order of matches.
    async fn matches(
        &self,
        searched: &'static Searched,
        text: &SearchText,
        after: Option<(&str, i64)>,
        limit: usize,
        filters: Filters,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let after = after.and_then(|(order, id)| Some((Match::from_order(order)?, id)));
        let convert = |row: &PgRow| {
            let popularity: i16 = row.try_get("popularity")?;
            let place = Match { kind: row.try_get("kind")?, popularity: popularity.into() };
            Ok((place.to_order(), row.try_get("id")?))
        };
        let [matching, similar] = &searched.statements;
        let mut found = vec![];
        if after.is_none_or(|(place, _)| place.kind < SIMILAR) {
            let statement = text.bind(matching, after, limit, filters, false);
            found = self.rows_of(searched.query_name, statement, convert).await?;
        }
        if found.len() < limit
            && text.has_trigrams()
            && self.has_index(searched.query_name, searched.trigram_index).await?
        {
            let statement = text.bind(similar, after, limit - found.len(), filters, true);
            found.extend(self.rows_of(searched.query_name, statement, convert).await?);
        }
        Ok(found)
    }

    /// Which index searches use. `name` is that of the statement in metrics.
    ///
    /// # Errors
    /// [`StoreError`] if the database is unavailable.
    pub async fn search_index(&self, name: QueryName) -> Result<SearchIndex, StoreError> {
        let has_trigrams = self.has_index(name, MOVIES.trigram_index).await?;
        Ok(if has_trigrams { SearchIndex::Trigrams } else { SearchIndex::Words })
    }

    /// Whether an index exists.
    async fn has_index(&self, name: QueryName, index: &str) -> Result<bool, StoreError> {
        let mut statement = self.statement(name).await?;
        let row = sqlx::query_scalar!(r#"SELECT to_regclass($1) IS NOT NULL AS "there!""#, index);
        let row = row.fetch_one(statement.connection()).await;
        statement.finish(row)
    }

    /// Runs a statement whose plan is made for its values.
    async fn rows_of<T>(
        &self,
        name: QueryName,
        query: Query<'_, Postgres, PgArguments>,
        convert: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.statement(name).await?;
        let rows = query.persistent(false).fetch_all(statement.connection()).await;
        let rows = rows.and_then(|rows| rows.iter().map(convert).collect());
        statement.rows(rows)
    }
}
