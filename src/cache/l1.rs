//! L1: entries in this process. [`Memory`] is an LRU cache bounded by number of entries and by estimated size.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cached::{Cached, CachedIter, LruCache};

use super::entry::Entry;
use super::labels::{CacheName, Eviction};
use super::metrics::CacheMetrics;

/// Share of the capacity for entries of custom weights, in percent. They have a partition of their own because clients
/// can send any number of weights, which must not evict the entries of profiles.
const CUSTOM_SHARE: usize = 10;

/// Limits of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Maximum number of entries.
    pub entries: usize,
    /// Maximum size in bytes, as estimated by the loads.
    pub bytes: usize,
}

impl Capacity {
    fn share(self, percent: usize) -> Self {
        // At least one entry, because the store cannot be built with a size of 0.
        Self { entries: (self.entries * percent / 100).max(1), bytes: self.bytes / 100 * percent }
    }
}

/// Entries by key, in two partitions: standard, and custom weights.
pub struct Memory<K, V> {
    name: CacheName,
    metrics: CacheMetrics,
    standard: Mutex<Partition<K, V>>,
    custom: Mutex<Partition<K, V>>,
}

impl<K, V> Memory<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// An empty cache, whose limits are added to the capacity metrics of `name`.
    #[must_use]
    pub fn new(name: CacheName, capacity: Capacity, metrics: CacheMetrics) -> Self {
        metrics.set_capacity(name, capacity.entries, capacity.bytes);
        let partition = |percent| Mutex::new(Partition::new(capacity.share(percent)));
        Self { name, metrics, standard: partition(100 - CUSTOM_SHARE), custom: partition(CUSTOM_SHARE) }
    }

    /// The entry of `key`, in any state, from either partition. Counts as a use of it.
    pub fn get(&self, key: &K) -> Option<Arc<Entry<V>>> {
        lock(&self.standard).get(key).or_else(|| lock(&self.custom).get(key))
    }

    /// Stores `entry` in the partition that `custom` selects, and evicts the least recently used entries if necessary.
    /// An entry larger than its partition is not stored.
    pub fn set(&self, key: K, entry: Arc<Entry<V>>, custom: bool) {
        let partition = if custom { &self.custom } else { &self.standard };
        let evicted = self.measured(partition, |partition| partition.set(key, entry));
        // Evictions of custom weights are not counted: their partition is full by design, whereas the metric shows
        // whether a cache is too small.
        if !custom {
            self.metrics.evicted(self.name, Eviction::Capacity, evicted);
        }
    }

    /// Removes the entry of `key` from both partitions, and counts it under `reason`.
    pub fn remove(&self, key: &K, reason: Eviction) {
        for partition in [&self.standard, &self.custom] {
            if self.measured(partition, |partition| partition.remove(key)) {
                self.metrics.evicted(self.name, reason, 1);
            }
        }
    }

    /// Removes all entries, and counts them under `reason`.
    pub fn clear(&self, reason: Eviction) {
        for partition in [&self.standard, &self.custom] {
            let removed = self.measured(partition, |partition| {
                let entries = partition.store.cache_size();
                partition.store.cache_clear_with_on_evict();
                entries
            });
            self.metrics.evicted(self.name, reason, removed);
        }
    }

    /// Number of entries that match `wanted`, in any state.
    pub fn count(&self, wanted: impl Fn(&Entry<V>) -> bool) -> usize {
        let in_one = |partition: &Mutex<Partition<K, V>>| {
            lock(partition).store.iter().filter(|(_, entry)| wanted(entry)).count()
        };
        in_one(&self.standard) + in_one(&self.custom)
    }

    /// Applies `change` and adds the difference in size to the metrics, since several caches may share one name.
    fn measured<T>(&self, partition: &Mutex<Partition<K, V>>, change: impl FnOnce(&mut Partition<K, V>) -> T) -> T {
        let mut partition = lock(partition);
        let (entries, bytes) = partition.size();
        let changed = change(&mut partition);
        let (entries_now, bytes_now) = partition.size();
        self.metrics.resized(self.name, (entries, entries_now), (bytes, bytes_now));
        changed
    }
}

fn lock<T>(partition: &Mutex<T>) -> MutexGuard<'_, T> {
    partition.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Partition<K, V> {
    store: LruCache<K, Arc<Entry<V>>>,
    capacity: Capacity,
    /// Sum of the entries' sizes. Shared with the eviction callback of the store, which subtracts.
    bytes: Arc<AtomicUsize>,
}

impl<K: Eq + Hash + Clone, V> Partition<K, V> {
    fn new(capacity: Capacity) -> Self {
        let bytes = Arc::new(AtomicUsize::new(0));
        let store = LruCache::builder().max_size(capacity.entries).on_evict({
            let bytes = Arc::clone(&bytes);
            move |_: &K, entry: &Arc<Entry<V>>| _ = bytes.fetch_sub(entry.bytes, Ordering::Relaxed)
        });
        Self { store: store.build().expect("no capacity is 0"), capacity, bytes }
    }

    fn get(&mut self, key: &K) -> Option<Arc<Entry<V>>> {
        self.store.cache_get(key).cloned()
    }

    /// Returns the number of other entries that were evicted.
    fn set(&mut self, key: K, entry: Arc<Entry<V>>) -> usize {
        if entry.bytes > self.capacity.bytes {
            return 0;
        }
        // The store calls `on_evict` for removed entries, but not for replaced ones, whose size would still count.
        self.remove(&key);
        let before = self.store.cache_size();
        while self.bytes() + entry.bytes > self.capacity.bytes || self.store.cache_size() >= self.capacity.entries {
            // The store limits entries, not bytes. Reducing its maximum by one evicts the least recently used entry.
            // The maximum cannot be 0, so the last entry is cleared instead.
            match self.store.cache_size() {
                0 => break,
                1 => self.store.cache_clear_with_on_evict(),
                more => _ = self.store.set_max_size(more - 1),
            }
        }
        self.store.set_max_size(self.capacity.entries);
        let evicted = before - self.store.cache_size();
        self.bytes.fetch_add(entry.bytes, Ordering::Relaxed);
        self.store.cache_set(key, entry);
        evicted
    }

    fn remove(&mut self, key: &K) -> bool {
        self.store.cache_remove(key).is_some()
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn size(&self) -> (usize, usize) {
        (self.store.cache_size(), self.bytes())
    }
}

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::super::entry::{Ttl, Validity};
    use super::*;
    use crate::clock::Clock;
    use crate::telemetry::Recorder;
    use crate::versions::VersionSet;

    fn entry(bytes: usize) -> Arc<Entry<()>> {
        let validity = Validity::new(Clock::manual(DateTime::UNIX_EPOCH).0.moment(), Ttl::of(Duration::from_secs(1)));
        Arc::new(Entry { value: Arc::new(()), version_set: VersionSet::default(), validity, bytes })
    }

    fn memory(entries: usize, bytes: usize) -> (Memory<u32, ()>, Recorder) {
        let recorder = Recorder::new().unwrap();
        (Memory::new(CacheName::Films, Capacity { entries, bytes }, CacheMetrics::new(&recorder)), recorder)
    }

    #[test]
    fn the_least_recently_used_entry_is_evicted_first() {
        let (memory, recorder) = memory(4, 1_000_000);
        for key in 0..3 {
            memory.set(key, entry(1), false);
        }
        assert!(memory.get(&0).is_some());
        memory.set(3, entry(1), false);
        assert!(memory.get(&1).is_none());
        assert!([0, 2, 3].iter().all(|key| memory.get(key).is_some()));
        let line = r#"cinegraph_cache_evictions_total{cache="films",reason="capacity"} 1"#;
        assert!(recorder.render().lines().any(|rendered| rendered == line));
    }

    #[test]
    fn the_size_in_bytes_is_bounded() {
        let (memory, recorder) = memory(1_000, 1_000);
        for key in 0..100 {
            memory.set(key, entry(100), false);
        }
        assert_eq!((0..100).filter(|key| memory.get(key).is_some()).collect::<Vec<_>>(), (91..100).collect::<Vec<_>>());
        assert!(recorder.render().contains("cinegraph_cache_estimated_bytes{cache=\"films\"} 900"));
        memory.set(100, entry(901), false);
        assert!(memory.get(&100).is_none() && memory.get(&99).is_some());
        memory.set(99, entry(900), false);
        assert!(memory.get(&98).is_none() && memory.get(&99).is_some());
    }

    #[test]
    fn clearing_leaves_no_entry_and_no_bytes() {
        let (memory, recorder) = memory(100, 1_000);
        for key in 0..5 {
            memory.set(key, entry(10), key == 4);
        }
        memory.clear(Eviction::Invalidated);
        assert_eq!(memory.count(|_| true), 0);
        let rendered = recorder.render();
        let has = |line: &str| rendered.lines().any(|rendered| rendered == line);
        assert!(has("cinegraph_cache_estimated_bytes{cache=\"films\"} 0"), "{rendered}");
        assert!(has("cinegraph_cache_evictions_total{cache=\"films\",reason=\"invalidated\"} 5"), "{rendered}");
        memory.set(0, entry(100), false);
        assert!(memory.get(&0).is_some());
    }

    #[test]
    fn custom_weights_cannot_evict_profiles() {
        let (memory, recorder) = memory(100, 1_000_000);
        memory.set(0, entry(1), false);
        for key in 1..1_000 {
            memory.set(key, entry(1), true);
        }
        assert!(memory.get(&0).is_some());
        assert_eq!(memory.count(|_| true), 11);
        let none = "cinegraph_cache_evictions_total{cache=\"films\",reason=\"capacity\"} 0";
        assert!(recorder.render().contains(none), "evictions of custom weights are counted");
    }
}
