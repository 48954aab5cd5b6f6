//! What all items of one generated catalogue share, and the order of its movies.

use super::people::People;
use super::seeded_rng::{SeededRng, Stream};
use super::timeline::{Release, Timeline};

/// State shared by all movies of one catalogue.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) seed: u64,
    pub(super) movies: u32,
    pub(super) timeline: Timeline,
    pub(super) people: People,
    order: Order,
}

impl Catalogue {
    pub(super) fn of(seed: u64, movies: u32) -> Self {
        let timeline = Timeline::of(movies);
        let order = Order::of(movies, SeededRng::of(seed, Stream::Order, 0).below(movies));
        Self { seed, movies, people: People::of(seed, movies, timeline.clone()), timeline, order }
    }

    pub(super) fn release(&self, id: u32) -> Release {
        self.timeline.release(self.order.position(id))
    }

    pub(super) fn rng(&self, stream: Stream, number: u32) -> SeededRng {
        SeededRng::of(self.seed, stream, u64::from(number))
    }
}

/// Spreads release dates over the ids, since a real catalogue is not ordered by date.
#[derive(Debug)]
struct Order {
    movies: u64,
    step: u64,
    offset: u64,
}

impl Order {
    fn of(movies: u32, offset: u32) -> Self {
        let movies = u64::from(movies);
        // Near the golden ratio, so that neighbouring ids are far apart; coprime, so that every position is used once.
        let mut step = movies * 618 / 1000 + 1;
        while common_divisor(step, movies) != 1 {
            step += 1;
        }
        Self { movies, step, offset: u64::from(offset) }
    }

    /// Position of a movie (ids from 1) by release date, oldest first (from 0).
    fn position(&self, id: u32) -> u32 {
        u32::try_from((u64::from(id) * self.step + self.offset) % self.movies).unwrap_or(0)
    }
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn order_is_a_permutation() {
        for movies in [1, 2, 97, 1000, 20_000] {
            let order = Order::of(movies, movies / 3);
            let positions: HashSet<u32> = (1..=movies).map(|id| order.position(id)).collect();
            assert_eq!(positions.len(), movies as usize);
        }
    }
}
