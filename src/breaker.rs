//! Circuit breakers: after repeated failures, calls are rejected for a while, so that the fallback serves at once.
//!
//! The `failsafe` crate provides the states and the growing pauses. In the half-open state it permits any number of
//! concurrent calls; [`Breaker::permit`] permits one, the probe.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use failsafe::backoff::{EqualJittered, equal_jittered};
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::{Instrument, StateMachine};

use crate::config::Config;
use crate::telemetry::{ByLabel, Counter, Label as _, ReadableGauge, Recorder, catalogue, label};

/// Pause when a closed breaker opens; each failed probe doubles it. `failsafe` accepts none below one second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// Maximum time it stays open before it permits a probe.
    pub pause: Duration,
}

impl From<&Config> for BreakerSettings {
    fn from(config: &Config) -> Self {
        Self { failures: config.breaker_failures, pause: config.breaker_pause }
    }
}

label! {
    /// A dependency that a circuit breaker guards.
    BreakerName { CacheL2 = "cache_l2", ScoreTable = "score_table", Replica = "replica" }
}

label! {
    /// State of a circuit breaker: permits all calls, permits one probe, rejects all calls.
    BreakerState { Closed = "closed", HalfOpen = "half_open", Open = "open" }
}

label! {
    /// Outcome of a fallback; `shed`: rejected because too many were running.
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
    /// The instruments of all breakers, which are closed.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self(Arc::new(ByLabel::of(|breaker: BreakerName| Instruments::new(recorder, breaker.as_str()))))
    }

    /// The state of `breaker`.
    #[must_use]
    pub fn state(&self, breaker: BreakerName) -> BreakerState {
        let states = &self.0.at(breaker).states;
        let current = BreakerState::ALL.iter().copied().find(|&state| states.at(state).value() > 0.0);
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
    machine: StateMachine<ConsecutiveFailures<EqualJittered>, TransitionObserver>,
    state: Arc<AtomicUsize>,
    probing: AtomicBool,
}

/// Permits one call. Dropped without a result, it counts neither as a success nor as a failure.
#[derive(Debug)]
#[must_use = "its result decides whether the next call is permitted"]
pub struct Permit {
    breaker: Breaker,
    probing: bool,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(name: BreakerName, settings: BreakerSettings, metrics: BreakerMetrics) -> Self {
        let state = Arc::new(AtomicUsize::new(BreakerState::Closed.index()));
        let pauses = equal_jittered(FIRST_PAUSE, settings.pause.max(FIRST_PAUSE));
        let policy = consecutive_failures(settings.failures, pauses);
        let observer = TransitionObserver { name, metrics: metrics.clone(), state: Arc::clone(&state) };
        let machine = StateMachine::new(policy, observer);
        Self(Arc::new(Inner { name, metrics, machine, state, probing: AtomicBool::new(false) }))
    }

    /// Returns a permit for one call; `None` while the breaker is open, or half-open with a probe in flight.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        if !self.0.machine.is_call_permitted() {
            return None;
        }
        let probing = self.0.state.load(Ordering::Acquire) == BreakerState::HalfOpen.index();
        if probing && self.0.probing.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(Permit { breaker: self.clone(), probing })
    }

    /// Counts the outcome of the fallback, which serves while the breaker is open.
    pub fn count_fallback(&self, outcome: Fallback) {
        self.0.metrics.0.at(self.0.name).fallbacks.at(outcome).increment(1);
    }
}

impl Permit {
    /// Records that the call succeeded.
    pub fn succeeded(self) {
        self.breaker.0.machine.on_success();
    }

    /// Records that the call failed.
    pub fn failed(self) {
        self.breaker.0.machine.on_error();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probing {
            self.breaker.0.probing.store(false, Ordering::Release);
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.machine.fmt(f)
    }
}

/// Reports each state change to the metrics and the log.
struct TransitionObserver {
    name: BreakerName,
    metrics: BreakerMetrics,
    state: Arc<AtomicUsize>,
}

impl TransitionObserver {
    fn to(&self, state: BreakerState) {
        // A new state machine reports that it is closed, which is not a change.
        if self.state.swap(state.index(), Ordering::AcqRel) != state.index() {
            self.metrics.transition(self.name, state);
            tracing::warn!(breaker = self.name.as_str(), state = state.as_str(), "circuit breaker state changed");
        }
    }
}

impl Instrument for TransitionObserver {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        self.to(BreakerState::Open);
    }

    fn on_half_open(&self) {
        self.to(BreakerState::HalfOpen);
    }

    fn on_closed(&self) {
        self.to(BreakerState::Closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, Recorder) {
        let recorder = Recorder::new().unwrap();
        let settings = BreakerSettings { failures: 2, pause: Duration::from_secs(1) };
        (Breaker::new(BreakerName::CacheL2, settings, BreakerMetrics::new(&recorder)), recorder)
    }

    #[track_caller]
    fn assert_state(recorder: &Recorder, state: BreakerState, transitions: u64) {
        let text = recorder.render();
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

    #[test]
    fn only_consecutive_failures_open_the_breaker() {
        let (breaker, recorder) = breaker();
        breaker.permit().unwrap().failed();
        breaker.permit().unwrap().succeeded();
        breaker.permit().unwrap().failed();
        drop(breaker.permit());
        assert_state(&recorder, BreakerState::Closed, 0);
        breaker.permit().unwrap().failed();
        assert_state(&recorder, BreakerState::Open, 1);
    }

    #[test]
    fn half_open_breaker_permits_one_call_at_a_time() {
        let (breaker, recorder) = breaker();
        for _ in 0..2 {
            breaker.permit().unwrap().failed();
        }
        let start = std::time::Instant::now();
        let first = loop {
            match breaker.permit() {
                Some(permit) => break permit,
                None => assert!(start.elapsed() < Duration::from_secs(10), "still open"),
            }
            std::thread::yield_now();
        };
        assert!(breaker.permit().is_none(), "a probe is in flight");
        assert_state(&recorder, BreakerState::HalfOpen, 1);
        drop(first);
        breaker.permit().unwrap().succeeded();
        assert!(breaker.permit().is_some() && breaker.permit().is_some());
        assert_state(&recorder, BreakerState::Closed, 1);
    }
}
