//! TCP connections of clients of any behaviour: half-closed, slow, pipelining, not reading, gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use cinegraph::http::{ConnectionLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than the kernel buffers for a connection.
const LARGE: usize = 16 * 1024 * 1024;

/// Progress of the requests of `/slow` and `/flood`.
#[derive(Clone, Default)]
struct Progress {
    started: Arc<Notify>,
    may_end: Arc<Notify>,
    ended: Arc<Notify>,
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Responds when the test permits it.
async fn slow(State(progress): State<Progress>) -> &'static str {
    let _ended = NotifyOnDrop(progress.ended);
    progress.started.notify_one();
    progress.may_end.notified().await;
    "slow"
}

/// A WebSocket that sends without an end.
async fn flood(State(progress): State<Progress>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let _ended = NotifyOnDrop(progress.ended);
        while socket.send(Message::Binary(Bytes::from_static(&[0; 16_384]))).await.is_ok() {}
    })
}

/// Serves a few routes.
async fn server(limits: ConnectionLimits) -> (SocketAddr, Progress) {
    let progress = Progress::default();
    let routes = Router::new()
        .route("/", get(async || "here"))
        .route("/large", get(async || Bytes::from(vec![b'x'; LARGE])))
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route("/slow", get(slow))
        .route("/flood", get(flood))
        .with_state(progress.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, routes, limits, vec![Handle::current()], CancellationToken::new()));
    (address, progress)
}

async fn connect(address: SocketAddr, sent: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(sent).await.unwrap();
    client
}

/// Everything that the server sends until it closes the connection.
async fn read_all(client: &mut TcpStream) -> String {
    let mut received = Vec::new();
    // A reset after the response ends the connection, too.
    let _ = timeout(PATIENCE, client.read_to_end(&mut received)).await.expect("the connection is closed in time");
    String::from_utf8(received).unwrap()
}

fn bodies(responses: &str) -> Vec<&str> {
    let bodies = responses.split("HTTP/1.").skip(1).map(|response| response.split_once("\r\n\r\n").unwrap().1);
    bodies.collect()
}

#[tokio::test]
async fn half_closed_clients_get_every_response() {
    let (address, progress) = server(ConnectionLimits::default()).await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    for (sent, expected) in [
        (get.to_owned(), vec!["here"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), vec!["here"]),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), vec!["here"]),
        (post.to_owned(), vec!["3"]),
        (chunked.to_owned(), vec!["2"]),
        (get.repeat(40), vec!["here"; 40]),
        ([post, get, chunked, post].concat(), vec!["3", "here", "2", "3"]),
        // The end of a request that never comes.
        ([get, &post[..post.len() - 1]].concat(), vec!["here"]),
        ([get, "GET / HT"].concat(), vec!["here"]),
    ] {
        let mut client = connect(address, sent.as_bytes()).await;
        client.shutdown().await.unwrap();
        let began = Instant::now();
        let received = read_all(&mut client).await;
        let received = bodies(&received);
        assert_eq!(received[..expected.len()], expected, "{sent}");
        assert!(began.elapsed() < Duration::from_secs(2), "{sent}: the connection stayed open");
    }
    // The response comes after the end of the client's side.
    let mut client = connect(address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    progress.started.notified().await;
    client.shutdown().await.unwrap();
    let (received, ()) = tokio::join!(read_all(&mut client), async { progress.may_end.notify_one() });
    assert_eq!(bodies(&received), ["slow"]);
}

#[tokio::test]
async fn head_sent_byte_by_byte_gets_its_response() {
    let (address, _) = server(ConnectionLimits::default()).await;
    let mut client = connect(address, b"").await;
    for byte in b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    client.shutdown().await.unwrap();
    assert_eq!(bodies(&read_all(&mut client).await), ["2"]);
}

#[tokio::test]
async fn requests_of_clients_that_left_are_cancelled() {
    let (address, progress) = server(ConnectionLimits::default()).await;
    let request = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    let closing = "GET /slow HTTP/1.0\r\n\r\n";
    for (sent, resets) in [(request, false), (request, true), (closing, false), (&request.repeat(2), true)] {
        let client = connect(address, sent.as_bytes()).await;
        progress.started.notified().await;
        if resets {
            client.set_zero_linger().unwrap();
        }
        drop(client);
        timeout(PATIENCE, progress.ended.notified()).await.expect("the request is cancelled");
    }
}

#[tokio::test]
async fn other_protocols_are_disconnected() {
    let limits =
        ConnectionLimits { connections: 2, head_read: Duration::from_millis(100), ..ConnectionLimits::default() };
    let (address, _) = server(limits).await;
    for sent in [
        "P",
        "PRI * HTTP/2.0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "\x16\x03\x01\x02\0\x01",
        "GET",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        let mut clients = [connect(address, sent.as_bytes()).await, connect(address, sent.as_bytes()).await];
        let third = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(bodies(&read_all(&mut connect(address, third).await).await), ["here"], "{sent:?}");
        for client in &mut clients {
            let received = read_all(client).await;
            assert!(received.is_empty() || received.starts_with("HTTP/1.1 400"), "{sent:?}: {received}");
        }
    }
}

#[tokio::test]
async fn clients_that_do_not_read_make_room_for_others() {
    let limits = ConnectionLimits { connections: 3, write: Duration::from_millis(200), ..ConnectionLimits::default() };
    let (address, _) = server(limits).await;
    let large = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    let pipelined = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5) + &large.repeat(3);
    for sent in [large, &pipelined, "GET /large HTTP/1.0\r\n\r\n"] {
        let mut unread = Vec::new();
        for _ in 0..7 {
            unread.push(connect(address, sent.as_bytes()).await);
        }
        let mut other = connect(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert_eq!(bodies(&read_all(&mut other).await), ["here"]);
    }
}

#[tokio::test]
async fn slow_reader_that_makes_progress_gets_the_whole_response() {
    let write = Duration::from_millis(150);
    let (address, _) = server(ConnectionLimits { write, ..ConnectionLimits::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut client = socket.connect(address).await.unwrap();
    client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();

    let (began, mut received, mut buffer) = (Instant::now(), 0, vec![0; 128 * 1024]);
    while received < LARGE {
        let read = timeout(PATIENCE, client.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "cut after {received} bytes");
        received += read;
        // Slow for many times the write timeout, then as fast as possible.
        if began.elapsed() < 20 * write {
            sleep(write / 5).await;
        }
    }
}

#[tokio::test]
async fn websocket_whose_client_does_not_read_is_closed() {
    let write = Duration::from_millis(200);
    let (address, progress) = server(ConnectionLimits { write, ..ConnectionLimits::default() }).await;
    let (_unread, _) = connect_async(format!("ws://{address}/flood")).await.unwrap();
    timeout(PATIENCE, progress.ended.notified()).await.expect("the connection is closed");
}
