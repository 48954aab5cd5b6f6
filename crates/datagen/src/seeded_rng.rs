//! Seeded random numbers: each movie and person has its own stream, derived from the seed.
//!
//! A seed must give the same catalogue on every machine and with every release of `rand`. This module therefore uses
//! only operations whose result IEEE 754 defines exactly (not the platform's `ln`, `exp` or `sin`), and takes only raw
//! numbers from `rand`: it draws ranges and distributions itself.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Purpose of a stream, so that movie 7 and person 7 draw independent numbers. The discriminant is part of the stream's
/// key, so another order of the variants would give other catalogues.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Order = 1,
    Movie,
    Lists,
    Credits,
    Details,
    Person,
    Ceremony,
}

/// A seeded stream of random numbers.
#[derive(Debug)]
pub(super) struct SeededRng(ChaCha8Rng);

impl SeededRng {
    /// The stream of one item: for one seed, each pair of `stream` and `number` gives independent numbers.
    pub(super) fn of(seed: u64, stream: Stream, number: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = stream as u8;
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(number);
        Self(rng)
    }

    fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A uniformly distributed number, at least 0 and below 1.
    pub(super) fn uniform(&mut self) -> f64 {
        const U32_VALUES: f64 = 4_294_967_296.0;
        f64::from(self.u32()) / U32_VALUES
    }

    /// True with probability `p`. Values above 1 count as 1, negative ones as 0.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// A uniformly distributed whole number below `end`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        scale(self.u32(), end)
    }

    /// As [`SeededRng::below`], but low numbers are far more frequent: the product of two uniform numbers from 0 to 1,
    /// scaled to `end`.
    pub(super) fn toward_first(&mut self, end: u32) -> u32 {
        let high = self.u32();
        scale(scale(self.u32(), high), end)
    }

    /// A random item; `items` must not be empty.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        &items[self.below(count) as usize]
    }

    /// A random item, chosen with a probability proportional to its `weight`. `items` must not be empty.
    pub(super) fn pick_by<'a, T>(&mut self, items: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
        let mut left = self.below(items.iter().map(&weight).sum());
        for item in items {
            match left.checked_sub(weight(item)) {
                Some(rest) => left = rest,
                None => return item,
            }
        }
        // Reached only if all weights are 0.
        &items[0]
    }

    /// An approximately normal number with mean 0 and standard deviation 1, within ±6. It is the sum of twelve uniform
    /// numbers, minus 6.
    pub(super) fn normal(&mut self) -> f64 {
        let mut sum = 0;
        for _ in 0..6 {
            // Two uniform numbers of 16 bits each.
            let pair = self.u32();
            sum += (pair & 0xffff) + (pair >> 16);
        }
        f64::from(sum) / 65_536.0 - 6.0
    }
}

/// Maps the range of `u32` evenly to 0..`end`: `number` × `end` / 2³².
fn scale(number: u32, end: u32) -> u32 {
    ((u64::from(number) * u64::from(end)) >> 32) as u32
}

/// e^`x` to about seven digits, for |x| up to about 25: precise enough for generated votes.
pub(super) fn exp(x: f64) -> f64 {
    // The Taylor polynomial of e^(x / 1024), squared ten times.
    let y = x / 1024.0;
    let mut power = 1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * (1.0 + y / 4.0)));
    for _ in 0..10 {
        power *= power;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> SeededRng {
        SeededRng::of(1, Stream::Movie, 1)
    }

    #[test]
    fn streams_are_reproducible_and_distinct() {
        let four = |mut rng: SeededRng| [0; 4].map(|_: u32| rng.u32());
        assert_eq!(four(rng()), four(rng()));
        assert_ne!(four(rng()), four(SeededRng::of(2, Stream::Movie, 1)));
        assert_ne!(four(rng()), four(SeededRng::of(1, Stream::Person, 1)));
        assert_ne!(four(rng()), four(SeededRng::of(1, Stream::Movie, 2)));
    }

    #[test]
    fn normal_has_mean_0_and_deviation_1() {
        let mut rng = rng();
        let draws: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut rng = rng();
        for end in 1..200 {
            assert!(rng.below(end) < end && rng.toward_first(end) < end);
            assert!((0.0..1.0).contains(&rng.uniform()));
        }
    }

    #[test]
    fn toward_first_prefers_low_numbers() {
        let mut rng = rng();
        let low = (0..1000).filter(|_| rng.toward_first(10) < 2).count();
        assert!(low > 400, "{low} of 1000");
    }

    #[test]
    fn exp_agrees_with_the_platform() {
        for x in [-5.0, -0.5, 0.0, 1.0, 7.3, 20.0_f64] {
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-6, "{x}");
        }
    }
}
