//! Misspelt names: which unknown name was probably meant to be which setting.

use strsim::osa_distance;

/// Most typing errors of a misspelt name. Three would take CINEGRAPH_REDIS_PORT, which Kubernetes sets for a Service
/// named `cinegraph-redis`, for CINEGRAPH_REDIS_URL.
const MAX_EDITS: usize = 2;

/// Suffixes of settings that are easily forgotten.
const UNITS: [&str; 4] = ["_SECONDS", "_BYTES", "_seconds", "_bytes"];

/// The known name that `name` is probably meant to be.
pub(super) fn closest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known.filter(|known| is_misspelling(name, known)).min_by_key(|known| osa_distance(name, known))
}

/// Whether `name` has at most two typing errors, a longer last word (`HTTP_ADDRESS`), or lacks the unit.
fn is_misspelling(name: &str, known: &str) -> bool {
    let has_longer_word = name.strip_prefix(known).is_some_and(|rest| !rest.contains('_'));
    let lacks_unit = UNITS.iter().any(|unit| known.strip_suffix(unit) == Some(name));
    has_longer_word || lacks_unit || osa_distance(name, known) <= MAX_EDITS
}
