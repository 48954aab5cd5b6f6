//! Counts open subscriptions.

use async_graphql::Context;
use async_graphql::futures_util::stream::{BoxStream, Stream, StreamExt};

use crate::graphql::metrics::GraphqlMetrics;

/// Counts the subscription as open until the stream is dropped.
pub(super) fn count_open<T: Send + 'static>(
    ctx: &Context<'_>,
    stream: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    let metrics = ctx.data_unchecked::<GraphqlMetrics>();
    let guard = metrics.subscription(metrics.field_name(ctx.field().name()));
    // The closure captures the guard, so the guard is dropped together with the stream.
    let held = move |item| {
        let _guard = &guard;
        item
    };
    stream.map(held).boxed()
}
