//! The filter of a page of predictions: validation and conversion to domain values.

use async_graphql::InputObject;

use super::date::Date;
use crate::graphql::context::{RankingParams, RequestContext};
use crate::graphql::error::ApiError;
use crate::scoring::{Filter, fold_title};
use crate::services::reference::Reference;

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
    /// matter. An empty list matches all movies, a list of unknown names none.
    genres: Option<Vec<String>>,
    /// Matches movies produced in any of these countries, at most 50, by ISO 3166-1 alpha-2 code; case does not matter. An
    /// empty list matches all movies, a list of unknown codes none.
    countries: Option<Vec<String>>,
    /// Matches movies with this original language, an ISO 639-1 code such as "en"; case does not matter.
    original_language: Option<String>,
    /// Matches movies whose title contains this text of at most 200 characters. Case, accents and the Unicode form, such
    /// as full-width letters, do not matter.
    title_contains: Option<String>,
    /// Matches movies released on this day or later.
    released_from: Option<Date>,
    /// Matches movies released on this day or earlier.
    released_to: Option<Date>,
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
    /// `BAD_USER_INPUT` if a value is out of range, too long, contains a NUL character or does not fit the ranking.
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
        check_text("filter.originalLanguage", self.original_language.as_deref())?;
        check_text("filter.titleContains", self.title_contains.as_deref())?;
        let movies = Filter {
            min_score: self.min_score,
            genres: ids(context, "filter.genres", self.genres, Reference::genre_ids).await?,
            countries: ids(context, "filter.countries", self.countries, Reference::country_ids).await?,
            language: self.original_language,
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

/// The IDs of `names`; `None`, which matches all movies, if no names are given. Unknown names are left out, because
/// they match no movie. If all names are unknown, the IDs are empty and match no movie either.
///
/// # Errors
/// `BAD_USER_INPUT` if there are more than [`NAMES_MAX`] names or one is not valid.
async fn ids(
    context: &RequestContext,
    field: &str,
    names: Option<Vec<String>>,
    of: impl Fn(&Reference, &[String]) -> Vec<u32>,
) -> Result<Option<Vec<u32>>, ApiError> {
    let Some(names) = names.filter(|names| !names.is_empty()) else { return Ok(None) };
    if names.len() > NAMES_MAX {
        return Err(ApiError::bad_input(field, format!("has {} names, expected {NAMES_MAX} at most", names.len())));
    }
    for name in &names {
        check_text(field, Some(name))?;
    }
    Ok(Some(of(context.reference().await?, &names)))
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
