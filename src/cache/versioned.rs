//! One value per key, replaced when its version has passed; concurrent callers share one load.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// A map from keys to shared values. Callers bound the keys: there is no eviction here.
#[derive(Debug)]
pub struct VersionedCache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
}

#[derive(Debug)]
struct Entry<V> {
    version: i64,
    value: Arc<OnceCell<Arc<V>>>,
}

impl<K, V> Default for VersionedCache<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<K: Eq + Hash, V> VersionedCache<K, V> {
    /// The value of `key`, if it was made of `version`; else what `load` gives, which is kept. While it loads, others
    /// who ask for the same wait for it instead of loading too.
    ///
    /// # Errors
    /// Those of `load`; nothing is kept then, and the next to wait tries again.
    pub async fn get<E, F>(&self, key: K, version: i64, load: impl FnOnce() -> F) -> Result<Arc<V>, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        let cell = self.cell(key, version);
        cell.get_or_try_init(|| async { load().await.map(Arc::new) }).await.cloned()
    }

    fn cell(&self, key: K, version: i64) -> Arc<OnceCell<Arc<V>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Entry { version, value: Arc::default() };
        let entry = entries.entry(key).or_insert_with(fresh);
        if entry.version < version {
            *entry = fresh();
        }
        Arc::clone(&entry.value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_share_one_load() {
        let cache = VersionedCache::default();
        let loads = AtomicUsize::new(0);
        let ask = || {
            cache.get("key", 1, || async {
                tokio::task::yield_now().await;
                Ok::<_, ()>(loads.fetch_add(1, Ordering::SeqCst))
            })
        };
        let answers = join_all((0..50).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| answer == &Ok(Arc::new(0))));
        assert_eq!(loads.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_newer_version_is_loaded_anew_and_an_older_one_is_not() {
        let cache = VersionedCache::default();
        let get = |version, value| {
            let cache = &cache;
            async move { *cache.get("key", version, || async move { Ok::<_, ()>(value) }).await.unwrap() }
        };
        assert_eq!(get(1, "first").await, "first");
        assert_eq!(get(1, "again").await, "first");
        assert_eq!(get(2, "second").await, "second");
        // Somebody who read the version a moment earlier is served what is there.
        assert_eq!(get(1, "late").await, "second");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = VersionedCache::default();
        assert_eq!(cache.get("key", 1, || async { Err::<u8, _>("down") }).await, Err("down"));
        assert_eq!(cache.get("key", 1, || async { Ok::<u8, &str>(7) }).await, Ok(Arc::new(7)));
    }
}
