//! Rate limit of warnings and errors, so that a failing dependency cannot flood the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use super::dropped;

/// Maximum number of lines per second and callsite for warnings and errors. Under load the first ones are enough.
const WARNINGS_PER_SECOND: u32 = 10;

/// Rate limit of warnings and errors, separate for each callsite.
pub(super) struct RateLimitFilter {
    started: Instant,
    /// By callsite: the second of its last line, and its number of lines in that second.
    seen: Mutex<HashMap<Identifier, (u64, u32)>>,
}

impl Default for RateLimitFilter {
    fn default() -> Self {
        Self { started: Instant::now(), seen: Mutex::default() }
    }
}

impl<S: Subscriber> Filter<S> for RateLimitFilter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // `Interest::always` skips `enabled`. An event that `event_enabled` then rejects fails an assertion of the
        // library, so every level that this filter can reject must be `sometimes`.
        if *metadata.level() > Level::WARN { Interest::always() } else { Interest::sometimes() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let now = self.started.elapsed().as_secs();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, lines) = seen.entry(event.metadata().callsite()).or_insert((now, 0));
        if *second != now {
            (*second, *lines) = (now, 0);
        }
        *lines += 1;
        let is_allowed = *lines <= WARNINGS_PER_SECOND;
        if !is_allowed {
            dropped::record_lines(1);
        }
        is_allowed
    }
}
