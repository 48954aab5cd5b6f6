//! [`WebSocketLimits`]: the limits of WebSocket connections and multipart streams.

use std::time::Duration;

/// Limits of WebSocket connections. `connections`, `slow_after`, `idle_timeout` and `close_window` apply to multipart
/// streams as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Concurrent connections.
    pub connections: usize,
    /// Concurrent operations per connection.
    pub subscriptions: usize,
    /// Maximum size of a client's message, in bytes.
    pub message_bytes: usize,
    /// Maximum total size of the messages queued for a client, in bytes.
    pub queue_bytes: usize,
    /// How long a message may wait for space in the queue of a WebSocket, or a part of a multipart stream for the
    /// connection to take the previous one, before the client is disconnected as too slow.
    pub slow_after: Duration,
    /// Maximum time from the handshake until the client's `connection_init`.
    pub init_timeout: Duration,
    /// Time without a message of the client after which it is pinged. If it sends nothing for the same time again, the
    /// connection counts as lost.
    pub idle_timeout: Duration,
    /// Maximum length of the time window in which connections begin to close on shutdown.
    pub close_window: Duration,
}

/// The values are choices. `idle_timeout` is far below a minute, the idle timeout of many proxies. The settings replace
/// `connections` and `close_window`.
impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            connections: 2000,
            subscriptions: 20,
            message_bytes: 256 * 1024,
            queue_bytes: 256 * 1024,
            slow_after: Duration::from_secs(5),
            init_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(20),
            close_window: Duration::from_secs(8),
        }
    }
}
