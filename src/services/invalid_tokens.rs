//! Limits the invalid admin tokens of a client, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Moment};

/// Number of invalid tokens after which the tokens of a client are not checked until its window ends. A choice: high
/// enough for an operator who mistypes a token, and far too low for guessing one.
const LIMIT: u32 = 10;

/// Length of a client's window, which starts with its first invalid token. A choice; error texts say "a minute".
const WINDOW: Duration = Duration::from_mins(1);

/// Maximum number of clients that are remembered. If there are more, the client whose window began first is forgotten.
/// A choice: the memory stays below a megabyte.
const CLIENTS_MAX: usize = 10_000;

/// Leading bits of an IPv6 address that identify a client: networks have 64 of them, and a client can choose all
/// others.
const IPV6_PREFIX: u32 = 64;

/// Counts the invalid tokens of each client.
#[derive(Debug)]
pub(super) struct InvalidTokens {
    clock: Clock,
    /// The window of each client, by its [`network`].
    clients: Mutex<HashMap<IpAddr, Window>>,
}

/// The invalid tokens of a client since the start of its window.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Moment,
    count: u32,
}

impl InvalidTokens {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, clients: Mutex::default() }
    }

    /// Whether the client has sent so many invalid tokens that its next one is not checked.
    pub(super) fn is_limited(&self, client: IpAddr) -> bool {
        let (clients, now) = (self.clients.lock().unwrap_or_else(PoisonError::into_inner), self.clock.moment());
        clients.get(&network(client)).is_some_and(|window| window.count >= LIMIT && window.is_open(now))
    }

    /// Counts an invalid token. Returns whether it is the one that reaches the limit, so that the caller logs this
    /// once.
    pub(super) fn record(&self, client: IpAddr) -> bool {
        let (client, now) = (network(client), self.clock.moment());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            // First the clients whose windows have ended. If there are none, the client whose window began first.
            clients.retain(|_, window| window.is_open(now));
            let oldest = clients.iter().min_by_key(|(_, window)| window.began).map(|(client, _)| *client);
            if let Some(oldest) = oldest.filter(|_| clients.len() >= CLIENTS_MAX) {
                clients.remove(&oldest);
            }
        }
        let window = clients.entry(client).or_insert(Window { began: now, count: 0 });
        if !window.is_open(now) {
            *window = Window { began: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        window.count == LIMIT
    }
}

impl Window {
    fn is_open(&self, now: Moment) -> bool {
        now.since(self.began) < WINDOW
    }
}

/// The address that stands for all addresses of a client: an IPv4 address, or the prefix of an IPv6 address.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX))).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use chrono::TimeDelta;

    use super::*;

    fn limited(tokens: &InvalidTokens, client: &str) -> bool {
        tokens.is_limited(client.parse().unwrap())
    }

    #[test]
    fn a_network_is_limited_until_its_window_ends() {
        let (clock, hand) = Clock::manual(Clock::system().now());
        let tokens = InvalidTokens::new(clock);
        for number in 1..=LIMIT {
            assert!(!limited(&tokens, "2001:db8::1"));
            let client = format!("2001:db8::{number:x}").parse().unwrap();
            assert_eq!(tokens.record(client), number == LIMIT);
        }
        assert!(limited(&tokens, "2001:db8::ffff:1"));
        assert!(!limited(&tokens, "2001:db8:0:1::1") && !limited(&tokens, "192.0.2.1"));

        // The clock set back does not lengthen it.
        hand.set(TimeDelta::days(-1));
        hand.advance(TimeDelta::seconds(59));
        assert!(limited(&tokens, "2001:db8::1"));
        hand.advance(TimeDelta::seconds(1));
        assert!(!limited(&tokens, "2001:db8::1"));
        assert!(!tokens.record("2001:db8::1".parse().unwrap()));
        assert!(!limited(&tokens, "2001:db8::1"));
    }

    #[test]
    fn ipv4_clients_count_the_same_on_both_listeners() {
        let tokens = InvalidTokens::new(Clock::system());
        for _ in 0..LIMIT {
            tokens.record("::ffff:192.0.2.1".parse().unwrap());
        }
        assert!(limited(&tokens, "192.0.2.1") && !limited(&tokens, "192.0.2.2"));
    }

    #[test]
    fn memory_is_bounded() {
        let (clock, hand) = Clock::manual(Clock::system().now());
        let tokens = InvalidTokens::new(clock);
        for number in 0..=u32::try_from(CLIENTS_MAX).unwrap() {
            hand.advance(TimeDelta::milliseconds(1));
            tokens.record(Ipv4Addr::from_bits(number).into());
        }
        let clients = tokens.clients.lock().unwrap();
        assert_eq!(clients.len(), CLIENTS_MAX);
        assert!(!clients.contains_key(&IpAddr::from(Ipv4Addr::from_bits(0))));
    }
}
