//! Seeded random numbers: the mixing function of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).

/// Hash of a seed and a key; one is added to the key because the function maps 0 to 0. Draws that depend on a movie's id in this way do not depend on the order of the movies.
pub(super) fn hash(seed: u64, key: u64) -> u64 {
    let mut z = seed.wrapping_add(key.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Whether an event of the given probability happens for this key.
pub(super) fn happens(probability: f64, seed: u64, key: u64) -> bool {
    // The upper 53 bits are a number that f64 holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let uniform = (hash(seed, key) >> 11) as f64 / (1_u64 << 53) as f64;
    uniform < probability
}
