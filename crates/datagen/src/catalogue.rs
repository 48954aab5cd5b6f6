//! What the parts of one generated catalogue share: seed, size, timeline, people, and the order of the movies.

use super::people::People;
use super::seeded_rng::{SeededRng, Stream};
use super::timeline::{Release, Timeline};

/// State shared by all movies of one catalogue.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) seed: u64,
    /// Number of movies; their ids are 1 to this number.
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

/// Maps ids to positions by release date, so that consecutive ids have distant dates: the ids of a real catalogue do
/// not follow release dates.
///
/// The position is (id × `step` + `offset`) modulo `movies`, which is a permutation because `step` and `movies` are
/// coprime. It needs no memory, unlike a shuffled list.
#[derive(Debug)]
struct Order {
    movies: u64,
    step: u64,
    offset: u64,
}

impl Order {
    fn of(movies: u32, offset: u32) -> Self {
        let movies = u64::from(movies);
        // About 0.618 of all movies, the golden ratio, which spreads any run of consecutive ids evenly.
        let mut step = movies * 618 / 1000 + 1;
        while common_divisor(step, movies) != 1 {
            step += 1;
        }
        Self { movies, step, offset: u64::from(offset) }
    }

    /// Position of a movie when sorted by release date, oldest first. Ids start at 1, positions at 0.
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
