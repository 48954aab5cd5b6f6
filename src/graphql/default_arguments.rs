//! What a query, a page or a command predicts if it names no decade and no list.

use crate::scoring::Decade;

/// First year of the decade.
pub const DEFAULT_DECADE: i32 = Decade::CURRENT.year();

/// Key of the target list.
pub const DEFAULT_LIST: &str = "1001_movies";
