//! Subscriptions over HTTP, by `multipart/mixed`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const STREAM: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0";

/// A response that is read bit by bit.
struct Response {
    connection: TcpStream,
    received: String,
}

impl Response {
    /// Posts an operation with these further lines of the head.
    async fn to(address: SocketAddr, query: &str, head: &str) -> Self {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let body = json!({ "query": query }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n{head}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        Self { connection, received: String::new() }
    }

    async fn subscribed(shell: &Shell, query: &str) -> Self {
        Self::to(shell.address, query, &format!("Accept: {STREAM}, application/json\r\n")).await
    }

    /// Reads until this text has been received.
    async fn until(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.received.contains(text) {
            let read = timeout(PATIENCE, self.connection.read(&mut buffer)).await.expect("it arrives in time").unwrap();
            assert!(read > 0, "{text:?} is missing in {:?}", self.received);
            self.received.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    /// The whole response: its head, and its body without the framing of chunks.
    async fn whole(mut self) -> (String, String) {
        timeout(PATIENCE, self.connection.read_to_string(&mut self.received)).await.expect("it ends").unwrap();
        let (head, mut rest) = self.received.split_once("\r\n\r\n").unwrap();
        if !head.contains("transfer-encoding: chunked") {
            return (head.to_owned(), rest.to_owned());
        }
        let mut body = String::new();
        while let Some((length, chunk)) = rest.split_once("\r\n").filter(|(length, _)| *length != "0") {
            let length = usize::from_str_radix(length, 16).unwrap();
            body.push_str(&chunk[..length]);
            rest = &chunk[length + 2..];
        }
        assert!(rest.starts_with("0\r\n"), "the response is not complete");
        (head.to_owned(), body)
    }
}

/// The JSON texts of the parts of a complete response.
fn parts(body: &str) -> Vec<Value> {
    let parts = body.strip_prefix("\r\n--graphql").and_then(|body| body.strip_suffix("\r\n--graphql--\r\n"));
    // Without a part, the last delimiter is the first.
    let Some(parts) = parts else {
        assert_eq!(body, "\r\n--graphql--\r\n");
        return vec![];
    };
    let json =
        |part: &str| serde_json::from_str(part.strip_prefix("\r\ncontent-type: application/json\r\n\r\n").unwrap());
    parts.split("\r\n--graphql").map(|part| json(part).unwrap()).collect()
}

#[tokio::test]
async fn events_are_parts_of_the_response() {
    let shell = Shell::new().await;
    for accept in [STREAM, "application/json, Multipart/Mixed; subscriptionSpec=\"1.0\""] {
        let head = format!("Accept: {accept}\r\nAccept-Encoding: gzip, br\r\n");
        let (head, body) = Response::to(shell.address, "subscription { count(to: 3) }", &head).await.whole().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            head.contains("\r\ncontent-type: multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\""),
            "{head}"
        );
        assert!(!head.contains("content-encoding") && head.contains("x-trace-id"), "{head}");
        let event = |count: u32| json!({ "payload": { "data": { "count": count } } });
        assert_eq!(parts(&body), [event(1), event(2), event(3)]);
    }
    let (_, body) = Response::subscribed(&shell, "subscription { count(to: 0) }").await.whole().await;
    assert_eq!(parts(&body), Vec::<Value>::new());
    until("no subscription runs", async || shell.running() == 0).await;
    assert_eq!(shell.metric("cinegraph_slo_requests_total{surface=\"api\",result=\"good\"}"), 3);
}

#[tokio::test]
async fn every_part_is_followed_by_the_next_delimiter_at_once() {
    let shell = Shell::new().await;
    let mut response = Response::subscribed(&shell, "subscription { never }").await;
    // Long before the first heartbeat.
    response.until("--graphql").await;
    assert_eq!((shell.running(), shell.metric("http_server_active_requests{http_request_method=\"POST\"}")), (1, 0));
    drop(response);
}

#[tokio::test]
async fn silent_subscriptions_send_heartbeats_and_notice_clients_that_left() {
    let limits = WebSocketLimits { idle_timeout: Duration::from_millis(100), ..WebSocketLimits::default() };
    let shell = Shell::with(limits).await;
    let mut response = Response::subscribed(&shell, "subscription { never }").await;
    let heartbeat = "content-type: application/json\r\n\r\n{}\r\n--graphql";
    response.until(heartbeat).await;
    response.received.clear();
    response.until(heartbeat).await;
    assert_eq!(shell.running(), 1);
    drop(response);
    until("the operation has ended", async || shell.running() == 0).await;
}

#[tokio::test]
async fn operations_that_are_no_subscriptions_get_one_response() {
    let shell = Shell::new().await;
    for (query, accept, status, expected) in [
        ("{ film }", format!("{STREAM}, application/json"), 200, "\"Ran\""),
        ("{ film }", STREAM.to_owned(), 200, "\"Ran\""),
        ("subscription { count(to: 1) never }", format!("{STREAM}, application/json"), 200, "exactly one root field"),
        ("subscription {", STREAM.to_owned(), 400, "GRAPHQL_PARSE_FAILED"),
    ] {
        let (head, body) = Response::to(shell.address, query, &format!("Accept: {accept}\r\n")).await.whole().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")) && !head.contains("multipart"), "{query}: {head}");
        assert!(body.contains(expected), "{query}: {body}");
    }
    // The stream has begun when an operation is validated.
    let (head, body) =
        Response::to(shell.address, "subscription { unknown }", &format!("Accept: {STREAM}\r\n")).await.whole().await;
    let [last] = parts(&body).try_into().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(last["payload"]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    // Not without the specification.
    let (head, _) =
        Response::to(shell.address, "subscription { never }", "Accept: multipart/mixed\r\n").await.whole().await;
    assert!(head.starts_with("HTTP/1.1 406"), "{head}");
}

#[tokio::test]
async fn streams_and_websockets_share_one_limit() {
    let idle_timeout = Duration::from_millis(100);
    let shell = Shell::with(WebSocketLimits { connections: 2, idle_timeout, ..WebSocketLimits::default() }).await;
    let socket = Socket::open(shell.address).await;
    let mut stream = Response::subscribed(&shell, "subscription { never }").await;
    stream.until("--graphql").await;
    let (head, body) = Response::subscribed(&shell, "subscription { never }").await.whole().await;
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1"), "{head}");
    assert!(body.contains("SERVICE_UNAVAILABLE"), "{body}");
    assert_eq!(refused(Socket::handshake(shell.address, &[]).await), StatusCode::SERVICE_UNAVAILABLE);
    drop((stream, socket));
    let subscribes = async || {
        let (head, _) = Response::subscribed(&shell, "subscription { count(to: 1) }").await.whole().await;
        head.starts_with("HTTP/1.1 200")
    };
    until("another stream is accepted", subscribes).await;
}

#[tokio::test]
async fn streams_end_with_an_error_on_shutdown() {
    let shell = Shell::new().await;
    let mut response = Response::subscribed(&shell, "subscription { never }").await;
    response.until("--graphql").await;
    shell.stop.cancel();
    let (_, body) = response.whole().await;
    let [last] = parts(&body).try_into().unwrap();
    assert_eq!(last["payload"], Value::Null);
    assert_eq!(last["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE");
    shell.websocket_limiter.closed().await;
    assert_eq!((shell.dropped("shutdown"), shell.running()), (1, 0));
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_dropped() {
    let limits = WebSocketLimits { slow_after: Duration::from_millis(300), ..WebSocketLimits::default() };
    let shell = Shell::with(limits).await;
    let _unread = Response::subscribed(&shell, "subscription { flood }").await;
    until("the stream is dropped", async || shell.dropped("slow") == 1).await;
    until("the operation has ended", async || shell.running() == 0).await;
}

#[tokio::test]
async fn a_panic_ends_the_stream_with_an_error() {
    log_panics();
    let log = Log::start();
    let shell = Shell::new().await;
    let (head, body) = Response::subscribed(&shell, "subscription { breaking }").await.whole().await;
    let [last] = parts(&body).try_into().unwrap();
    assert_eq!(last["errors"][0]["extensions"]["code"], "INTERNAL");
    assert!(!body.contains("hunter2"), "{body}");

    // The trace is not sampled, but its id is in the response and in the log.
    let trace = head.lines().find_map(|line| line.strip_prefix("x-trace-id: ")).unwrap();
    let errors: Vec<Value> = log.lines().into_iter().filter(|line| line["level"] == "ERROR").collect();
    let [line] = errors.try_into().unwrap();
    assert_eq!((&line["exception.message"], &line["trace_id"]), (&json!("hunter2"), &json!(trace)));
    assert_eq!(line["sampled"], false);
}
