//! A connection to a collector.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::ExportError;
use super::target::{Protocol, Target};

/// An open connection. Its I/O is driven by a task of the current runtime until it is dropped.
pub(super) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self, ExportError> {
        let host = target.host().trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, target.port())).await.map_err(ExportError::Connect)?;
        // A request is written at once, so that waiting for more would only delay it. Not essential if it fails.
        let _ = stream.set_nodelay(true);
        match &target.tls {
            None => Self::over(TokioIo::new(stream), target.protocol).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned());
                let name =
                    name.map_err(|error| ExportError::Connect(io::Error::new(io::ErrorKind::InvalidData, error)))?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
                Self::over(TokioIo::new(stream.map_err(ExportError::Connect)?), target.protocol).await
            }
        }
    }

    async fn over<S: Read + Write + Unpin + Send + 'static>(io: S, protocol: Protocol) -> Result<Self, ExportError> {
        // The tasks end with the connection. Its error is also that of the request, which is reported.
        match protocol {
            Protocol::Http => {
                let (sender, connection) = http1::handshake(io).await.map_err(ExportError::Connection)?;
                tokio::spawn(connection);
                Ok(Self::Http1(sender))
            }
            Protocol::Grpc => {
                let handshake = http2::handshake(TokioExecutor::new(), io);
                let (sender, connection) = handshake.await.map_err(ExportError::Connection)?;
                tokio::spawn(connection);
                Ok(Self::Http2(sender))
            }
        }
    }

    /// Whether the collector has closed it.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
