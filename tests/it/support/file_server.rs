//! A web server of files that can fail as servers and networks do.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::Identity;

/// What the server does with one request instead of serving the file.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Closes the connection after this many bytes of the body.
    CloseAfter(usize),
    /// Sends this many bytes of the body, then nothing until the client leaves.
    StallAfter(usize),
    /// Sends nothing at all until the client leaves.
    Silence,
    /// Sends the whole file, whatever range is requested.
    IgnoreRange,
    /// Sends the range under this `Content-Range`.
    ContentRange(&'static str),
    /// Announces this length less than the file has, and sends no more.
    Shorter(usize),
    /// Sends this status line, with the headers that follow it, and this body.
    Reply(String, &'static str),
}

#[derive(Default)]
struct State {
    /// Content and version by path.
    files: HashMap<String, (Vec<u8>, u32)>,
    /// For the next requests, in turn.
    faults: VecDeque<Fault>,
    /// Path and range of each request.
    requests: Vec<String>,
    /// Whether responses have no ETag and no Last-Modified.
    without_version: bool,
}

/// A running server. It closes each connection after one response.
#[derive(Clone)]
pub(crate) struct FileServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FileServer {
    pub(crate) async fn start() -> Self {
        Self::serving(None).await
    }

    /// Over HTTPS.
    pub(crate) async fn with_tls(identity: &Identity) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()],
                PrivateKeyDer::from_pem_file(&identity.key).unwrap(),
            )
            .unwrap();
        Self::serving(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serving(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let this = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (this.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.respond(stream).await;
                            }
                        }
                        None => server.respond(stream).await,
                    }
                });
            }
        });
        server
    }

    /// Serves this content, as another version than before.
    pub(crate) fn put(&self, name: &str, content: impl Into<Vec<u8>>) {
        let mut state = self.state();
        let version = state.files.get(name).map_or(1, |(_, version)| version + 1);
        state.files.insert(name.to_owned(), (content.into(), version));
    }

    pub(crate) fn omit_versions(&self) {
        self.state().without_version = true;
    }

    /// Lets the next requests fail, in turn.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Path and requested range of each request since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn respond(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let (head, body, stalls) = self.response(&request);
        // An error: the client has left.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.flush().await;
        if stalls {
            while stream.read_u8().await.is_ok() {}
        }
        let _ = stream.shutdown().await;
    }

    /// Head and body of a response, and whether the connection stays open after it.
    fn response(&self, request: &str) -> (String, Vec<u8>, bool) {
        let header = |name: &str| {
            let line = request.lines().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then_some(value)
            });
            line.map(str::to_owned)
        };
        let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        let range = header("range");
        let mut state = self.state();
        state.requests.push(range.iter().fold(path.clone(), |request, range| format!("{request} {range}")));
        let fault = state.faults.pop_front();
        if let Some(Fault::Reply(status, body)) = fault {
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            return (head, body.into(), false);
        }
        if matches!(fault, Some(Fault::Silence)) {
            return (String::new(), Vec::new(), true);
        }
        let Some((content, version)) = state.files.get(&path).cloned() else {
            return (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
                Vec::new(),
                false,
            );
        };
        let etag = format!("\"v{version}\"");
        if header("if-none-match").as_ref() == Some(&etag) {
            return ("HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".into(), Vec::new(), false);
        }
        let offset = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let offset =
            offset.filter(|_| header("if-range").as_ref() == Some(&etag) && !matches!(fault, Some(Fault::IgnoreRange)));
        let mut body = content[offset.unwrap_or_default().min(content.len())..].to_vec();
        let mut length = body.len();
        let mut head = match offset {
            Some(offset) if offset >= content.len() => {
                (length, body) = (0, Vec::new());
                format!("HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */{}\r\n", content.len())
            }
            Some(offset) => {
                let range = match fault {
                    Some(Fault::ContentRange(range)) => range.to_owned(),
                    _ => format!("bytes {offset}-{}/{}", content.len() - 1, content.len()),
                };
                format!("HTTP/1.1 206 Partial Content\r\ncontent-range: {range}\r\n")
            }
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
        };
        match fault {
            Some(Fault::CloseAfter(bytes) | Fault::StallAfter(bytes)) => body.truncate(bytes),
            Some(Fault::Shorter(bytes)) => {
                length -= bytes;
                body.truncate(length);
            }
            _ => {}
        }
        if !state.without_version {
            head += &format!("etag: {etag}\r\nlast-modified: Sat, 0{version} Nov 2025 00:00:00 GMT\r\n");
        }
        head += &format!("content-length: {length}\r\nconnection: close\r\n\r\n");
        (head, body, matches!(fault, Some(Fault::StallAfter(_))))
    }
}
