//! Rate limit of warnings and errors, so that a failing dependency cannot flood the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use super::dropped::{self, DropReason, Signal};

/// Maximum number of warnings or errors per second of one callsite. The value is a choice: the first lines of a flood
/// tell as much as all of them.
const WARNINGS_PER_SECOND: u32 = 10;

/// Rate limit of warnings and errors, separate for each callsite.
pub(super) struct RateLimitFilter {
    started: Instant,
    /// For each callsite, the second of its last line and the number of its lines in that second. Bounded by the number
    /// of callsites in the program.
    seen: Mutex<HashMap<Identifier, (u64, u32)>>,
}

impl Default for RateLimitFilter {
    fn default() -> Self {
        Self { started: Instant::now(), seen: Mutex::default() }
    }
}

/// Whether the limit applies. The order of levels is by verbosity, so `ERROR` is below `WARN`.
fn is_limited(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN
}

impl<S: Subscriber> Filter<S> for RateLimitFilter {
    /// Always true: it is also called without an event (`tracing::enabled!`), so lines are counted in `event_enabled`.
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// Without a hint, the lines would be as verbose as the spans at most.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // `Interest::always` skips `enabled`. An event that `event_enabled` then rejects fails an assertion of the
        // library, so every level that this filter can reject must be `sometimes`.
        if is_limited(metadata) { Interest::sometimes() } else { Interest::always() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if !is_limited(event.metadata()) {
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
            dropped::record(Signal::Logs, DropReason::RateLimited, 1);
        }
        is_allowed
    }
}
