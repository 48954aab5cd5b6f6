//! A TCP proxy whose target can change, and that can stop forwarding without closing a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the connections of a relay.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Forwarding,
    /// Connections stay open and carry nothing more, as if the peer had vanished without a FIN.
    Silent,
}

#[derive(Debug, Clone, Copy)]
struct State {
    target: SocketAddr,
    mode: Mode,
    /// Connections accepted under a lower number are closed.
    cuts: u32,
}

/// Forwards connections to its target until it is dropped with the runtime of the test.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

impl Relay {
    /// Listens on a free port of this IP address.
    pub(super) async fn start(on: std::net::IpAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind((on, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State { target, mode: Mode::Forwarding, cuts: 0 }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, shared.subscribe()));
            }
        });
        Self { address, state }
    }

    /// Sends new connections to another server. Existing ones end with the server that they go to.
    pub(super) fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Forwards nothing more on all connections, present and new ones.
    pub(super) fn fall_silent(&self) {
        self.state.send_modify(|state| state.mode = Mode::Silent);
    }

    /// Forwards new connections. Those of the silence stay open and silent towards the client; the server is told that
    /// they are gone, as its keepalive would.
    pub(super) fn resume(&self) {
        self.state.send_modify(|state| state.mode = Mode::Forwarding);
    }

    /// Closes all connections.
    pub(super) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn carry(mut client: TcpStream, mut state: watch::Receiver<State>) {
    let State { target, mode, cuts } = *state.borrow();
    if mode == Mode::Forwarding {
        // A refused connection is closed, as the server would.
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        // Without a listener, a connection to a port of the ephemeral range may be one to itself.
        if server.local_addr().ok() == Some(target) {
            return;
        }
        let silenced = tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => false,
            state = state.wait_for(|state| state.mode == Mode::Silent || state.cuts > cuts) => {
                state.is_ok_and(|state| state.mode == Mode::Silent)
            }
        };
        if !silenced {
            return;
        }
        let _ = state.wait_for(|state| state.mode == Mode::Forwarding).await;
        drop(server);
    }
    let _open = client;
    std::future::pending::<()>().await;
}
