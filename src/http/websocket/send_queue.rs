//! The messages that a client has yet to read, bounded by bytes.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::Message;
use futures_util::{Sink, SinkExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// A message shorter than this counts as this many bytes, to allow for the memory that it needs besides its text. So the
/// number of queued messages is bounded, too. A choice: about the size of the message and its permit without the text.
const MESSAGE_MIN: usize = 64;

/// A queued message, and the capacity of the queue that it occupies until it is dropped.
struct PendingMessage {
    message: Message,
    _capacity: OwnedSemaphorePermit,
}

/// The sending half of the queue.
pub(super) struct SendQueue {
    /// An unbounded channel, because the limit is in bytes: each queued message holds permits of `free_bytes`.
    sender: mpsc::UnboundedSender<PendingMessage>,
    free_bytes: Arc<Semaphore>,
    /// In bytes.
    capacity: usize,
    /// How long a message may wait for capacity.
    slow_after: Duration,
    overflow: Notify,
}

/// The receiving half of the queue.
pub(super) struct QueuedMessages(mpsc::UnboundedReceiver<PendingMessage>);

/// A queue of `capacity` bytes, in which a message may wait for capacity for as long as `slow_after`.
pub(super) fn send_queue(capacity: usize, slow_after: Duration) -> (SendQueue, QueuedMessages) {
    let (sender, receiver) = mpsc::unbounded_channel();
    // A smaller queue could not hold any message.
    let capacity = capacity.max(MESSAGE_MIN);
    let free_bytes = Arc::new(Semaphore::new(capacity));
    (SendQueue { sender, free_bytes, capacity, slow_after, overflow: Notify::new() }, QueuedMessages(receiver))
}

impl SendQueue {
    /// Queues a message when the queue has capacity for it. If that takes longer than `slow_after`, signals
    /// [`overflowed`](Self::overflowed), which closes the connection, and never returns.
    pub(super) async fn send(&self, text: String) {
        // A message larger than the queue waits until the queue is empty.
        let bytes = text.len().clamp(MESSAGE_MIN, self.capacity);
        let permit = Arc::clone(&self.free_bytes).acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX));
        if let Ok(Ok(permit)) = timeout(self.slow_after, permit).await {
            self.push(Message::Text(text.into()), permit);
        } else {
            self.overflow.notify_one();
            // The caller must not continue as if the message were queued. Its task is about to end.
            pending::<()>().await;
        }
    }

    /// Queues a ping, unless the queue is full: in this case `slow_after` detects an unresponsive client. A ping counts
    /// one byte, since pings are rare.
    pub(super) fn ping(&self) {
        if let Ok(permit) = Arc::clone(&self.free_bytes).try_acquire_owned() {
            self.push(Message::Ping(Bytes::new()), permit);
        }
    }

    /// Waits until the queue has overflowed, because the client reads too slowly.
    pub(super) async fn overflowed(&self) {
        self.overflow.notified().await;
    }

    fn push(&self, message: Message, permit: OwnedSemaphorePermit) {
        // Fails only after the writer has ended, which closes the connection.
        let _ = self.sender.send(PendingMessage { message, _capacity: permit });
    }
}

impl QueuedMessages {
    /// Writes queued messages until the client disconnects.
    pub(super) async fn write_to(mut self, sink: &mut (impl Sink<Message> + Unpin)) {
        while let Some(PendingMessage { message, _capacity }) = self.0.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn full_queue_overflows_after_the_limit() {
        let (queue, _unread) = send_queue(MESSAGE_MIN, Duration::from_millis(1));
        queue.send("first".to_owned()).await;

        tokio::select! {
            () = queue.send("second".to_owned()) => panic!("the queue has capacity for one message"),
            () = queue.overflowed() => {}
        }
    }

    #[tokio::test]
    async fn message_larger_than_the_queue_waits_until_it_is_empty() {
        let (queue, mut queued) = send_queue(MESSAGE_MIN, Duration::from_secs(5));
        queue.send("small".to_owned()).await;
        let mut large = Box::pin(queue.send("x".repeat(2 * MESSAGE_MIN)));
        assert!(large.as_mut().now_or_never().is_none());

        queued.0.recv().await.unwrap();
        large.await;
    }

    #[tokio::test]
    async fn pings_are_not_queued_when_the_queue_is_full() {
        let (queue, mut queued) = send_queue(MESSAGE_MIN, Duration::from_secs(5));
        queue.send("first".to_owned()).await;
        queue.ping();

        assert!(matches!(queued.0.recv().await.unwrap().message, Message::Text(_)));
        assert!(queued.0.try_recv().is_err());
    }
}
