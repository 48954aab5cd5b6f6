//! [`Codec`]: how entries travel to L2.
//!
//! ```text
//!   layout: 4 bytes | checksum: 8 bytes | postcard: version set, windows, size, value
//! ```
//!
//! The clocks of two instances cannot be compared. The times of an entry are therefore stored relative to the end of
//! its stale window, and Redis measures the time until that end: it is the expiry of the stored value.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entry::{Entry, Validity};
use crate::clock::Moment;
use crate::versions::VersionSet;

/// A value that instances share through L2.
pub trait SharedValue: Serialize + DeserializeOwned {
    /// Identifies the encoding of the type: the result of [`layout_of`] for a sample value. A test of each type
    /// compares the two, so that a change of the type cannot be made without a change of this constant. Entries with
    /// another layout are misses.
    const LAYOUT: [u8; 4];
}

/// Returns the first bytes of the SHA-256 of an encoded entry with the value `sample`. They change when the encoding of
/// the type changes. The sample should have a value in every optional field and in every list, because an empty one
/// hides how its content is encoded.
#[must_use]
pub fn layout_of<V: Serialize>(sample: &V) -> [u8; 4] {
    // The encoding of an integer has a variable length. Only a large value shows the width of its type.
    let windows = Windows { fresh: Duration::MAX, age: Duration::MAX, oldest_part: Duration::MAX };
    let encoded = postcard::to_stdvec(&(VersionSet::default(), windows, usize::MAX, sample)).unwrap_or_default();
    Sha256::digest(encoded).first_chunk().copied().unwrap_or_default()
}

/// Encodes and decodes the entries of one cache. Its functions are stored in fields, so that only [`Codec::new`] needs
/// the bound [`SharedValue`], and caches without L2 can have values of any type.
pub(super) struct Codec<V> {
    encode: fn(&str, &Entry<V>) -> Option<Vec<u8>>,
    decode: fn(&str, &Stored, Moment) -> Option<Entry<V>>,
}

/// A value as Redis returns it.
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    /// Time until Redis expires the value.
    pub(super) remaining: Duration,
}

/// The times of an entry, each as the distance to the end of its stale window.
#[derive(Serialize, Deserialize)]
struct Windows {
    fresh: Duration,
    age: Duration,
    oldest_part: Duration,
}

impl<V: SharedValue> Codec<V> {
    pub(super) fn new() -> Self {
        Self { encode, decode }
    }
}

impl<V> Codec<V> {
    /// The bytes to store for an entry under `name`; `None` if it cannot be serialized.
    pub(super) fn encode(&self, name: &str, entry: &Entry<V>) -> Option<Vec<u8>> {
        (self.encode)(name, entry)
    }

    /// The entry that is stored under `name`; `None` if the bytes have another layout or were changed since they were
    /// stored.
    pub(super) fn decode(&self, name: &str, stored: &Stored, now: Moment) -> Option<Entry<V>> {
        (self.decode)(name, stored, now)
    }
}

fn encode<V: SharedValue>(name: &str, entry: &Entry<V>) -> Option<Vec<u8>> {
    let Validity { created_at, oldest_part, fresh_until, stale_until } = entry.validity;
    let before_end = |moment| stale_until.since(moment);
    let windows =
        Windows { fresh: before_end(fresh_until), age: before_end(created_at), oldest_part: before_end(oldest_part) };
    let payload = postcard::to_stdvec(&(&entry.version_set, windows, entry.bytes, &*entry.value)).ok()?;
    Some([&V::LAYOUT[..], &checksum(name, &payload), &payload].concat())
}

fn decode<V: SharedValue>(name: &str, stored: &Stored, now: Moment) -> Option<Entry<V>> {
    let (layout, rest) = stored.bytes.split_first_chunk()?;
    let (sum, payload) = rest.split_first_chunk()?;
    if *layout != V::LAYOUT || *sum != checksum(name, payload) {
        return None;
    }
    let (version_set, windows, bytes, value) = postcard::from_bytes::<(_, Windows, _, V)>(payload).ok()?;
    let stale_until = now + stored.remaining;
    // If more time remains than the entry had when it was created, the clock of Redis was set back. The entry is then
    // older than it seems, so it does not count as fresh.
    let is_plausible = stored.remaining <= windows.age;
    let fresh_until = if is_plausible { stale_until - windows.fresh } else { now };
    let created_at = (stale_until - windows.age).min(now);
    let validity =
        Validity { created_at, oldest_part: (stale_until - windows.oldest_part).min(now), fresh_until, stale_until };
    // Values of custom weights are not shared.
    Some(Entry { value: Arc::new(value), version_set, validity, bytes, custom: false })
}

/// A hash of the payload and of the name that it is stored under. It detects changed bytes, and a value that was copied
/// to another name.
fn checksum(name: &str, payload: &[u8]) -> [u8; 8] {
    // The length marks where the name ends and the payload begins.
    let hash = Sha256::new().chain_update(name.len().to_le_bytes()).chain_update(name).chain_update(payload).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::entry::Ttl;
    use super::*;
    use crate::clock::Clock;

    impl SharedValue for (u32, String) {
        const LAYOUT: [u8; 4] = [1, 2, 3, 4];
    }

    fn start() -> Moment {
        Clock::manual(DateTime::UNIX_EPOCH).0.moment()
    }

    fn entry() -> Entry<(u32, String)> {
        let part = Validity::new(start(), Ttl::of(Duration::from_secs(100)));
        let validity = Validity::new(start() + Duration::from_secs(10), Ttl::of(Duration::from_secs(500))).min(&part);
        let value = Arc::new((7, "a text".to_owned()));
        Entry { value, version_set: VersionSet::default(), validity, bytes: 42, custom: false }
    }

    fn read(bytes: Vec<u8>, remaining: u64, now: Moment) -> Option<Entry<(u32, String)>> {
        let stored = Stored { bytes, remaining: Duration::from_secs(remaining) };
        Codec::new().decode("a name", &stored, now)
    }

    #[test]
    fn times_are_restored_on_another_clock() {
        let bytes = Codec::new().encode("a name", &entry()).unwrap();
        // The entry was stored 50 s after the start of its oldest part, on a machine whose clock reads anything.
        let now = start() + Duration::from_secs(1_000_000);
        let read = read(bytes, 150, now).unwrap();
        assert_eq!((read.value, read.bytes), (entry().value, 42));
        let Validity { created_at, oldest_part, fresh_until, stale_until } = read.validity;
        assert_eq!([now.since(created_at), now.since(oldest_part)], [40, 50].map(Duration::from_secs));
        assert_eq!([fresh_until.since(now), stale_until.since(now)], [50, 150].map(Duration::from_secs));
    }

    #[test]
    fn an_entry_from_the_future_is_not_fresh() {
        let bytes = Codec::new().encode("a name", &entry()).unwrap();
        let validity = read(bytes, 86_400, start()).unwrap().validity;
        assert_eq!(validity.fresh_until, start());
        assert_eq!(validity.age(start()), Duration::ZERO);
    }

    #[test]
    fn no_changed_bit_is_read() {
        let bytes = Codec::new().encode("a name", &entry()).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(read(changed, 100, start()).is_none(), "bit {at}");
        }
        for length in 0..bytes.len() {
            assert!(read(bytes[..length].to_vec(), 100, start()).is_none(), "{length} bytes");
        }
        let other: Codec<(u32, String)> = Codec::new();
        let stored = Stored { bytes, remaining: Duration::from_secs(100) };
        assert!(other.decode("another name", &stored, start()).is_none());
    }
}
