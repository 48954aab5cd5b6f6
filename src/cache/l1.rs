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
/// can send any number of weights, and the entries of these must not evict the entries of profiles. A tenth is a
/// choice: it decides only how often entries are evicted and loaded again.
const CUSTOM_SHARE_PERCENT: usize = 10;

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
        // Entries are multiplied first, since fewer than 100 would become 0; bytes are divided first, so that no number
        // of them overflows. There is at least one entry, because an `LruCache` cannot be built with a size of 0.
        Self { entries: (self.entries * percent / 100).max(1), bytes: self.bytes / 100 * percent }
    }
}

/// Entries by key, in two partitions: one for entries of custom weights, and one for all others. An entry may belong to
/// custom weights although its key does not show it, for example a response: the partition is chosen when it is stored,
/// and a lookup searches both.
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
        metrics.add_capacity(name, capacity.entries, capacity.bytes);
        let partition = |percent| Mutex::new(Partition::new(capacity.share(percent)));
        let (standard, custom) = (partition(100 - CUSTOM_SHARE_PERCENT), partition(CUSTOM_SHARE_PERCENT));
        Self { name, metrics, standard, custom }
    }

    /// The entry of `key`, in any state, from either partition. It becomes the most recently used entry.
    pub fn get(&self, key: &K) -> Option<Arc<Entry<V>>> {
        lock(&self.standard).get(key).or_else(|| lock(&self.custom).get(key))
    }

    /// Stores `entry` in its partition, and evicts the least recently used entries if necessary. An entry larger than its
    /// partition is not stored, and an older entry of the key then stays.
    pub fn set(&self, key: K, entry: Arc<Entry<V>>) {
        let custom = entry.custom;
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
                let entries = partition.lru.cache_size();
                partition.lru.cache_clear_with_on_evict();
                entries
            });
            self.metrics.evicted(self.name, reason, removed);
        }
    }

    /// Number of entries that match `wanted`, in any state.
    pub fn count(&self, wanted: impl Fn(&Entry<V>) -> bool) -> usize {
        let in_one =
            |partition: &Mutex<Partition<K, V>>| lock(partition).lru.iter().filter(|(_, entry)| wanted(entry)).count();
        in_one(&self.standard) + in_one(&self.custom)
    }

    /// Applies `change` to a partition, and adds the difference that this makes in its size to the metrics. Several
    /// caches may share a name, so none of them can set the metrics to its own size.
    fn measured<T>(&self, partition: &Mutex<Partition<K, V>>, change: impl FnOnce(&mut Partition<K, V>) -> T) -> T {
        let mut partition = lock(partition);
        let (entries, bytes) = partition.size();
        let changed = change(&mut partition);
        let (entries_now, bytes_now) = partition.size();
        self.metrics.resized(self.name, (entries, entries_now), (bytes, bytes_now));
        changed
    }
}

/// Locks a partition even if a thread has panicked while it held the lock: one panic must not disable the cache.
fn lock<T>(partition: &Mutex<T>) -> MutexGuard<'_, T> {
    partition.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An LRU cache with a limit of bytes, which [`LruCache`] alone does not have.
struct Partition<K, V> {
    lru: LruCache<K, Arc<Entry<V>>>,
    capacity: Capacity,
    /// Sum of the entries' sizes. Shared with the eviction callback of `lru`, which subtracts the size of each removed
    /// entry. Accesses are relaxed, because all of them hold the lock of the partition.
    bytes: Arc<AtomicUsize>,
}

impl<K: Eq + Hash + Clone, V> Partition<K, V> {
    fn new(capacity: Capacity) -> Self {
        let bytes = Arc::new(AtomicUsize::new(0));
        let lru = LruCache::builder().max_size(capacity.entries).on_evict({
            let bytes = Arc::clone(&bytes);
            move |_: &K, entry: &Arc<Entry<V>>| _ = bytes.fetch_sub(entry.bytes, Ordering::Relaxed)
        });
        Self { lru: lru.build().expect("no capacity is 0"), capacity, bytes }
    }

    fn get(&mut self, key: &K) -> Option<Arc<Entry<V>>> {
        self.lru.cache_get(key).cloned()
    }

    /// Stores `entry` unless it is larger than the partition. Returns the number of other entries that were evicted.
    fn set(&mut self, key: K, entry: Arc<Entry<V>>) -> usize {
        if entry.bytes > self.capacity.bytes {
            return 0;
        }
        // `LruCache` calls `on_evict` for an entry that is removed, but not for one that is replaced: the size of a
        // replaced entry would still count.
        self.remove(&key);
        let before = self.lru.cache_size();
        while self.bytes() + entry.bytes > self.capacity.bytes || self.lru.cache_size() >= self.capacity.entries {
            // `LruCache` has no function that evicts one entry. A maximum of one entry less than it has makes it evict
            // the least recently used one. The maximum cannot be 0, so the last entry is cleared instead.
            match self.lru.cache_size() {
                0 => break,
                1 => self.lru.cache_clear_with_on_evict(),
                more => _ = self.lru.set_max_size(more - 1),
            }
        }
        self.lru.set_max_size(self.capacity.entries);
        let evicted = before - self.lru.cache_size();
        self.bytes.fetch_add(entry.bytes, Ordering::Relaxed);
        self.lru.cache_set(key, entry);
        evicted
    }

    /// Removes the entry of `key`; returns whether there was one.
    fn remove(&mut self, key: &K) -> bool {
        self.lru.cache_remove(key).is_some()
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Number of entries, and the sum of their sizes in bytes.
    fn size(&self) -> (usize, usize) {
        (self.lru.cache_size(), self.bytes())
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
        of(bytes, false)
    }

    fn custom(bytes: usize) -> Arc<Entry<()>> {
        of(bytes, true)
    }

    fn of(bytes: usize, custom: bool) -> Arc<Entry<()>> {
        let validity = Validity::new(Clock::manual(DateTime::UNIX_EPOCH).0.moment(), Ttl::of(Duration::from_secs(1)));
        Arc::new(Entry { value: Arc::new(()), version_set: VersionSet::default(), validity, bytes, custom })
    }

    fn memory(entries: usize, bytes: usize) -> (Memory<u32, ()>, Recorder) {
        let recorder = Recorder::new().unwrap();
        (Memory::new(CacheName::Films, Capacity { entries, bytes }, CacheMetrics::new(&recorder)), recorder)
    }

    #[test]
    fn the_least_recently_used_entry_is_evicted_first() {
        let (memory, recorder) = memory(4, 1_000_000);
        for key in 0..3 {
            memory.set(key, entry(1));
        }
        assert!(memory.get(&0).is_some());
        memory.set(3, entry(1));
        assert!(memory.get(&1).is_none());
        assert!([0, 2, 3].iter().all(|key| memory.get(key).is_some()));
        let line = r#"cinegraph_cache_evictions_total{cache="films",reason="capacity"} 1"#;
        assert!(recorder.render().lines().any(|rendered| rendered == line));
    }

    #[test]
    fn the_size_in_bytes_is_bounded() {
        let (memory, recorder) = memory(1_000, 1_000);
        for key in 0..100 {
            memory.set(key, entry(100));
        }
        assert_eq!((0..100).filter(|key| memory.get(key).is_some()).collect::<Vec<_>>(), (91..100).collect::<Vec<_>>());
        assert!(recorder.render().contains("cinegraph_cache_estimated_bytes{cache=\"films\"} 900"));
        memory.set(100, entry(901));
        assert!(memory.get(&100).is_none() && memory.get(&99).is_some());
        memory.set(99, entry(900));
        assert!(memory.get(&98).is_none() && memory.get(&99).is_some());
    }

    #[test]
    fn clearing_leaves_no_entry_and_no_bytes() {
        let (memory, recorder) = memory(100, 1_000);
        for key in 0..5 {
            memory.set(key, if key == 4 { custom(10) } else { entry(10) });
        }
        memory.clear(Eviction::Invalidated);
        assert_eq!(memory.count(|_| true), 0);
        let rendered = recorder.render();
        let has = |line: &str| rendered.lines().any(|rendered| rendered == line);
        assert!(has("cinegraph_cache_estimated_bytes{cache=\"films\"} 0"), "{rendered}");
        assert!(has("cinegraph_cache_evictions_total{cache=\"films\",reason=\"invalidated\"} 5"), "{rendered}");
        memory.set(0, entry(100));
        assert!(memory.get(&0).is_some());
    }

    #[test]
    fn custom_weights_cannot_evict_profiles() {
        let (memory, recorder) = memory(100, 1_000_000);
        memory.set(0, entry(1));
        for key in 1..1_000 {
            memory.set(key, custom(1));
        }
        assert!(memory.get(&0).is_some());
        assert_eq!(memory.count(|_| true), 11);
        let none = "cinegraph_cache_evictions_total{cache=\"films\",reason=\"capacity\"} 0";
        assert!(recorder.render().contains(none), "evictions of custom weights are counted");
    }
}
