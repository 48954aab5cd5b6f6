//! Measures how long a response takes until its last byte is ready.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use opentelemetry::Context as Trace;
use opentelemetry::trace::TraceContextExt;

use super::metrics::HttpRequestGuard;

/// Marks a response whose body lasts as long as its subscription: it is measured until its head is ready, like the
/// handshake of a WebSocket.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenEnded;

/// A body that ends the measurement of its request when its last byte is ready, and the request's span when it is
/// dropped. If it is dropped before its last byte, the client has disconnected, and the guard counts it as such.
pub(super) struct InstrumentedBody<B> {
    body: B,
    guard: Option<HttpRequestGuard>,
    trace: Trace,
}

impl<B> Drop for InstrumentedBody<B> {
    fn drop(&mut self) {
        self.trace.span().end();
    }
}

impl<B: HttpBody> InstrumentedBody<B> {
    pub(super) fn new(body: B, guard: HttpRequestGuard, trace: Trace) -> Self {
        let mut instrumented = Self { body, guard: Some(guard), trace };
        instrumented.finish_if_ended();
        instrumented
    }

    /// Ends the measurement if this was the last frame. [`poll_frame`](HttpBody::poll_frame) may not see the end of the
    /// body, because hyper does not poll it again once `is_end_stream` is true.
    fn finish_if_ended(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.sent_all();
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for InstrumentedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(guard), Some(data)) = (&mut self.guard, frame.data_ref()) {
                    guard.sent(data.len());
                }
                self.finish_if_ended();
            }
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
