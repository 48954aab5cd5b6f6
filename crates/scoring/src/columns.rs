//! The movies of one decade as columns in memory, from which rankings and validations are computed without SQL.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Basis, Criterion, MovieId, ScoreVector, fold_title};

/// Score vectors and list memberships of a decade's fully imported movies, one per row, in the order of loading.
///
/// A clone shares the arrays. So the published and the blind columns of a snapshot, which differ in two criteria, have
/// the other arrays in common.
#[derive(Debug, Clone)]
pub struct ScoreColumns {
    ids: Arc<[MovieId]>,
    /// All row numbers, sorted by the movie id of the row.
    by_id: Arc<[u32]>,
    criteria: [Arc<[f64]>; Criterion::COUNT],
    /// The lists of each movie, as indices in `list_keys`.
    lists: Arc<Codes>,
    list_keys: Arc<[String]>,
}

impl ScoreColumns {
    /// Number of movies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the decade has no fully imported movie.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Id of the movie in a row.
    #[must_use]
    pub fn id(&self, row: usize) -> MovieId {
        self.ids[row]
    }

    /// Row of a movie; `None` if the columns do not contain it.
    #[must_use]
    pub fn row_of(&self, id: MovieId) -> Option<usize> {
        let place = self.by_id.binary_search_by_key(&id, |row| self.id(*row as usize)).ok()?;
        Some(self.by_id[place] as usize)
    }

    /// All rows, by ascending id of their movies. Other columns have another array, also if they hold the same movies.
    #[must_use]
    pub fn rows_by_id(&self) -> &Arc<[u32]> {
        &self.by_id
    }

    /// The score vector of the movie in this row.
    #[must_use]
    pub fn vector(&self, row: usize) -> ScoreVector {
        ScoreVector(std::array::from_fn(|criterion| self.criteria[criterion][row]))
    }

    /// For each criterion: the share of the movies that have a lower value than the movie in this row, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a decade has far fewer than 2^52 movies")]
    pub fn lower_shares(&self, row: usize) -> [f64; Criterion::COUNT] {
        std::array::from_fn(|criterion| {
            let values = &self.criteria[criterion];
            values.iter().filter(|value| **value < values[row]).count() as f64 / values.len() as f64
        })
    }

    /// Predicate on rows: whether the movie is on the list. False for all rows if the list is unknown.
    pub fn on_list(&self, list_key: &str) -> impl Fn(usize) -> bool {
        let code = self.list_keys.iter().position(|key| key == list_key).and_then(|code| u32::try_from(code).ok());
        move |row| code.is_some_and(|code| self.lists.of(row).contains(&code))
    }

    /// Each list with at least one movie of the decade, and its number of movies.
    pub fn list_sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.list_keys.iter().map(|key| {
            let on_list = self.on_list(key);
            (key.as_str(), (0..self.len()).filter(|row| on_list(*row)).count())
        })
    }

    /// These columns with other values of two criteria: those in which the bases differ.
    fn with_criteria(&self, replaced: [(Criterion, Vec<f64>); 2]) -> Self {
        let mut columns = self.clone();
        for (criterion, values) in replaced {
            columns.criteria[criterion as usize] = values.into();
        }
        columns
    }
}

/// A list of numbers per row, such as the ids of a movie's genres. All lists are in one vector, because a vector for
/// each row would take more memory.
#[derive(Debug, Default)]
pub struct Codes {
    codes: Vec<u32>,
    /// Where the list of each row ends in `codes`. It starts where that of the row before ends.
    ends: Vec<u32>,
}

impl Codes {
    fn push(&mut self, codes: impl IntoIterator<Item = u32>) {
        self.codes.extend(codes);
        self.ends.push(offset(self.codes.len()));
    }

    fn shrink_to_fit(&mut self) {
        self.codes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The codes of a row.
    #[must_use]
    pub fn of(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.codes[start..self.ends[row] as usize]
    }
}

/// [Folded](fold_title) titles in one string, so that one substring search covers all movies.
#[derive(Debug, Default)]
pub struct Titles {
    text: String,
    /// Where each title ends in `text`, including its separator.
    ends: Vec<u32>,
}

impl Titles {
    /// Follows each title in the text, so that no search text matches across two titles.
    const SEPARATOR: char = '\n';

    /// Folds a title or a search text, and replaces each separator in it by a space.
    fn searchable(text: &str) -> String {
        fold_title(text).replace(Self::SEPARATOR, " ")
    }

    fn push(&mut self, title: &str) {
        self.text.push_str(&Self::searchable(title));
        self.text.push(Self::SEPARATOR);
        self.ends.push(offset(self.text.len()));
    }

    fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Rows whose titles contain `wanted`, in ascending order; all rows if `wanted` is empty. Both texts are folded.
    #[must_use]
    pub fn containing(&self, wanted: &str) -> Vec<usize> {
        let wanted = Self::searchable(wanted);
        if wanted.is_empty() {
            return (0..self.ends.len()).collect();
        }
        let mut rows: Vec<usize> = memchr::memmem::find_iter(self.text.as_bytes(), wanted.as_bytes())
            .map(|at| self.ends.partition_point(|end| *end as usize <= at))
            .collect();
        // A title may contain the text more than once.
        rows.dedup();
        rows
    }
}

/// Converts a length or position within a decade's columns to `u32`, which takes half of the memory of `usize`. The
/// titles of a decade stay far below 4 GiB.
fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a decade's titles and codes stay below 4 GiB")
}

/// Attributes of movies, for the filters and the details of predictions. A row has the same number as in the
/// corresponding [`ScoreColumns`].
#[derive(Debug, Default)]
pub struct MovieAttributes {
    /// Release days.
    pub release_days: Vec<NaiveDate>,
    /// How many of the four ratings are known: `TMDb`, `IMDb`, Metacritic, Rotten Tomatoes.
    pub coverage: Vec<u8>,
    /// When the scores were computed.
    pub computed_at: Vec<DateTime<Utc>>,
    /// Database ids of genres.
    pub genres: Codes,
    /// Database ids of production countries.
    pub countries: Codes,
    /// Folded titles.
    pub titles: Titles,
    /// The original language of each movie, as an index in `language_names`.
    languages: Vec<u32>,
    language_names: Vec<String>,
}

impl MovieAttributes {
    /// Predicate on rows: whether the original language of the movie is `language`. False for all rows if no movie has
    /// this language.
    pub fn in_language(&self, language: &str) -> impl Fn(usize) -> bool {
        let code = self.language_names.iter().position(|name| name.eq_ignore_ascii_case(language));
        let code = code.and_then(|code| u32::try_from(code).ok());
        move |row| Some(self.languages[row]) == code
    }
}

/// All columns of one decade's fully imported movies.
#[derive(Debug)]
pub struct DecadeColumns {
    /// Score vectors.
    pub scores: ScoreColumns,
    /// Attributes for filters.
    pub attributes: MovieAttributes,
}

/// One fully imported movie of a decade.
#[derive(Debug, Clone)]
pub struct MovieRow<'a> {
    /// Movie id.
    pub id: MovieId,
    /// The five criteria.
    pub vector: ScoreVector,
    /// Release day.
    pub release_day: NaiveDate,
    /// How many of the four ratings are known: `TMDb`, `IMDb`, Metacritic, Rotten Tomatoes.
    pub coverage: u8,
    /// When the scores were computed.
    pub computed_at: DateTime<Utc>,
    /// Keys of the lists that contain the movie.
    pub list_keys: Vec<&'a str>,
    /// Title.
    pub title: &'a str,
    /// Two-letter code of the original language, or empty if unknown.
    pub language: &'a str,
    /// Database ids of genres.
    pub genres: Vec<u32>,
    /// Database ids of production countries.
    pub countries: Vec<u32>,
}

/// Builds the columns of a decade from rows.
#[derive(Debug, Default)]
pub struct DecadeColumnsBuilder {
    scores: ScoreColumnsBuilder,
    attributes: MovieAttributes,
    languages: Dictionary,
}

impl DecadeColumnsBuilder {
    /// Adds a movie.
    pub fn push(&mut self, row: MovieRow<'_>) {
        self.scores.push(row.id, row.vector, &row.list_keys);
        let attributes = &mut self.attributes;
        attributes.release_days.push(row.release_day);
        attributes.coverage.push(row.coverage);
        attributes.computed_at.push(row.computed_at);
        attributes.genres.push(row.genres);
        attributes.countries.push(row.countries);
        attributes.titles.push(row.title);
        attributes.languages.push(self.languages.code(row.language));
    }

    /// Returns the columns, without spare capacity, since they stay in the cache.
    #[must_use]
    pub fn finish(mut self) -> DecadeColumns {
        let attributes = &mut self.attributes;
        attributes.release_days.shrink_to_fit();
        attributes.coverage.shrink_to_fit();
        attributes.computed_at.shrink_to_fit();
        attributes.genres.shrink_to_fit();
        attributes.countries.shrink_to_fit();
        attributes.titles.shrink_to_fit();
        attributes.languages.shrink_to_fit();
        attributes.language_names = self.languages.names;
        DecadeColumns { scores: self.scores.finish(), attributes: self.attributes }
    }
}

/// One decade of the validation snapshot, for one target list.
#[derive(Debug)]
pub struct SnapshotColumns {
    published: ScoreColumns,
    blind: ScoreColumns,
    popularity: Vec<f64>,
    votes: Vec<f64>,
    /// Listed movies of the decade that are not fully imported, so that no ranking contains them.
    pub unhittable: Vec<MovieId>,
}

/// One fully imported movie of the snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotRow<'a> {
    /// Movie id.
    pub id: MovieId,
    /// Published criteria.
    pub published: ScoreVector,
    /// Cultural impact, computed as if it were unknown which movies are on the target list.
    pub blind_cultural_impact: f64,
    /// People quality, computed as if it were unknown which movies are on the target list.
    pub blind_people_quality: f64,
    /// `TMDb`'s popularity, 0 where missing.
    pub popularity: f64,
    /// Number of votes of its rating, 0 where missing.
    pub votes: f64,
    /// Keys of the lists that contain the movie.
    pub list_keys: Vec<&'a str>,
}

impl SnapshotColumns {
    /// The score vectors of one basis.
    #[must_use]
    pub fn scores(&self, basis: Basis) -> &ScoreColumns {
        match basis {
            Basis::Blind => &self.blind,
            Basis::AsPublished => &self.published,
        }
    }

    /// `TMDb`'s popularity of each row, 0 where missing.
    #[must_use]
    pub fn popularity(&self) -> &[f64] {
        &self.popularity
    }

    /// Number of votes of each row, 0 where missing.
    #[must_use]
    pub fn votes(&self) -> &[f64] {
        &self.votes
    }
}

/// Builds the snapshot columns of a decade from rows.
#[derive(Debug, Default)]
pub struct SnapshotColumnsBuilder {
    published: ScoreColumnsBuilder,
    blind_cultural_impact: Vec<f64>,
    blind_people_quality: Vec<f64>,
    popularity: Vec<f64>,
    votes: Vec<f64>,
}

impl SnapshotColumnsBuilder {
    /// Adds a movie.
    pub fn push(&mut self, row: SnapshotRow<'_>) {
        self.published.push(row.id, row.published, &row.list_keys);
        self.blind_cultural_impact.push(row.blind_cultural_impact);
        self.blind_people_quality.push(row.blind_people_quality);
        self.popularity.push(row.popularity);
        self.votes.push(row.votes);
    }

    /// Returns the columns of both bases, without spare capacity. `unhittable` are the listed movies of the decade that
    /// are not fully imported.
    #[must_use]
    pub fn finish(mut self, unhittable: Vec<MovieId>) -> SnapshotColumns {
        self.popularity.shrink_to_fit();
        self.votes.shrink_to_fit();
        let published = self.published.finish();
        let blind = published.with_criteria([
            (Criterion::CulturalImpact, self.blind_cultural_impact),
            (Criterion::PeopleQuality, self.blind_people_quality),
        ]);
        SnapshotColumns { published, blind, popularity: self.popularity, votes: self.votes, unhittable }
    }
}

#[derive(Debug, Default)]
struct ScoreColumnsBuilder {
    ids: Vec<MovieId>,
    criteria: [Vec<f64>; Criterion::COUNT],
    lists: Codes,
    list_keys: Dictionary,
}

impl ScoreColumnsBuilder {
    fn push(&mut self, id: MovieId, vector: ScoreVector, list_keys: &[&str]) {
        self.ids.push(id);
        for (column, value) in self.criteria.iter_mut().zip(vector.0) {
            column.push(value);
        }
        self.lists.push(list_keys.iter().map(|key| self.list_keys.code(key)));
    }

    fn finish(mut self) -> ScoreColumns {
        self.lists.shrink_to_fit();
        let mut by_id: Vec<u32> = (0..offset(self.ids.len())).collect();
        by_id.sort_unstable_by_key(|row| self.ids[*row as usize]);
        ScoreColumns {
            ids: self.ids.into(),
            by_id: by_id.into(),
            criteria: self.criteria.map(Into::into),
            lists: Arc::new(self.lists),
            list_keys: self.list_keys.names.into(),
        }
    }
}

/// Dictionary encoding of strings with few distinct values, such as languages. A linear search for a string is faster
/// than a hash table at this size.
#[derive(Debug, Default)]
struct Dictionary {
    names: Vec<String>,
}

impl Dictionary {
    /// The code of a string: its index in `names`, to which it is added if it is new.
    fn code(&mut self, name: &str) -> u32 {
        let code = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        offset(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_search_ignores_case_and_never_spans_two_titles() {
        let mut titles = Titles::default();
        for title in ["Amélie", "La Dolce Vita", "AMÉLIE\nagain", ""] {
            titles.push(title);
        }
        assert_eq!(titles.containing("éLI"), [0, 2]);
        assert_eq!(titles.containing("E\u{301}l"), [0, 2]);
        assert_eq!(titles.containing("a"), [0, 1, 2]);
        assert_eq!(titles.containing("amélie la"), [0; 0]);
        assert_eq!(titles.containing(""), [0, 1, 2, 3]);
    }

    #[test]
    fn line_breaks_in_search_texts_match_only_within_a_title() {
        let mut titles = Titles::default();
        for title in ["Alpha", "Beta", "Gamma\nDelta"] {
            titles.push(title);
        }
        assert_eq!(titles.containing("\n"), [2]);
        assert_eq!(titles.containing("a\nb"), [0; 0]);
        assert_eq!(titles.containing("a\nd"), [2]);
    }
}
