//! Content hashes.

use sha2::{Digest, Sha256};

/// SHA-256 of `content` in 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(content: impl AsRef<[u8]>) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
