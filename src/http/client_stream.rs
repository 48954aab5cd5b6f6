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

/// How long a request may run before its client is checked. A client that has closed its sending side may still read
/// (`nc -N`, some monitors), and TCP tells it from one that has left only when the response is sent. So it is assumed to
/// read for as long as nearly every request takes, and to have left after that.
const HALF_CLOSED_GRACE: Duration = Duration::from_secs(2);

/// How often to check a client that has sent further requests: they hide whether it has closed its sending side.
const PIPELINED_CHECK: Duration = Duration::from_secs(1);

/// A client's connection. A write fails if the client reads nothing for the write timeout.
pub(super) struct ClientStream {
    stream: Arc<TcpStream>,
    write_timeout: Duration,
    /// Runs while the client does not read.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: Arc<TcpStream>, write_timeout: Duration) -> Self {
        Self { stream, write_timeout, stalled: None }
    }

    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while self.stream.poll_write_ready(context)?.is_ready() {
            match self.stream.try_write_vectored(bytes) {
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
        // minutes. Trying it shows whether the client has read anything at all.
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
            // The client was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}

/// Waits until the client of a running request has left: its connection is reset, or its sending side is still closed
/// after [`HALF_CLOSED_GRACE`].
pub(super) async fn client_left(stream: &TcpStream) {
    sleep(HALF_CLOSED_GRACE).await;
    while let Ok(1..) = stream.peek(&mut [0]).await {
        sleep(PIPELINED_CHECK).await;
    }
}
