//! What fails, in which order and for how long: a plan drawn from a seed, so that a run can be repeated.

use std::time::Duration;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};

/// Number of an instance.
pub(super) type Number = usize;

/// A fault that begins and ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// All processes of the primary are suspended.
    DatabasePaused,
    /// One connection's process of the primary is suspended.
    BackendPaused,
    /// One connection's process of the primary is killed, which takes all connections with it.
    BackendKilled,
    DatabaseRestarted,
    /// The primary is lost, the standby takes over. If `lossy`, it lacks the changes made since the beginning.
    Failover {
        lossy: bool,
    },
    /// Cinegraph is detached from the database of the host application, then attached again.
    Detached,
    RedisPaused,
    /// Killed, then started empty.
    RedisKilled,
    /// The connections of an instance to Redis become half-open.
    RedisSilent(Number),
    /// The connections of an instance to the database become half-open.
    DatabaseSilent(Number),
    /// The connections of an instance to database and Redis are closed.
    ConnectionsCut(Number),
    InstancePaused(Number),
    InstanceKilled(Number),
    InstanceStopped(Number),
    /// The link of the second instance's network namespace is down.
    LinkDown,
    /// The clock of the first instance is wrong by these hours.
    ClockStepped(i32),
}

/// A fault of the database, and one of something else that overlaps with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) faults: [Fault; 2],
    /// From the beginning of the first fault to that of the second, from there to the first end, and to the second end.
    pub(super) pauses: [Duration; 3],
    /// Whether the fault that began first ends first.
    pub(super) in_order: bool,
}

/// Endless; every kind of fault occurs before one occurs again.
pub(super) struct Plan<R> {
    random: R,
    of_the_database: Vec<Fault>,
    others: Vec<Fault>,
}

impl<R: Rng> Plan<R> {
    pub(super) fn new(random: R) -> Self {
        Self { random, of_the_database: Vec::new(), others: Vec::new() }
    }

    fn next_of_the_database(&mut self) -> Fault {
        if self.of_the_database.is_empty() {
            use Fault::{BackendKilled, BackendPaused, DatabasePaused, DatabaseRestarted, Detached, Failover};
            let lossy = self.random.random_bool(0.7);
            self.of_the_database =
                vec![DatabasePaused, BackendPaused, BackendKilled, DatabaseRestarted, Failover { lossy }, Detached];
            self.of_the_database.shuffle(&mut self.random);
        }
        self.of_the_database.remove(0)
    }

    fn next_other(&mut self) -> Fault {
        if self.others.is_empty() {
            use Fault::{
                ClockStepped, ConnectionsCut, DatabaseSilent, LinkDown, RedisKilled, RedisPaused, RedisSilent,
            };
            use Fault::{InstanceKilled, InstancePaused, InstanceStopped};
            let hours = *[-24 * 30, -24, -1, 1, 24, 24 * 30].choose(&mut self.random).unwrap();
            self.others = vec![RedisPaused, RedisKilled, LinkDown, ClockStepped(hours)];
            let of_one: [fn(Number) -> Fault; 6] =
                [RedisSilent, DatabaseSilent, ConnectionsCut, InstancePaused, InstanceKilled, InstanceStopped];
            for fault in of_one {
                self.others.push(fault(self.random.random_range(0..2)));
            }
            self.others.shuffle(&mut self.random);
        }
        self.others.remove(0)
    }
}

impl<R: Rng> Iterator for Plan<R> {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let mut faults = [self.next_of_the_database(), self.next_other()];
        faults.shuffle(&mut self.random);
        // Sometimes longer than every time limit of the service.
        let both = if self.random.random_bool(0.15) { 15_000..25_000 } else { 1_500..5_000 };
        let pauses = [0..2_000, both, 0..2_000].map(|millis| Duration::from_millis(self.random.random_range(millis)));
        Some(Round { faults, pauses, in_order: self.random.random_bool(0.5) })
    }
}
