//! Batches: a look-up begins when every resolver of its operation waits, so that it carries the keys of them all.
//!
//! The library's own way is a task that waits for a millisecond. A page takes longer to resolve than that, and its keys
//! would go out in as many statements as it takes milliseconds.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_graphql::runtime::Timer;
use futures_util::future::{BoxFuture, poll_fn, ready};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::{AtomicWaker, FutureObj, Spawn, SpawnError};

/// Look-ups of one operation that have not begun.
#[derive(Clone, Default)]
pub(super) struct PendingBatches(Arc<Mutex<Vec<FutureObj<'static, ()>>>>);

impl PendingBatches {
    fn take(&self) -> Vec<FutureObj<'static, ()>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs what the resolvers do, and their look-ups whenever all of them wait.
    pub(super) async fn run<T>(&self, resolvers: impl Future<Output = T>) -> T {
        let mut resolvers = pin!(resolvers);
        let mut under_way = FuturesUnordered::new();
        let woken = Arc::new(WakeFlag { since_polled: AtomicBool::new(true), operation: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&woken));
        poll_fn(|cx| {
            woken.operation.register(cx.waker());
            loop {
                if woken.since_polled.swap(false, Ordering::AcqRel)
                    && let Poll::Ready(answer) = resolvers.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    return Poll::Ready(answer);
                }
                if woken.since_polled.load(Ordering::Acquire) {
                    // They gave way to other tasks and have more to ask for; this task was woken with them.
                    return Poll::Pending;
                }
                under_way.extend(self.take());
                while let Poll::Ready(Some(())) = under_way.poll_next_unpin(cx) {}
                if !woken.since_polled.load(Ordering::Acquire) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Spawn for PendingBatches {
    fn spawn_obj(&self, look_up: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(look_up);
        Ok(())
    }
}

/// No time: that a look-up was begun says that there is nothing to wait for.
pub(super) struct NoDelay;

impl Timer for NoDelay {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

/// Knows whether a resolver can go on.
struct WakeFlag {
    since_polled: AtomicBool,
    operation: AtomicWaker,
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.since_polled.store(true, Ordering::Release);
        self.operation.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
    use futures_util::future::join_all;

    use super::*;

    /// Says how many keys came with a key.
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
    async fn keys_go_out_together_however_long_the_resolvers_take() {
        let batches = PendingBatches::default();
        let loader = DataLoader::with_cache(Counting, batches.clone(), NoDelay, HashMapCache::default());
        let resolver = async |key: usize| {
            // All together, longer than a timer would wait.
            std::thread::sleep(Duration::from_millis(1));
            let first = loader.load_one(key).await.unwrap();
            (first, loader.load_one(1_000 + key).await.unwrap())
        };
        let answers = batches.run(join_all((0..50).map(resolver))).await;
        assert_eq!(answers, [(Some(50), Some(50)); 50]);
    }
}
