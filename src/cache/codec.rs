//! [`Codec`]: how entries travel to L2.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entry::Entry;

/// Encodes and decodes the entries of one cache.
pub(super) struct Codec<V> {
    encode: fn(&Entry<V>) -> Option<Vec<u8>>,
    decode: fn(&[u8]) -> Option<Entry<V>>,
}

impl<V: Serialize + DeserializeOwned> Codec<V> {
    pub(super) fn new() -> Self {
        Self {
            encode: |entry| postcard::to_stdvec(&(&entry.version_set, entry.validity, entry.bytes, &*entry.value)).ok(),
            decode: |bytes| {
                let (version_set, validity, bytes, value) = postcard::from_bytes::<(_, _, _, V)>(bytes).ok()?;
                Some(Entry { value: Arc::new(value), version_set, validity, bytes })
            },
        }
    }
}

impl<V> Codec<V> {
    pub(super) fn encode(&self, entry: &Entry<V>) -> Option<Vec<u8>> {
        (self.encode)(entry)
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Option<Entry<V>> {
        (self.decode)(bytes)
    }
}
