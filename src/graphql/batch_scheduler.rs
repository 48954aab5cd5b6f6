//! Batch scheduling for data loaders: a batch is dispatched once every resolver of the operation is waiting, so that it
//! contains the keys that all of them request.
//!
//! The library's own scheduler dispatches a batch after one millisecond. Resolving a page takes longer, so its keys
//! would be split over one statement per millisecond.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_graphql::runtime::Timer;
use futures_util::future::{BoxFuture, poll_fn, ready};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::{AtomicWaker, FutureObj, Spawn, SpawnError};

/// Batches of one operation that have not been dispatched yet.
#[derive(Clone, Default)]
pub(super) struct PendingBatches(Arc<Mutex<Vec<FutureObj<'static, ()>>>>);

impl PendingBatches {
    fn take(&self) -> Vec<FutureObj<'static, ()>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs the resolvers to completion, and dispatches the pending batches whenever all resolvers are waiting.
    pub(super) async fn run<T>(&self, resolvers: impl Future<Output = T>) -> T {
        let mut resolvers = pin!(resolvers);
        let mut in_flight = FuturesUnordered::new();
        let wake_flag = Arc::new(WakeFlag { woken_since_poll: AtomicBool::new(true), operation: AtomicWaker::new() });
        // The resolvers are polled with a waker of their own. It tells whether this task was woken for a resolver or
        // only for a batch in flight.
        let waker = Waker::from(Arc::clone(&wake_flag));
        poll_fn(|cx| {
            wake_flag.operation.register(cx.waker());
            loop {
                if wake_flag.woken_since_poll.swap(false, Ordering::AcqRel)
                    && let Poll::Ready(output) = resolvers.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    return Poll::Ready(output);
                }
                if wake_flag.woken_since_poll.load(Ordering::Acquire) {
                    // A resolver has yielded and is ready again. It may request more keys for the pending batches, so
                    // they are not dispatched yet. Its wake-up has also woken this task, which is therefore polled
                    // again.
                    return Poll::Pending;
                }
                in_flight.extend(self.take());
                while let Poll::Ready(Some(())) = in_flight.poll_next_unpin(cx) {}
                // A batch that has completed wakes the resolvers that wait for it. They are polled in the next turn of
                // the loop.
                if !wake_flag.woken_since_poll.load(Ordering::Acquire) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Spawn for PendingBatches {
    fn spawn_obj(&self, batch: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        Ok(())
    }
}

/// No delay: [`PendingBatches`] dispatches a batch only when every resolver is waiting.
pub(super) struct NoDelay;

impl Timer for NoDelay {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

/// Records whether a resolver was woken since the resolvers were last polled, and wakes the operation's task.
struct WakeFlag {
    woken_since_poll: AtomicBool,
    operation: AtomicWaker,
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.woken_since_poll.store(true, Ordering::Release);
        self.operation.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
    use futures_util::future::join_all;

    use super::*;

    /// Returns the size of its batch for each key.
    struct Counting;

    impl Loader<usize> for Counting {
        type Value = usize;
        type Error = ();

        async fn load(&self, keys: &[usize]) -> Result<HashMap<usize, usize>, ()> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(keys.iter().map(|key| (*key, keys.len())).collect())
        }
    }

    #[tokio::test]
    async fn keys_of_slow_resolvers_share_one_batch() {
        let batches = PendingBatches::default();
        let loader = DataLoader::with_cache(Counting, batches.clone(), NoDelay, HashMapCache::default());
        let resolver = async |key: usize| {
            // 50 ms in total, longer than the library's scheduler waits.
            std::thread::sleep(Duration::from_millis(1));
            let first = loader.load_one(key).await.unwrap();
            (first, loader.load_one(1_000 + key).await.unwrap())
        };
        let sizes = batches.run(join_all((0..50).map(resolver))).await;
        assert_eq!(sizes, [(Some(50), Some(50)); 50]);
    }
}
