//! The score vectors of one decade as arrays: what rankings and validations run over, without a statement.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Basis, Criterion, MovieId, ScoreVector};

/// Score vectors and list memberships of a decade's full films, in the order in which they came.
///
/// Cheap to clone: the arrays are shared, so that two bases can differ in two criteria and share the rest.
#[derive(Debug, Clone)]
pub struct ScoreColumns {
    ids: Arc<[MovieId]>,
    /// Rows in ascending order of their ids.
    by_id: Arc<[u32]>,
    criteria: [Arc<[f64]>; Criterion::COUNT],
    lists: Arc<Codes>,
    list_keys: Arc<[String]>,
}

impl ScoreColumns {
    /// How many films.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the decade has no full film.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The id of the film in a row.
    #[must_use]
    pub fn id(&self, row: usize) -> MovieId {
        self.ids[row]
    }

    /// The row of a film.
    #[must_use]
    pub fn row_of(&self, id: MovieId) -> Option<usize> {
        let place = self.by_id.binary_search_by_key(&id, |row| self.id(*row as usize)).ok()?;
        Some(self.by_id[place] as usize)
    }

    /// The score vector in a row.
    #[must_use]
    pub fn vector(&self, row: usize) -> ScoreVector {
        ScoreVector(std::array::from_fn(|criterion| self.criteria[criterion][row]))
    }

    /// Says of each row whether its film is on a list.
    pub fn on_list(&self, list_key: &str) -> impl Fn(usize) -> bool {
        let code = self.list_keys.iter().position(|key| key == list_key).and_then(|code| u32::try_from(code).ok());
        move |row| code.is_some_and(|code| self.lists.of(row).contains(&code))
    }

    /// Of each list that a film of the decade is on, how many are.
    pub fn list_sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.list_keys.iter().map(|key| {
            let on_list = self.on_list(key);
            (key.as_str(), (0..self.len()).filter(|row| on_list(*row)).count())
        })
    }

    fn with(&self, replaced: [(Criterion, Vec<f64>); 2]) -> Self {
        let mut columns = self.clone();
        for (criterion, values) in replaced {
            columns.criteria[criterion as usize] = values.into();
        }
        columns
    }
}

/// Several codes for each row (genres of a film, say), end to end.
#[derive(Debug, Default)]
pub struct Codes {
    codes: Vec<u32>,
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

/// Titles, folded to lower case, in one text: searched in one sweep instead of one search a film.
#[derive(Debug, Default)]
pub struct Titles {
    text: String,
    ends: Vec<u32>,
}

impl Titles {
    /// Stands between two titles; no title and no searched text holds it.
    const SEPARATOR: char = '\n';

    fn push(&mut self, title: &str) {
        self.text
            .extend(title.chars().flat_map(char::to_lowercase).map(|c| if c == Self::SEPARATOR { ' ' } else { c }));
        self.text.push(Self::SEPARATOR);
        self.ends.push(offset(self.text.len()));
    }

    fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The rows whose titles contain `wanted`, whatever the case, in ascending order.
    pub fn containing(&self, wanted: &str) -> Vec<usize> {
        let wanted: String = wanted.chars().flat_map(char::to_lowercase).collect();
        if wanted.is_empty() {
            return (0..self.ends.len()).collect();
        }
        let mut rows: Vec<usize> = memchr::memmem::find_iter(self.text.as_bytes(), wanted.as_bytes())
            .map(|at| self.ends.partition_point(|end| *end as usize <= at))
            .collect();
        rows.dedup();
        rows
    }
}

/// Offsets within a decade's columns: 4 GiB of titles are not met in ten years of film.
fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a decade's titles and codes stay below 4 GiB")
}

/// What a prediction's filters look at, row by row as in the [`ScoreColumns`] beside it.
#[derive(Debug, Default)]
pub struct MovieAttributes {
    /// Release days.
    pub release_days: Vec<NaiveDate>,
    /// How many of the four rating inputs are above 0.
    pub coverage: Vec<u8>,
    /// When the scores were computed.
    pub computed_at: Vec<DateTime<Utc>>,
    /// Database ids of genres.
    pub genres: Codes,
    /// Database ids of production countries.
    pub countries: Codes,
    /// Titles in lower case.
    pub titles: Titles,
    languages: Vec<u32>,
    language_names: Vec<String>,
}

impl MovieAttributes {
    /// Says of each row whether its film's original language is the one given.
    pub fn in_language(&self, language: &str) -> impl Fn(usize) -> bool {
        let code = self.language_names.iter().position(|name| name.eq_ignore_ascii_case(language));
        let code = code.and_then(|code| u32::try_from(code).ok());
        move |row| Some(self.languages[row]) == code
    }
}

/// Everything in memory about the full films of one decade.
#[derive(Debug)]
pub struct DecadeColumns {
    /// Score vectors.
    pub scores: ScoreColumns,
    /// What filters look at.
    pub attributes: MovieAttributes,
}

/// One full film of a decade, as it is loaded.
#[derive(Debug, Clone)]
pub struct MovieRow<'a> {
    /// Its id.
    pub id: MovieId,
    /// Its five criteria.
    pub vector: ScoreVector,
    /// Its release day.
    pub release_day: NaiveDate,
    /// How many of the four rating inputs are above 0.
    pub coverage: u8,
    /// When the scores were computed.
    pub computed_at: DateTime<Utc>,
    /// Lists that it is on.
    pub list_keys: Vec<&'a str>,
    /// Its title.
    pub title: &'a str,
    /// Two letters, or empty where unknown.
    pub language: &'a str,
    /// Database ids of its genres.
    pub genres: Vec<u32>,
    /// Database ids of its production countries.
    pub countries: Vec<u32>,
}

/// Takes a decade's films one by one, as they arrive.
#[derive(Debug, Default)]
pub struct DecadeColumnsBuilder {
    scores: ScoreColumnsBuilder,
    attributes: MovieAttributes,
    languages: Dictionary,
}

impl DecadeColumnsBuilder {
    /// Adds a film.
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

    /// The columns, in no more memory than they need.
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

/// What validations of one decade read from the snapshot, for one target list.
#[derive(Debug)]
pub struct SnapshotColumns {
    published: ScoreColumns,
    blind: ScoreColumns,
    popularity: Vec<f64>,
    /// Films of the decade on the target list that are not full, so that no ranking holds them.
    pub unhittable: Vec<MovieId>,
}

/// One full film of the snapshot, as it is loaded.
#[derive(Debug, Clone)]
pub struct SnapshotRow<'a> {
    /// Its id.
    pub id: MovieId,
    /// Its published criteria.
    pub published: ScoreVector,
    /// Cultural impact without the target list's labels.
    pub blind_cultural_impact: f64,
    /// People quality without the target list's labels.
    pub blind_people_quality: f64,
    /// `TMDb`'s popularity, 0 where missing.
    pub popularity: f64,
    /// Lists that it is on.
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

    /// `TMDb`'s popularity of each row, 0 where missing: what the popularity-only baseline ranks by.
    #[must_use]
    pub fn popularity(&self) -> &[f64] {
        &self.popularity
    }
}

/// Takes a decade's films of the snapshot one by one, as they arrive.
#[derive(Debug, Default)]
pub struct SnapshotColumnsBuilder {
    published: ScoreColumnsBuilder,
    blind_cultural_impact: Vec<f64>,
    blind_people_quality: Vec<f64>,
    popularity: Vec<f64>,
}

impl SnapshotColumnsBuilder {
    /// Adds a film.
    pub fn push(&mut self, row: SnapshotRow<'_>) {
        self.published.push(row.id, row.published, &row.list_keys);
        self.blind_cultural_impact.push(row.blind_cultural_impact);
        self.blind_people_quality.push(row.blind_people_quality);
        self.popularity.push(row.popularity);
    }

    /// Columns of both bases, in no more memory than they need. `unhittable` are the listed films that are not full.
    #[must_use]
    pub fn finish(mut self, unhittable: Vec<MovieId>) -> SnapshotColumns {
        self.popularity.shrink_to_fit();
        let published = self.published.finish();
        let blind = published.with([
            (Criterion::CulturalImpact, self.blind_cultural_impact),
            (Criterion::PeopleQuality, self.blind_people_quality),
        ]);
        SnapshotColumns { published, blind, popularity: self.popularity, unhittable }
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

/// Numbers for names that few films differ in; a scan beats a hash at that size.
#[derive(Debug, Default)]
struct Dictionary {
    names: Vec<String>,
}

impl Dictionary {
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
    fn titles_are_found_whatever_their_case_and_never_across_two() {
        let mut titles = Titles::default();
        for title in ["Amélie", "La Dolce Vita", "AMÉLIE\nagain", ""] {
            titles.push(title);
        }
        assert_eq!(titles.containing("éLI"), [0, 2]);
        assert_eq!(titles.containing("a"), [0, 1, 2]);
        assert_eq!(titles.containing("amélie la"), [0; 0]);
        assert_eq!(titles.containing(""), [0, 1, 2, 3]);
    }
}
