//! [`SingleFlight`]: runs at most one load of a key at a time. One load may cover many keys.
//!
//! The first caller that needs a key starts its load and is the *leader*; callers that need the key while the load runs
//! are *followers* and wait for the same result. A load covers all keys that its caller needs and that no other load
//! covers.
//!
//! ```text
//!   caller 1 needs {a, b}     caller 2 needs {b, c}
//!     starts load {a, b}        follows the load of b, starts load {c}
//!     leader of a, b            follower of b, leader of c
//! ```

use std::collections::HashMap;
use std::future::pending;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tokio::sync::oneshot;

use super::dependencies::DependencyScope;
use super::labels::FlightRole;

/// A load in flight, with a result of type `R`; it resolves to `None` if it panicked. The future must not panic itself:
/// [`Shared`] wakes none of its other callers then.
#[derive(Clone)]
pub(super) struct InFlight<R>(Shared<BoxFuture<'static, Option<R>>>);

impl<R: Clone> InFlight<R> {
    /// Waits for the result.
    ///
    /// # Panics
    /// If the load panicked, without another line in the log.
    pub(super) async fn wait(self) -> R {
        self.0.await.unwrap_or_else(|| resume_unwind(Box::new("cache load did not complete")))
    }
}

/// The loads in flight, by key.
type Loads<K, R> = HashMap<K, Registered<R>>;

/// A load in flight, with what its followers need to know of it before it ends.
struct Registered<R> {
    load: InFlight<R>,
    leader: SpanContext,
    scope: Arc<DependencyScope>,
}

/// Joins and starts loads. Clones share the loads in flight.
pub(super) struct SingleFlight<K, R>(Arc<Mutex<Loads<K, R>>>);

/// The load that a caller waits for.
pub(super) struct Joined<K, R> {
    pub(super) key: K,
    /// Leader if the caller has started the load, otherwise follower.
    pub(super) role: FlightRole,
    pub(super) load: InFlight<R>,
    /// The span of the leader.
    pub(super) leader: SpanContext,
    /// What the load has read until now.
    pub(super) scope: Arc<DependencyScope>,
}

impl<K, R> SingleFlight<K, R>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
{
    /// Returns the load of each key: the one in flight, or the one that `start` makes for all keys that have none, with
    /// the scope that it runs in.
    ///
    /// The new load runs in a task of its own, so it completes even if every caller that waits for it is dropped.
    pub(super) fn join_or_start<F>(
        &self,
        keys: Vec<K>,
        start: impl FnOnce(Vec<K>) -> (Arc<DependencyScope>, F),
    ) -> Vec<Joined<K, R>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        // The lock is held from the lookup of the loads in flight until the new one is registered. Two callers
        // therefore never load a key at the same time.
        let mut loads = lock(&self.0);
        let (in_flight, new): (Vec<K>, Vec<K>) = keys.into_iter().partition(|key| loads.contains_key(key));
        let join = |key, role, found: &Registered<R>| {
            let Registered { load, leader, scope } = found;
            Joined { key, role, load: load.clone(), leader: leader.clone(), scope: Arc::clone(scope) }
        };
        let follow = |key: K| {
            let found = loads.get(&key)?;
            Some(join(key, FlightRole::Follower, found))
        };
        let mut joined: Vec<_> = in_flight.into_iter().filter_map(follow).collect();
        if new.is_empty() {
            return joined;
        }
        let (sender, receiver) = oneshot::channel();
        let load = async {
            match receiver.await {
                Ok(result) => result,
                // The task of the load was dropped, which only a runtime that is shutting down does. It drops the callers
                // too.
                Err(_) => pending().await,
            }
        };
        let (load, leader) = (InFlight(load.boxed().shared()), Context::current().span().span_context().clone());
        // Only makes the future of the load, which runs in the task below.
        let (scope, loading) = start(new.clone());
        for key in &new {
            let registered = Registered { load: load.clone(), leader: leader.clone(), scope: Arc::clone(&scope) };
            joined.push(join(key.clone(), FlightRole::Leader, &registered));
            loads.insert(key.clone(), registered);
        }
        // The lock is released before the task is spawned: a runtime that is shutting down drops the task at once, and
        // with it the registration, which locks the map.
        drop(loads);
        let registration = Registration { loads: Arc::clone(&self.0), keys: new };
        tokio::spawn(async move {
            // What a load shares is valid at every step, so a panic leaves nothing half-changed.
            let result = AssertUnwindSafe(loading).catch_unwind().await.ok();
            // Deregistered first: a caller that has the result, and then needs newer data, must start a new load.
            drop(registration);
            // The send fails if no caller waits any more.
            let _ = sender.send(result);
        });
        joined
    }
}

impl<K, R> Default for SingleFlight<K, R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, R> Clone for SingleFlight<K, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Deregisters a load when it ends, even by a panic: later callers then start a new load instead of waiting for one
/// that has ended.
struct Registration<K: Eq + Hash, R> {
    loads: Arc<Mutex<Loads<K, R>>>,
    keys: Vec<K>,
}

impl<K: Eq + Hash, R> Drop for Registration<K, R> {
    fn drop(&mut self) {
        let mut loads = lock(&self.loads);
        for key in &self.keys {
            loads.remove(key);
        }
    }
}

/// Locks a mutex even if a thread has panicked while it held the lock: every change under it leaves a valid map.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::cache::ReadMode;
    use tokio::sync::Notify;

    /// Loads that complete when they are released, and count how often each key was loaded.
    #[derive(Clone, Default)]
    struct Loads {
        flight: SingleFlight<&'static str, usize>,
        started: Arc<AtomicUsize>,
        release: Arc<Notify>,
    }

    impl Loads {
        fn join(&self, keys: &[&'static str]) -> Vec<Joined<&'static str, usize>> {
            let (started, release) = (Arc::clone(&self.started), Arc::clone(&self.release));
            self.flight.join_or_start(keys.to_vec(), move |keys| {
                let load = async move {
                    let number = started.fetch_add(1, Ordering::SeqCst) + 1;
                    release.notified().await;
                    assert!(!keys.contains(&"panics"), "this load panics");
                    number
                };
                (DependencyScope::new(ReadMode::Request), load)
            })
        }

        /// Waits until `count` loads have started.
        async fn started(&self, count: usize) {
            while self.started.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        }
    }

    fn roles(joined: &[Joined<&'static str, usize>]) -> Vec<(&'static str, FlightRole)> {
        joined.iter().map(|joined| (joined.key, joined.role)).collect()
    }

    #[tokio::test]
    async fn overlapping_sets_of_keys_load_each_key_once() {
        let loads = Loads::default();
        let (first, second) = (loads.join(&["a", "b"]), loads.join(&["b", "c"]));
        assert_eq!(roles(&first), [("a", FlightRole::Leader), ("b", FlightRole::Leader)]);
        assert_eq!(roles(&second), [("b", FlightRole::Follower), ("c", FlightRole::Leader)]);
        loads.started(2).await;
        loads.release.notify_waiters();
        let mut results = Vec::new();
        for joined in first.into_iter().chain(second) {
            results.push(joined.load.wait().await);
        }
        assert_eq!(results[0], results[1]);
        assert_eq!(results[1], results[2]);
        assert_ne!(results[2], results[3]);
    }

    #[tokio::test]
    async fn a_load_completes_though_its_callers_are_dropped() {
        let loads = Loads::default();
        drop(loads.join(&["a"]));
        loads.started(1).await;
        let [follower] = loads.join(&["a"]).try_into().ok().unwrap();
        assert_eq!(follower.role, FlightRole::Follower);
        loads.release.notify_one();
        assert_eq!(follower.load.wait().await, 1);
    }

    #[tokio::test]
    async fn a_caller_that_has_a_result_starts_a_new_load() {
        let loads = Loads::default();
        for number in 1..=3 {
            loads.release.notify_one();
            let [joined] = loads.join(&["a"]).try_into().ok().unwrap();
            assert_eq!((joined.role, joined.load.wait().await), (FlightRole::Leader, number));
        }
    }

    #[test]
    fn the_end_of_the_runtime_is_no_panic_of_its_loads() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let loads = Loads::default();
        let callers = {
            let _entered = runtime.enter();
            loads.join(&["a"]).into_iter().chain(loads.join(&["a"])).collect::<Vec<_>>()
        };
        // Waits until the task of the load is dropped.
        drop(runtime);
        for caller in callers {
            assert!(caller.load.wait().now_or_never().is_none());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_panic_reaches_every_caller_and_leaves_no_load_behind() {
        let loads = Loads::default();
        let callers = (0..20).flat_map(|_| loads.join(&["panics"])).collect::<Vec<_>>();
        let callers: Vec<_> = callers.into_iter().map(|joined| tokio::spawn(joined.load.wait())).collect();
        loads.release.notify_one();
        for caller in callers {
            assert!(caller.await.is_err_and(|error| error.is_panic()));
        }
        assert_eq!(loads.join(&["panics"])[0].role, FlightRole::Leader);
    }

    #[test]
    fn a_runtime_that_shuts_down_drops_a_load_without_a_deadlock() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let _entered = handle.enter();
        let loads = Loads::default();
        assert_eq!(loads.join(&["a"])[0].role, FlightRole::Leader);
        assert_eq!(loads.join(&["a"])[0].role, FlightRole::Leader, "the load was deregistered");
    }
}
