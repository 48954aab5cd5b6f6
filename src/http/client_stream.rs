//! The TCP connection of a client: bounds how long a write waits for a client that does not read, and detects clients
//! that have left.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a request may run before its client is checked. A client that has closed its sending side may have left, or
/// may still read the response (`nc -N` and some monitors do); TCP shows which only when the response is sent. Within
/// this time, in which nearly every request ends, such a client is assumed to read; after it, to have left.
const HALF_CLOSED_GRACE: Duration = Duration::from_secs(2);

/// How often to check a client that has pipelined further requests. As long as they are not read, they hide whether the
/// client has closed its sending side. The value is a choice: each check costs a system call, and a client that has
/// left is noticed that much later.
const PIPELINED_CHECK: Duration = Duration::from_secs(1);

/// A client's connection. A write fails if the client reads nothing for the write timeout.
///
/// The socket is shared with [`client_left`]. A shared `TcpStream` implements neither `AsyncRead` nor `AsyncWrite`, so
/// they are implemented here by its other methods.
pub(super) struct ClientStream {
    stream: Arc<TcpStream>,
    write_timeout: Duration,
    /// The timer of the write timeout; `None` unless a write waits for the client to read.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: Arc<TcpStream>, write_timeout: Duration) -> Self {
        Self { stream, write_timeout, stalled: None }
    }

    /// Sends as many of the bytes as the socket takes, and returns their number. Fails with [`io::ErrorKind::TimedOut`]
    /// if the socket takes none for the write timeout.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while self.stream.poll_write_ready(context)?.is_ready() {
            match self.stream.try_write_vectored(bytes) {
                // The readiness was outdated. The next poll registers the task for the next change.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    self.stalled = None;
                    return Poll::Ready(sent);
                }
            }
        }
        let write_timeout = self.write_timeout;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout))).as_mut().poll(context));
        self.stalled = None;
        // The kernel reports a socket as writable only when a third of its buffer is free, which takes a slow reader
        // minutes. An attempt to send, past Tokio's record of the readiness, shows whether the client has read anything
        // at all.
        Poll::Ready(match SockRef::from(&*self.stream).send_vectored(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            sent => sent,
        })
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|_| ())),
            }
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match SockRef::from(&*self.stream).shutdown(Shutdown::Write) {
            // The client has closed the connection before.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}

/// Waits until the client of a running request has left: its connection is reset, or its sending side is still closed
/// after [`HALF_CLOSED_GRACE`].
pub(super) async fn client_left(stream: &TcpStream) {
    sleep(HALF_CLOSED_GRACE).await;
    // A byte belongs to a further request; 0 bytes mean a closed sending side, and an error a lost connection. As long
    // as the client is connected and sends nothing, `peek` waits.
    while let Ok(1..) = stream.peek(&mut [0]).await {
        sleep(PIPELINED_CHECK).await;
    }
}
