//! Circuit breakers: after repeated failures, calls are rejected for a while, so that the fallback serves at once.
//!
//! ```text
//!             N consecutive failures              pause is over
//!   closed ──────────────────────────▶ open ──────────────────────▶ half-open (one probe)
//!     ▲                                 ▲   the probe fails: longer pause  │  │
//!     │                                 └──────────────────────────────────┘  │
//!     └───────────────────────────── the probe succeeds ──────────────────────┘
//! ```
//!
//! While a dependency is down, only the probes call it. The caller decides what counts as a failure and what serves in
//! place of the dependency; a [`Breaker`] only hands out [`Permit`]s.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::{ByLabel, Counter, Label as _, ReadableGauge, Recorder, catalogue, label};

/// Consecutive failures that open a breaker. The value is a choice: above 1, so that a single lost connection does not
/// open it, and small, so that an outage does within a few calls.
const MAX_FAILURES: u32 = 5;

/// Pause after a closed breaker opens, before jitter. Each failed probe doubles it. The value is a choice, well below
/// [`MAX_PAUSE`], so that the dependency is soon used again after a short interruption.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Upper bound of a pause. It is short because a probe costs little, and a dependency that has recovered is used again
/// only after the pause.
const MAX_PAUSE: Duration = Duration::from_secs(3);

label! {
    /// A dependency that a circuit breaker guards.
    BreakerName { CacheL2 = "cache_l2", ScoreTable = "score_table", Replica = "replica" }
}

label! {
    /// State of a circuit breaker: `closed` permits all calls, `half_open` one probe, `open` none.
    BreakerState { Closed = "closed", HalfOpen = "half_open", Open = "open" }
}

label! {
    /// Outcome of a call to a fallback; `shed`: rejected because too many such calls were running.
    Fallback { Ok = "ok", Error = "error", Shed = "shed" }
}

/// Metrics of all breakers. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct BreakerMetrics(Arc<ByLabel<BreakerName, Instruments>>);

#[derive(Debug)]
struct Instruments {
    states: ByLabel<BreakerState, ReadableGauge>,
    transitions: ByLabel<BreakerState, Counter>,
    fallbacks: ByLabel<Fallback, Counter>,
}

impl BreakerMetrics {
    /// Creates the instruments of all breakers, whose state is closed at first.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self(Arc::new(ByLabel::of(|breaker: BreakerName| Instruments::new(recorder, breaker.as_str()))))
    }

    /// The state of `breaker`, read from its gauges: callers such as `/status` have the metrics but not the breakers.
    #[must_use]
    pub fn state(&self, breaker: BreakerName) -> BreakerState {
        let states = &self.0.at(breaker).states;
        let current = BreakerState::ALL.iter().copied().find(|&state| states.at(state).value() > 0.0);
        // During a transition, which sets one gauge after the other, no gauge may be 1.
        current.unwrap_or(BreakerState::Closed)
    }

    /// Records that `breaker` has changed to `state`.
    fn transition(&self, breaker: BreakerName, state: BreakerState) {
        self.0.at(breaker).set_state(state);
        self.0.at(breaker).transitions.at(state).increment(1);
    }
}

impl Instruments {
    fn new(recorder: &Recorder, breaker: &str) -> Self {
        let instruments = Self {
            states: ByLabel::of(|state: BreakerState| {
                recorder.gauge(&catalogue::BREAKER_STATE, &[breaker, state.as_str()]).into()
            }),
            transitions: recorder.counters(&catalogue::BREAKER_TRANSITIONS, &[breaker]),
            fallbacks: recorder.counters(&catalogue::FALLBACK_REQUESTS, &[breaker]),
        };
        instruments.set_state(BreakerState::Closed);
        instruments
    }

    fn set_state(&self, state: BreakerState) {
        for &each in BreakerState::ALL {
            self.states.at(each).set(f64::from(u8::from(each == state)));
        }
    }
}

/// Guards calls to one dependency. Clones share their state.
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    name: BreakerName,
    metrics: BreakerMetrics,
    current: Mutex<Current>,
}

/// The state of a breaker, and what its next transition depends on.
struct Current {
    state: State,
    /// Number of state changes so far. The result of a call counts only if the epoch is still the one in which the call
    /// was permitted. So a call that began before the breaker opened has no effect afterwards, and only the probe ends
    /// the half-open state.
    epoch: u64,
    /// How often the breaker has opened since it was last closed.
    openings: u32,
}

#[derive(Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// Permits one call. A permit that is dropped without a result counts neither as a success nor as a failure.
#[derive(Debug)]
#[must_use = "its result decides whether the next call is permitted"]
pub struct Permit {
    breaker: Breaker,
    epoch: u64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(name: BreakerName, metrics: BreakerMetrics) -> Self {
        let current = Mutex::new(Current { state: State::Closed { failures: 0 }, epoch: 0, openings: 0 });
        Self(Arc::new(Inner { name, metrics, current }))
    }

    /// Returns a permit for one call; `None` while the breaker is open, or half-open with a probe in flight.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        self.permit_at(Instant::now())
    }

    fn permit_at(&self, now: Instant) -> Option<Permit> {
        let mut current = self.current();
        match current.state {
            State::Closed { .. } => {}
            State::Open { until } if now < until => return None,
            State::Open { .. } => self.change(&mut current, State::HalfOpen { probing: true }),
            State::HalfOpen { probing: true } => return None,
            // The last probe was dropped without a result, so another call probes. The breaker stays half-open: this is
            // no transition, which metrics and log would show.
            State::HalfOpen { probing: false } => current.state = State::HalfOpen { probing: true },
        }
        Some(Permit { breaker: self.clone(), epoch: current.epoch })
    }

    /// Counts the outcome of a call to the fallback, which serves while the breaker is open.
    pub fn count_fallback(&self, outcome: Fallback) {
        self.0.metrics.0.at(self.0.name).fallbacks.at(outcome).increment(1);
    }

    /// Opens the breaker for the next pause.
    fn open(&self, current: &mut Current, now: Instant) {
        let pause = pause(current.openings, rand::random());
        current.openings = current.openings.saturating_add(1);
        self.change(current, State::Open { until: now + pause });
    }

    /// Changes the state. The caller holds the lock, so metrics and log show changes in the order in which they happen.
    fn change(&self, current: &mut Current, state: State) {
        current.state = state;
        current.epoch += 1;
        let (breaker, state) = (self.0.name, state.label());
        self.0.metrics.transition(breaker, state);
        tracing::warn!(breaker = breaker.as_str(), state = state.as_str(), "circuit breaker state changed");
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Records that the call succeeded.
    pub fn succeeded(self) {
        let mut current = self.breaker.current();
        if current.epoch != self.epoch {
            return;
        }
        match current.state {
            State::Closed { .. } => current.state = State::Closed { failures: 0 },
            // Only a probe gets here, in the half-open state: no permit has the epoch of an open breaker.
            State::Open { .. } | State::HalfOpen { .. } => {
                current.openings = 0;
                self.breaker.change(&mut current, State::Closed { failures: 0 });
            }
        }
    }

    /// Records that the call failed.
    pub fn failed(self) {
        self.failed_at(Instant::now());
    }

    fn failed_at(self, now: Instant) {
        let mut current = self.breaker.current();
        if current.epoch != self.epoch {
            return;
        }
        match current.state {
            State::Closed { failures } if failures + 1 < MAX_FAILURES => {
                current.state = State::Closed { failures: failures + 1 };
            }
            // The last of the consecutive failures, or a failed probe.
            _ => self.breaker.open(&mut current, now),
        }
    }
}

impl Drop for Permit {
    /// If this was a probe whose caller was cancelled, lets the next call probe. After a result it does nothing,
    /// because the result of a probe begins another epoch.
    fn drop(&mut self) {
        let mut current = self.breaker.current();
        if current.epoch == self.epoch && matches!(current.state, State::HalfOpen { .. }) {
            current.state = State::HalfOpen { probing: false };
        }
    }
}

impl State {
    fn label(self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

/// The pause of a breaker that has opened `openings` times before, and not closed since. It doubles each time, up to
/// [`MAX_PAUSE`]. `jitter` (0 to 1) then cuts it to between half and all of its length, so that instances that lost a
/// dependency at the same moment do not probe it at the same moment.
fn pause(openings: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(openings));
    doubled.min(MAX_PAUSE).mul_f64(0.5 + jitter / 2.0)
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Breaker({} {})", self.0.name.as_str(), self.current().state.label().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A breaker and a clock of its own.
    struct Fixture {
        breaker: Breaker,
        recorder: Recorder,
        now: Instant,
    }

    impl Fixture {
        fn closed() -> Self {
            let recorder = Recorder::new().unwrap();
            let breaker = Breaker::new(BreakerName::CacheL2, BreakerMetrics::new(&recorder));
            Self { breaker, recorder, now: Instant::now() }
        }

        fn open() -> Self {
            let fixture = Self::closed();
            fixture.fail(MAX_FAILURES);
            fixture
        }

        /// An open breaker after its pause, with its probe.
        fn half_open() -> (Self, Permit) {
            let mut fixture = Self::open();
            fixture.now += FIRST_PAUSE;
            let probe = fixture.permit().unwrap();
            (fixture, probe)
        }

        fn permit(&self) -> Option<Permit> {
            self.breaker.permit_at(self.now)
        }

        fn fail(&self, times: u32) {
            (0..times).for_each(|_| self.permit().unwrap().failed_at(self.now));
        }

        /// Asserts the state, and the number of changes to it, as the metrics show them.
        #[track_caller]
        fn assert_state(&self, state: BreakerState, transitions: u64) {
            let text = self.recorder.render();
            for each in BreakerState::ALL {
                let (name, value) = (each.as_str(), u8::from(*each == state));
                let line = format!("cinegraph_circuit_breaker_state{{breaker=\"cache_l2\",state=\"{name}\"}} {value}");
                assert!(text.contains(&line), "{line} is missing in\n{text}");
            }
            let (to, line) = (state.as_str(), "cinegraph_circuit_breaker_transitions_total{breaker=\"cache_l2\"");
            assert!(
                text.contains(&format!("{line},to=\"{to}\"}} {transitions}")),
                "not {transitions} transitions to {to}:\n{text}"
            );
        }
    }

    #[test]
    fn only_consecutive_failures_open_the_breaker() {
        let fixture = Fixture::closed();
        fixture.fail(MAX_FAILURES - 1);
        fixture.permit().unwrap().succeeded();
        fixture.fail(MAX_FAILURES - 1);
        drop(fixture.permit());
        fixture.assert_state(BreakerState::Closed, 0);
        fixture.fail(1);
        fixture.assert_state(BreakerState::Open, 1);
    }

    #[test]
    fn open_breaker_rejects_calls_until_the_pause_is_over() {
        let mut fixture = Fixture::open();
        fixture.now += FIRST_PAUSE.mul_f64(0.499);
        assert!(fixture.permit().is_none());
        fixture.assert_state(BreakerState::Open, 1);
        fixture.now += FIRST_PAUSE.mul_f64(0.501);
        assert!(fixture.permit().is_some());
        fixture.assert_state(BreakerState::HalfOpen, 1);
    }

    #[test]
    fn half_open_breaker_permits_one_probe_among_concurrent_calls() {
        let mut fixture = Fixture::open();
        fixture.now += FIRST_PAUSE;
        let fixture = &fixture;
        let permits: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| fixture.permit())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(permits.len(), 1);
        fixture.assert_state(BreakerState::HalfOpen, 1);
    }

    #[test]
    fn successful_probe_closes_the_breaker() {
        let (fixture, probe) = Fixture::half_open();
        probe.succeeded();
        fixture.assert_state(BreakerState::Closed, 1);
        let permits = [fixture.permit(), fixture.permit()];
        assert!(permits.iter().all(Option::is_some));
    }

    #[test]
    fn failed_probe_opens_the_breaker_for_longer_until_a_probe_succeeds() {
        let (mut fixture, probe) = Fixture::half_open();
        probe.failed_at(fixture.now);
        fixture.assert_state(BreakerState::Open, 2);
        fixture.now += FIRST_PAUSE.mul_f64(0.999);
        assert!(fixture.permit().is_none(), "the second pause is at least as long as the longest first one");
        fixture.now += FIRST_PAUSE.mul_f64(1.001);
        fixture.permit().unwrap().succeeded();

        fixture.fail(MAX_FAILURES);
        fixture.now += FIRST_PAUSE;
        assert!(fixture.permit().is_some(), "a closed breaker starts again with the first pause");
    }

    #[test]
    fn dropped_probe_lets_the_next_call_probe() {
        let (fixture, probe) = Fixture::half_open();
        assert!(fixture.permit().is_none(), "a probe is in flight");
        drop(probe);
        fixture.assert_state(BreakerState::HalfOpen, 1);
        fixture.permit().unwrap().succeeded();
        fixture.assert_state(BreakerState::Closed, 1);
    }

    #[test]
    fn results_of_calls_that_began_before_the_breaker_opened_do_not_count() {
        let mut fixture = Fixture::closed();
        let [in_open, in_half_open, success, dropped, in_closed] = [(); 5].map(|()| fixture.permit().unwrap());
        fixture.fail(MAX_FAILURES);
        in_open.failed_at(fixture.now + MAX_PAUSE);
        fixture.assert_state(BreakerState::Open, 1);

        fixture.now += FIRST_PAUSE;
        let probe = fixture.permit().unwrap();
        in_half_open.failed_at(fixture.now);
        success.succeeded();
        drop(dropped);
        assert!(fixture.permit().is_none(), "the probe is still in flight");
        fixture.assert_state(BreakerState::HalfOpen, 1);

        probe.succeeded();
        in_closed.failed_at(fixture.now);
        fixture.fail(MAX_FAILURES - 1);
        fixture.assert_state(BreakerState::Closed, 1);
    }

    #[test]
    fn pauses_double_up_to_the_maximum_and_are_jittered_by_half() {
        let seconds = |openings, jitter| pause(openings, jitter).as_secs_f64();
        assert_eq!([0, 1, 2, 3, 31, 32, u32::MAX].map(|openings| seconds(openings, 1.0)), [1., 2., 3., 3., 3., 3., 3.]);
        assert_eq!([0, 1, 2].map(|openings| seconds(openings, 0.0)), [0.5, 1.0, 1.5]);
    }
}
