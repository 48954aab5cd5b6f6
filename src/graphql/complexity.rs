//! The complexity of fields: a rough estimate of their work, in points. The sum over an operation is bounded by
//! [`QueryLimits::max_complexity`](super::QueryLimits::max_complexity).
//!
//! A field costs one point and the points of its selected fields. For a field with the attribute `complexity`, the cost
//! has two parts instead: a constant of this module for the work that the field causes whatever it selects, and the
//! points of the selected fields, multiplied by the number of items. That number is the requested page size, or a
//! typical number for a field without one. All values are choices, of which only the order of magnitude matters: one
//! point stands for a field that only reads memory.

use super::pagination::PAGE_MAX;

/// Ranks a decade or searches the titles of all movies.
pub(super) const RANKING: usize = 10;

/// Finds one movie, and its rank in its decade.
pub(super) const MOVIE_RANK: usize = 5;

/// Finds the rank of a movie that is loaded already.
pub(super) const RANK: usize = 2;

/// Filters a list that one movie or one validated decade has, and creates its cursors.
pub(super) const SUBLIST: usize = 5;

/// Validates one decade.
pub(super) const VALIDATION: usize = 20;

/// Validates all decades.
pub(super) const ALL_VALIDATIONS: usize = 100;

/// Validates all decades under each active profile.
pub(super) const PROFILE_COMPARISON: usize = 400;

/// Counts the movies of every list in every decade.
pub(super) const LIST_COUNTS: usize = 50;

/// Assumed number of decades of a validation: from the 1890s, when the first movies were made, to the present one.
pub(super) const DECADES: usize = 14;

/// Typical number of profiles.
pub(super) const PROFILES: usize = 10;

/// Number of features of a learned ranking.
pub(super) const FEATURES: usize = 90;

/// Typical number of lists.
pub(super) const LISTS: usize = 10;

/// Typical number of genres, and of production countries.
pub(super) const FILTER_VALUES: usize = 20;

/// Number of items of a page of the requested size. At most as many count as the largest page has, because a larger one
/// is rejected later.
pub(super) fn items(requested: i32) -> usize {
    usize::try_from(requested.clamp(0, PAGE_MAX)).unwrap_or(0)
}
