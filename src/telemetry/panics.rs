//! Panics as log lines.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

/// Logs panics where they happen, and so with the ids of their traces, instead of printing them to standard error. Code
/// that catches a panic therefore need not log its text again. The rate limit of errors applies: of many panics in one
/// second, only the first are logged, and the others are only counted as dropped log lines.
///
/// Without a log, or if the log filter leaves out errors, panics are printed as before.
pub fn log_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if tracing::enabled!(tracing::Level::ERROR) {
                log(panic);
            } else {
                print(panic);
            }
        }));
    });
}

fn log(panic: &PanicHookInfo<'_>) {
    // Captured only if `RUST_BACKTRACE` asks for it, as for a panic that is printed.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        exception.r#type = "panic",
        exception.message = text(panic.payload()),
        exception.stacktrace = backtrace,
        location = panic.location().map(ToString::to_string),
        thread = thread::current().name(),
        "panicked"
    );
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&'static str>().copied()).unwrap_or("unknown")
}
