//! Finds the setting that a misspelt name was probably meant to be.

use strsim::osa_distance;

/// Maximum number of typing errors in a misspelt name. With three, CINEGRAPH_REDIS_PORT, which Kubernetes sets for a
/// Service named `cinegraph-redis`, would count as a misspelt CINEGRAPH_REDIS_URL.
const MAX_EDITS: usize = 2;

/// Units at the end of names, which are easily forgotten. Upper case in variables, lower case in the file.
const UNITS: [&str; 4] = ["_SECONDS", "_BYTES", "_seconds", "_bytes"];

/// The known name that `name` is probably meant to be. `None` if no known name is similar.
pub(super) fn closest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known.filter(|known| is_misspelling(name, known)).min_by_key(|known| osa_distance(name, known))
}

/// Whether `name` differs from `known` by at most [`MAX_EDITS`] typing errors, by a longer last word (`HTTP_ADDRESS`
/// for `HTTP_ADDR`), or by a missing unit.
fn is_misspelling(name: &str, known: &str) -> bool {
    let has_longer_word = name.strip_prefix(known).is_some_and(|rest| !rest.contains('_'));
    let lacks_unit = UNITS.iter().any(|unit| known.strip_suffix(unit) == Some(name));
    has_longer_word || lacks_unit || osa_distance(name, known) <= MAX_EDITS
}
