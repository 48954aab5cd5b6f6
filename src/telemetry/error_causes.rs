//! Texts of errors for logs.

use std::error::Error;
use std::iter::successors;

/// An error and all its causes, on one line. Many errors leave their cause out of their own text; a cause is left out if
/// the text before ends with it already.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}
