//! A network link to a server, which a test can cut: packets are lost, and no connection is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// A link, cut when dropped.
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    dead: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

#[derive(Clone, Copy)]
struct State {
    /// Number of cuts so far.
    cuts: usize,
    /// Whether new connections are forwarded.
    up: bool,
}

impl Link {
    /// A link to the server at `port` of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(State { cuts: 0, up: true });
        let dead = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dead);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, port, watched.clone(), Arc::clone(&count)));
            }
        });
        Self { address, state, dead, accepting: accepting.abort_handle() }
    }

    /// Loses all packets of open connections for good, and those of new ones until the link is up again.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| *state = State { cuts: state.cuts + 1, up: false });
    }

    /// Forwards new connections.
    pub(crate) fn restore(&self) {
        self.state.send_modify(|state| state.up = true);
    }

    /// Number of connections that were cut and that the client has not closed yet.
    pub(crate) fn dead_connections(&self) -> usize {
        self.dead.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, port: u16, mut watched: watch::Receiver<State>, dead: Arc<AtomicUsize>) {
    let State { cuts, up } = *watched.borrow();
    let mut server = None;
    if up {
        let Ok(mut connected) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut connected) => return,
            _ = watched.wait_for(|state| state.cuts != cuts) => {}
        }
        server = Some(connected);
    }
    dead.fetch_add(1, Ordering::SeqCst);
    // Until the client gives up. The server learns nothing of that.
    let mut lost = [0; 4096];
    while client.read(&mut lost).await.is_ok_and(|read| read > 0) {}
    dead.fetch_sub(1, Ordering::SeqCst);
    drop(client);
    if server.is_some() {
        std::future::pending::<()>().await;
    }
}
