//! What is sent to a collector and what it responds: OTLP over HTTP and over gRPC.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use percent_encoding::percent_decode_str;
use prost::Message;

use super::error::ExportError;
use super::target::{Protocol, Target};

/// Maximum size of a response. It contains no more than an error message, unless it is the page of a proxy.
const RESPONSE_BYTES: usize = 64 * 1024;

/// Length of the head of a gRPC message: whether it is compressed, and its length.
const GRPC_HEAD: usize = 5;

const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust cinegraph/", env!("CARGO_PKG_VERSION"));

/// The body of a request: the message, compressed and framed as the target expects it.
pub(super) fn encode(target: &Target, message: &impl Message) -> Bytes {
    let plain = message.encode_to_vec();
    let (content, is_compressed) = match target.is_compressed.then(|| gzip(&plain)) {
        Some(Ok(compressed)) => (compressed, true),
        // Writing to memory does not fail.
        Some(Err(_)) | None => (plain, false),
    };
    match (target.protocol, u32::try_from(content.len())) {
        (Protocol::Grpc, Ok(length)) => {
            let mut body = BytesMut::with_capacity(GRPC_HEAD + content.len());
            body.put_u8(is_compressed.into());
            body.put_u32(length);
            body.put_slice(&content);
            body.freeze()
        }
        _ => content.into(),
    }
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// The request with an encoded body.
pub(super) fn request(target: &Target, body: Bytes) -> Result<Request<Full<Bytes>>, ExportError> {
    let content_type = if target.protocol == Protocol::Grpc { "application/grpc" } else { "application/x-protobuf" };
    let mut request = Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::USER_AGENT, USER_AGENT);
    if target.protocol == Protocol::Grpc {
        request = request.uri(target.uri.clone()).header(header::TE, "trailers");
        if target.is_compressed {
            request = request.header("grpc-encoding", "gzip");
        }
    } else {
        let authority = target.uri.authority().map_or("", |authority| authority.as_str());
        let path = target.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
        request = request.uri(path).header(header::HOST, authority);
        if target.is_compressed {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
    }
    let mut request = request.body(Full::new(body)).map_err(|error| ExportError::Response(error.to_string()))?;
    request.headers_mut().extend(target.headers.clone());
    Ok(request)
}

/// What a collector responded, read to its end.
pub(super) struct Received {
    status: StatusCode,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Bytes,
}

impl Received {
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, ExportError> {
        let (head, body) = response.into_parts();
        let (trailers, body) = match Limited::new(body, RESPONSE_BYTES).collect().await {
            Ok(body) => (body.trailers().cloned().unwrap_or_default(), body.to_bytes()),
            // The status says what became of the request.
            Err(error) if error.is::<LengthLimitError>() => Default::default(),
            // The connection was lost, which another attempt may mend.
            Err(error) => {
                let unreadable =
                    |error: Box<dyn std::error::Error + Send + Sync>| ExportError::Response(error.to_string());
                return Err(error.downcast().map_or_else(unreadable, |error| ExportError::Connection(*error)));
            }
        };
        Ok(Self { status: head.status, headers: head.headers, trailers, body })
    }

    /// Whether the collector accepted everything.
    ///
    /// # Errors
    /// [`ExportError`] if it did not.
    pub(super) fn check(&self, protocol: Protocol) -> Result<(), ExportError> {
        let message = match protocol {
            Protocol::Http if self.status.is_success() => Cow::from(&self.body[..]),
            Protocol::Grpc if self.status.is_success() => {
                self.check_grpc_status()?;
                grpc_message(&self.body)
            }
            _ => return Err(self.http_error()),
        };
        // The responses for metrics and logs have the same fields under the same numbers. A response that cannot be
        // decoded, such as one in JSON, says by its status that the request was accepted.
        let partial =
            ExportTraceServiceResponse::decode(&message[..]).ok().and_then(|response| response.partial_success);
        match partial.map(|partial| (usize::try_from(partial.rejected_spans).unwrap_or(0), partial.error_message)) {
            Some((rejected, message)) if rejected > 0 => Err(ExportError::Rejected { rejected, message }),
            _ => Ok(()),
        }
    }

    fn http_error(&self) -> ExportError {
        let is_protobuf = self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-protobuf");
        let message = match Status::decode(&self.body[..]) {
            Ok(status) if is_protobuf => status.message,
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let retry_after = self.headers.get(header::RETRY_AFTER).and_then(|value| delay(value.to_str().ok()?));
        ExportError::Http { status: self.status, message, retry_after }
    }

    /// The status is in the trailers, or in the headers of a response without a body.
    fn check_grpc_status(&self) -> Result<(), ExportError> {
        let text = |name: &str| {
            let value = self.trailers.get(name).or_else(|| self.headers.get(name))?;
            value.to_str().ok()
        };
        let Some(code) = text("grpc-status").and_then(|code| code.parse().ok()) else {
            return Err(ExportError::Response("it has no grpc-status".to_owned()));
        };
        if code == 0 {
            return Ok(());
        }
        let message = text("grpc-message").map(|message| percent_decode_str(message).decode_utf8_lossy().into_owned());
        let retry_after = text("grpc-status-details-bin").and_then(retry_info);
        Err(ExportError::Grpc { code, message: message.unwrap_or_default(), retry_after })
    }
}

/// The message of a gRPC response. A collector compresses it as the request was, whatever the request accepts.
fn grpc_message(body: &[u8]) -> Cow<'_, [u8]> {
    match body.split_at_checked(GRPC_HEAD) {
        Some(([1, ..], compressed)) => {
            let mut plain = Vec::new();
            // A response that cannot be decompressed says by its status that the request was accepted.
            let limit = u64::try_from(RESPONSE_BYTES).unwrap_or(u64::MAX);
            let _ = GzDecoder::new(compressed).take(limit).read_to_end(&mut plain);
            plain.into()
        }
        Some((_, plain)) => plain.into(),
        None => Cow::default(),
    }
}

/// The delay in a `Retry-After` header: seconds, or a date.
fn delay(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    // An HTTP date is also one of RFC 2822. `SystemTime`, because `Utc::now` is reserved for `Clock`.
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some((date.to_utc() - DateTime::<Utc>::from(SystemTime::now())).to_std().unwrap_or_default())
}

/// The delay of a `google.rpc.RetryInfo` in the details of a status.
fn retry_info(details: &str) -> Option<Duration> {
    let details = BASE64_STANDARD_NO_PAD.decode(details.trim_end_matches('=')).ok()?;
    let status = Status::decode(&details[..]).ok()?;
    let any = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&any.value[..]).ok()?.retry_delay.unwrap_or_default();
    Some(Duration::new(delay.seconds.try_into().ok()?, delay.nanos.try_into().ok()?))
}

/// `google.rpc.Status`, of which opentelemetry-proto has no type.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::super::error::Retry;
    use super::*;

    fn received(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Received {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
        let status = StatusCode::from_u16(status).unwrap();
        Received { status, headers, trailers: HeaderMap::new(), body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn a_delay_is_a_number_of_seconds_or_a_date() {
        assert_eq!(delay("7"), Some(Duration::from_secs(7)));
        assert_eq!(delay("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(delay("soon"), None);
    }

    #[test]
    fn the_cause_of_an_http_error_is_its_body() {
        let busy = received(503, &[("retry-after", "3")], b"over quota").check(Protocol::Http).unwrap_err();
        assert_eq!(busy.to_string(), "response status 503 Service Unavailable: over quota");
        assert_eq!(busy.retry(), Retry::After(Duration::from_secs(3)));

        let status = Status { message: "no such tenant".to_owned(), details: Vec::new() }.encode_to_vec();
        let wrong = received(400, &[("content-type", "application/x-protobuf")], &status).check(Protocol::Http);
        assert_eq!(wrong.unwrap_err().to_string(), "response status 400 Bad Request: no such tenant");
    }

    #[test]
    fn a_grpc_error_has_its_message_and_its_delay() {
        let retry_delay = Some(Delay { seconds: 1, nanos: 500_000_000 });
        let value = RetryInfo { retry_delay }.encode_to_vec();
        let details = vec![Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value }];
        let details = BASE64_STANDARD_NO_PAD.encode(Status { message: String::new(), details }.encode_to_vec());
        let headers = [("grpc-status", "8"), ("grpc-message", "over%20quota"), ("grpc-status-details-bin", &details)];

        let error = received(200, &headers, b"").check(Protocol::Grpc).unwrap_err();

        assert_eq!(error.to_string(), "gRPC status RESOURCE_EXHAUSTED: over quota");
        assert_eq!(error.retry(), Retry::After(Duration::from_millis(1500)));
    }

    #[test]
    fn a_response_without_a_grpc_status_is_an_error() {
        assert!(received(200, &[], b"").check(Protocol::Grpc).is_err());
        assert!(received(200, &[("grpc-status", "0")], b"").check(Protocol::Grpc).is_ok());
    }

    #[test]
    fn items_that_a_collector_rejects_are_lost() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();

        let framed = |is_compressed: u8, message: &[u8]| {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            [&[is_compressed][..], &length, message].concat()
        };
        let grpc = [("grpc-status", "0")];
        for error in [
            received(200, &[], &response).check(Protocol::Http),
            received(200, &grpc, &framed(0, &response)).check(Protocol::Grpc),
            received(200, &grpc, &framed(1, &gzip(&response).unwrap())).check(Protocol::Grpc),
        ] {
            let error = error.unwrap_err();
            assert_eq!(error.to_string(), "the collector rejected 3 of them: too old");
            assert_eq!((error.lost(10), error.retry()), (3, Retry::Never));
        }
        let unreadable = received(200, &grpc, &framed(1, b"not gzip")).check(Protocol::Grpc);
        assert!(unreadable.is_ok());
    }
}
