//! What a page of predictions may be narrowed to.

use async_graphql::InputObject;

use super::context::RequestContext;
use super::error::ApiError;
use super::scalars::Date;
use crate::scoring::Filter;
use crate::services::catalogue::Reference;

/// Names in one filter at most.
const NAMES_MAX: usize = 50;

/// Characters of a text in a filter at most.
const TEXT_MAX: usize = 200;

/// What to narrow predictions to; all conditions must hold. Ranks do not depend on it.
#[derive(InputObject, Default)]
pub(super) struct PredictionFilter {
    /// At least this score, 0 to 100.
    min_score: Option<f64>,
    /// Any of these genres, by name, whatever the case; none given is no condition.
    genres: Option<Vec<String>>,
    /// Any of these production countries, by ISO 3166-1 code; none given is no condition.
    countries: Option<Vec<String>>,
    /// This original language, two letters.
    original_language: Option<String>,
    /// A title that contains this, whatever the case.
    title_contains: Option<String>,
    /// First shown on this day or later.
    released_from: Option<Date>,
    /// First shown on this day or earlier.
    released_to: Option<Date>,
}

impl PredictionFilter {
    /// Checks the filter and looks its names up.
    pub(super) async fn resolve(self, context: &RequestContext) -> Result<Filter, ApiError> {
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
        text("filter.originalLanguage", self.original_language.as_deref())?;
        text("filter.titleContains", self.title_contains.as_deref())?;
        Ok(Filter {
            min_score: self.min_score,
            genres: ids(context, "filter.genres", self.genres, Reference::genre_ids).await?,
            countries: ids(context, "filter.countries", self.countries, Reference::country_ids).await?,
            language: self.original_language,
            title: self.title_contains,
            released_from: self.released_from.map(|day| day.0),
            released_to: self.released_to.map(|day| day.0),
        })
    }
}

/// The ids of names; those that name nothing match no film.
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
        text(field, Some(name))?;
    }
    Ok(Some(of(context.reference().await?, &names)))
}

pub(super) fn text(field: &str, text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.chars().count() > TEXT_MAX => {
            Err(ApiError::bad_input(field, format!("is longer than {TEXT_MAX} characters")))
        }
        // PostgreSQL has no text with such a character, so nothing can match.
        Some(text) if text.contains('\0') => Err(ApiError::bad_input(field, "contains a NUL character")),
        _ => Ok(()),
    }
}
