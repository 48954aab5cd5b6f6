//! The thread that all exports run on.

use std::io;
use std::thread::JoinHandle;

use opentelemetry::Context;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// A thread with a runtime for exports, so that they share neither threads nor time with requests. It ends when this is
/// dropped.
#[derive(Debug)]
pub(super) struct ExportThread {
    runtime: Handle,
    abort: CancellationToken,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl ExportThread {
    /// Starts it.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        let thread = std::thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            // Log lines about exports are not exported: each would cause the next one.
            let _guard = Context::enter_telemetry_suppressed_scope();
            runtime.block_on(ended.cancelled());
            // Dropping the runtime would wait for a name that is being resolved, which nothing can interrupt.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, abort: CancellationToken::new(), end, thread: Some(thread) })
    }

    /// The runtime.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// When cancelled, all exports fail at once.
    pub(super) fn abort(&self) -> &CancellationToken {
        &self.abort
    }
}

impl Drop for ExportThread {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // It panics only if a task of the runtime could not be dropped; the program ends anyway.
            let _ = thread.join();
        }
    }
}
