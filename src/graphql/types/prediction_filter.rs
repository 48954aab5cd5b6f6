//! The filter of a page of predictions: validation and conversion to domain values.

use async_graphql::{Enum, InputObject};

use super::date::Date;
use crate::graphql::context::{RankingParams, RequestContext};
use crate::graphql::error::ApiError;
use crate::graphql::unknown_name::unknown_name;
use crate::scoring::{self, Filter, fold_title};
use crate::services::import::{language_code, language_name};

/// Maximum number of names in one condition. A choice: more than anyone selects, and few enough to look up all of them.
const NAMES_MAX: usize = 50;

/// Maximum length of a text in a filter, in characters. A choice: longer than nearly all titles.
const TEXT_MAX: usize = 200;

/// Restricts predictions to movies that match all conditions. Ranks do not depend on the filter.
#[derive(InputObject, Default)]
pub(in crate::graphql) struct PredictionFilter {
    /// Matches movies with at least this score, 0 to 100. Only with the ranking `FORMULA`.
    min_score: Option<f64>,
    /// Matches movies with at least this probability, 0 to 1. Only with a learned ranking. Movies without a probability do not
    /// match.
    min_probability: Option<f64>,
    /// Matches movies with any of these genres, at most 50. Names are those of the query `genres`; case and accents do not
    /// matter. An empty list matches all movies.
    genres: Option<Vec<String>>,
    /// Matches movies produced in any of these countries, at most 50, by ISO 3166-1 alpha-2 code as in the query `countries`;
    /// case does not matter. An empty list matches all movies.
    countries: Option<Vec<String>>,
    /// Matches movies with this original language, an ISO 639-1 code such as "en"; case does not matter.
    original_language: Option<String>,
    /// Matches movies that critics like better than audiences, or the reverse: their critical acclaim and their popular opinion
    /// differ by 15 of 100 points or more. Movies without ratings of both do not match.
    preferred_by: Option<PreferredBy>,
    /// Matches movies whose title contains this text of at most 200 characters. Case, accents and the Unicode form, such
    /// as full-width letters, do not matter.
    title_contains: Option<String>,
    /// Matches movies released on this day or later.
    released_from: Option<Date>,
    /// Matches movies released on this day or earlier.
    released_to: Option<Date>,
}

/// Who likes a movie better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "scoring::PreferredBy")]
enum PreferredBy {
    /// Critics.
    Critics,
    /// Audiences.
    Audiences,
}

/// A filter with the IDs of its names.
#[derive(Debug, Default)]
pub(in crate::graphql) struct ResolvedFilter {
    pub(in crate::graphql) movies: Filter,
    pub(in crate::graphql) min_probability: Option<f64>,
}

impl PredictionFilter {
    /// Validates the filter and resolves its names to IDs.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if a value is out of range, unknown, too long, contains a NUL character or does not fit the ranking.
    pub(in crate::graphql) async fn resolve(
        self,
        context: &RequestContext,
        params: &RankingParams,
    ) -> Result<ResolvedFilter, ApiError> {
        self.check_ranking(params)?;
        if let Some(score) = self.min_score
            && !(0.0..=100.0).contains(&score)
        {
            return Err(ApiError::bad_input("filter.minScore", format!("is {score}, expected 0 to 100")));
        }
        if let (Some(from), Some(to)) = (&self.released_from, &self.released_to)
            && from.0 > to.0
        {
            return Err(ApiError::bad_input("filter.releasedFrom", "is after releasedTo"));
        }
        check_text("filter.titleContains", self.title_contains.as_deref())?;
        check_language(self.original_language.as_deref())?;
        let reference = context.reference().await?;
        let genres = ids(
            "filter.genres",
            self.genres,
            |name| reference.genre_id(name),
            |name| {
                let known = reference.genres.iter().map(|genre| (genre.name.as_str(), [genre.name.as_str()]));
                unknown_name("filter.genres", "genre", name, known, "genres")
            },
        )?;
        let countries = ids(
            "filter.countries",
            self.countries,
            |code| reference.country_id(code),
            |code| {
                let known = reference.countries.iter();
                let known =
                    known.map(|country| (country.code.as_str(), [country.code.as_str(), country.name.as_str()]));
                unknown_name("filter.countries", "country code", code, known, "countries")
            },
        )?;
        let movies = Filter {
            min_score: self.min_score,
            genres,
            countries,
            language: self.original_language,
            preferred_by: self.preferred_by.map(Into::into),
            // Folded here, before the filter becomes part of a cache key, so that texts with the same folded form share
            // an entry.
            title: self.title_contains.as_deref().map(fold_title),
            released_from: self.released_from.map(|day| day.0),
            released_to: self.released_to.map(|day| day.0),
        };
        Ok(ResolvedFilter { movies, min_probability: self.min_probability })
    }

    /// Checks that the ranking has what the filter compares.
    fn check_ranking(&self, params: &RankingParams) -> Result<(), ApiError> {
        let is_learned = params.ranking.variant().is_some();
        if self.min_score.is_some() && is_learned {
            return Err(ApiError::bad_input("filter.minScore", "a learned ranking has no score: use `minProbability`"));
        }
        let Some(probability) = self.min_probability else { return Ok(()) };
        let problem = if !is_learned {
            "only a learned ranking has probabilities: pass `ranking`, or use `minScore`".to_owned()
        } else if params.selection.model.is_none() {
            format!("no learned ranking of \"{}\" is served; the query `model` says why", params.list)
        } else if !(0.0..=1.0).contains(&probability) {
            format!("is {probability}, expected 0 to 1")
        } else {
            return Ok(());
        };
        Err(ApiError::bad_input("filter.minProbability", problem))
    }
}

/// The IDs of `names`, ascending and without duplicates; `None`, which matches all movies, if no names are given.
///
/// # Errors
/// `BAD_USER_INPUT` if there are more than [`NAMES_MAX`] names or one is not valid; what `unknown` returns for a name without
/// ID.
fn ids(
    field: &str,
    names: Option<Vec<String>>,
    id: impl Fn(&str) -> Option<i64>,
    unknown: impl Fn(&str) -> ApiError,
) -> Result<Option<Vec<u32>>, ApiError> {
    let Some(names) = names.filter(|names| !names.is_empty()) else { return Ok(None) };
    if names.len() > NAMES_MAX {
        return Err(ApiError::bad_input(field, format!("has {} names, expected {NAMES_MAX} at most", names.len())));
    }
    let mut ids = Vec::with_capacity(names.len());
    for name in &names {
        check_text(field, Some(name))?;
        let id = id(name).ok_or_else(|| unknown(name))?;
        // No loaded movie has an id that is no `u32`: the columns store these ids so, and loading a decade with a larger one
        // fails.
        ids.extend(u32::try_from(id));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(ids))
}

/// Checks that the text is a language code. Unknown codes of two or three letters are allowed: databases have codes of their
/// own.
///
/// # Errors
/// `BAD_USER_INPUT` with the code of the language if the text is its name or another code of it.
fn check_language(written: Option<&str>) -> Result<(), ApiError> {
    let field = "filter.originalLanguage";
    check_text(field, written)?;
    let Some(written) = written.filter(|written| language_name(&written.to_lowercase()).is_none()) else {
        return Ok(());
    };
    let is_code = matches!(written.len(), 2 | 3) && written.bytes().all(|byte| byte.is_ascii_alphabetic());
    match language_code(&written.to_lowercase()) {
        Some(code) => {
            Err(ApiError::bad_input(field, format!("\"{written}\" is no language code; did you mean \"{code}\"?")))
        }
        None if is_code => Ok(()),
        None => Err(ApiError::bad_input(field, format!("\"{written}\" is no language code: pass one such as \"en\""))),
    }
}

/// Checks the text of the argument `field`, if there is one.
///
/// # Errors
/// `BAD_USER_INPUT` if it is longer than [`TEXT_MAX`] characters or contains a NUL character.
pub(in crate::graphql) fn check_text(field: &str, text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.chars().count() > TEXT_MAX => {
            Err(ApiError::bad_input(field, format!("is longer than {TEXT_MAX} characters")))
        }
        // PostgreSQL texts cannot contain NUL, so nothing could match.
        Some(text) if text.contains('\0') => Err(ApiError::bad_input(field, "contains a NUL character")),
        _ => Ok(()),
    }
}
