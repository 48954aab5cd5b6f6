//! Where and how the telemetry of one signal is sent.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{InvalidUri, Scheme};
use tokio_rustls::rustls::ClientConfig;

use super::super::dropped::Signal;
use super::super::metric_label::Label as _;
use super::tls::{PemFile, TlsError, TlsFiles};
use super::variables::{Variables, pairs};

/// Maximum time of one export, with all its attempts: the default of the specification.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Protobuf over HTTP/1.1.
    Http,
    /// gRPC, over HTTP/2.
    Grpc,
}

/// Where and how the telemetry of one signal is sent.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) protocol: Protocol,
    /// Scheme, host and port, and the path of the signal.
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) is_compressed: bool,
    /// `None` without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Target {
    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 })
    }
}

impl fmt::Debug for Target {
    /// Without the headers, which contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.protocol, self.uri)
    }
}

impl Signal {
    /// The signal in the names of variables.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Spans => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    fn http_path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    fn grpc_path(self) -> &'static str {
        match self {
            Self::Spans => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
enum TargetError {
    #[error("it is not a URL")]
    Url(#[from] InvalidUri),
    #[error("its scheme is not http or https")]
    Scheme,
    #[error("it has no host")]
    Host,
    #[error("user and password belong in OTEL_EXPORTER_OTLP_HEADERS")]
    UserInfo,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Reads the target of a signal. `None`, with a warning, if it cannot be used.
pub(super) fn read(variables: &Variables, signal: Signal) -> Option<Target> {
    let prefix = signal.variable();
    let protocol = protocol(variables, prefix);
    let headers = headers(variables, prefix);
    let timeout = timeout(variables, prefix);
    let is_compressed = is_compressed(variables, prefix);
    let names = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"];
    let [authorities, certificate, key] = names.map(|option| variables.of_signal(prefix, option));
    // Read for both protocols, so that it is no unknown variable, but only gRPC has endpoints without a scheme.
    let insecure = format!("OTEL_EXPORTER_OTLP_{prefix}_INSECURE");
    let is_insecure = variables.switch(&insecure).or_else(|| variables.switch("OTEL_EXPORTER_OTLP_INSECURE"));
    let (variable, uri) = uri(variables, signal, protocol, is_insecure == Some(true));

    if certificate.is_some() != key.is_some() {
        for (name, _) in certificate.iter().chain(&key) {
            variables.warn(format!("{name} has no effect, since a certificate and its key must both be set"));
        }
    }
    if uri.as_ref().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTP)) {
        for (name, _) in [&authorities, &certificate, &key].into_iter().flatten() {
            variables.warn(format!("{name} has no effect on {}, since {variable} is not https", signal.as_str()));
        }
    }
    let [authorities, certificate, key] = [authorities, certificate, key]
        .map(|file| file.map(|(variable, path)| PemFile { variable, path: Path::new(path) }));
    let files = TlsFiles { authorities, identity: certificate.zip(key) };
    let target = uri.and_then(|uri| {
        let application: &[u8] = if protocol == Protocol::Grpc { b"h2" } else { b"http/1.1" };
        let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
        let tls = is_secure.then(|| files.client_config(application)).transpose()?.map(Arc::new);
        Ok(Target { protocol, uri, headers, timeout, is_compressed, tls })
    });
    let warn = |error: TargetError| {
        // The fault of a file names the variable of the file.
        let named = if matches!(error, TargetError::Tls(TlsError::File { .. } | TlsError::Content(_))) {
            String::new()
        } else {
            format!("{variable}: ")
        };
        variables.warn(format!("{named}{error}; {} are not exported", signal.as_str()));
    };
    target.map_err(warn).ok()
}

/// The URI of a signal, and the variable that names it.
fn uri(
    variables: &Variables,
    signal: Signal,
    protocol: Protocol,
    is_insecure: bool,
) -> (String, Result<Uri, TargetError>) {
    let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable());
    let (general, port) = ("OTEL_EXPORTER_OTLP_ENDPOINT", if protocol == Protocol::Grpc { 4317 } else { 4318 });
    // Both are read, whichever is used.
    let (named, base) = (variables.text(&own), variables.text(general));
    let default = format!("http://localhost:{port}");
    let is_own = named.is_some();
    let text = named.or(base).unwrap_or(&default);
    let uri = endpoint(text, protocol, is_insecure).and_then(|(scheme, authority, path)| {
        let path = match protocol {
            Protocol::Grpc => signal.grpc_path().to_owned(),
            // The endpoint of one signal is used as it is.
            Protocol::Http if is_own => path,
            Protocol::Http => {
                let (path, query) = path.find('?').map_or((&*path, ""), |at| path.split_at(at));
                format!("{}{}{query}", path.trim_end_matches('/'), signal.http_path())
            }
        };
        Ok(Uri::from_str(&format!("{scheme}://{authority}{path}"))?)
    });
    (if is_own { own } else { general.to_owned() }, uri)
}

/// Scheme, authority, and path with query of an endpoint.
fn endpoint(text: &str, protocol: Protocol, is_insecure: bool) -> Result<(Scheme, String, String), TargetError> {
    let assumed = if is_insecure { "http" } else { "https" };
    let uri = match text.contains("://") {
        true => Uri::from_str(text)?,
        false if protocol == Protocol::Grpc => Uri::from_str(&format!("{assumed}://{text}"))?,
        false => return Err(TargetError::Scheme),
    };
    let known = |scheme: &&Scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS;
    let scheme = uri.scheme().filter(known).ok_or(TargetError::Scheme)?;
    let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(TargetError::Host)?;
    if authority.as_str().contains('@') {
        return Err(TargetError::UserInfo);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((scheme.clone(), authority.to_string(), path.to_owned()))
}

fn protocol(variables: &Variables, prefix: &str) -> Protocol {
    match variables.of_signal(prefix, "PROTOCOL") {
        None | Some((_, "http/protobuf")) => Protocol::Http,
        Some((_, "grpc")) => Protocol::Grpc,
        Some((name, other)) => {
            variables.reject(&name, other, "http/protobuf or grpc");
            Protocol::Http
        }
    }
}

fn is_compressed(variables: &Variables, prefix: &str) -> bool {
    match variables.of_signal(prefix, "COMPRESSION") {
        None | Some((_, "none")) => false,
        Some((_, "gzip")) => true,
        Some((name, other)) => {
            variables.reject(&name, other, "gzip or none");
            false
        }
    }
}

fn timeout(variables: &Variables, prefix: &str) -> Duration {
    let general = variables.milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT");
    variables.milliseconds(&format!("OTEL_EXPORTER_OTLP_{prefix}_TIMEOUT")).or(general).unwrap_or(TIMEOUT)
}

fn headers(variables: &Variables, prefix: &str) -> HeaderMap {
    let Some((variable, text)) = variables.of_signal(prefix, "HEADERS") else { return HeaderMap::new() };
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_str(&name).ok()?, value))
    };
    let headers = pairs(text).and_then(|pairs| pairs.into_iter().map(header).collect());
    headers.unwrap_or_else(|| {
        // The value is a secret, so it is not repeated.
        variables.warn(format!("{variable} is not a list of name=value pairs, and has no effect"));
        HeaderMap::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(signal: Signal, pairs: &[(&str, &str)]) -> (Option<Target>, Vec<String>) {
        let owned = pairs.iter().map(|&(name, value)| (format!("OTEL_EXPORTER_OTLP_{name}"), value.to_owned()));
        let variables = Variables::of(owned);
        let target = super::read(&variables, signal);
        (target, variables.into_warnings())
    }

    #[test]
    fn a_base_endpoint_is_extended_and_one_of_a_signal_is_used_as_it_is() {
        for (name, value, protocol, expected) in [
            ("ENDPOINT", "http://c:4318", "http/protobuf", "http://c:4318/v1/logs"),
            ("ENDPOINT", "http://c/otlp/", "http/protobuf", "http://c/otlp/v1/logs"),
            ("LOGS_ENDPOINT", "http://c/in?key=1", "http/protobuf", "http://c/in?key=1"),
            ("LOGS_ENDPOINT", "http://c", "http/protobuf", "http://c/"),
            ("TRACES_ENDPOINT", "http://c", "http/protobuf", "http://localhost:4318/v1/logs"),
            (
                "ENDPOINT",
                "http://c:4317",
                "grpc",
                "http://c:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            ),
            (
                "ENDPOINT",
                "[::1]:4317",
                "grpc",
                "http://[::1]:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            ),
        ] {
            let (target, _) = read(Signal::Logs, &[(name, value), ("PROTOCOL", protocol), ("INSECURE", "true")]);
            assert_eq!(target.unwrap().uri.to_string(), expected);
        }
    }

    #[test]
    fn an_unusable_endpoint_is_a_warning_without_its_password() {
        for endpoint in ["collector:4318", "ftp://c", "http://user:hunter2@c", "https://", "not a url"] {
            let (target, warnings) = read(Signal::Spans, &[("ENDPOINT", endpoint)]);
            assert!(target.is_none(), "{endpoint}");
            let [warning] = &warnings[..] else { panic!("{endpoint}: {warnings:?}") };
            assert!(
                warning.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: ") && warning.ends_with("spans are not exported")
            );
            assert!(!warning.contains("hunter2"));
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_a_warning() {
        let (target, warnings) = read(Signal::Spans, &[("ENDPOINT", "https://c"), ("CERTIFICATE", "/no/such.pem")]);

        assert!(target.is_none());
        let expected = "OTEL_EXPORTER_OTLP_CERTIFICATE names /no/such.pem, which cannot be read: ";
        assert!(warnings[0].starts_with(expected), "{warnings:?}");
    }

    #[test]
    fn a_key_in_place_of_its_path_is_not_shown() {
        let key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";
        let (target, warnings) = read(Signal::Spans, &[("ENDPOINT", "https://c"), ("CERTIFICATE", key)]);

        assert!(target.is_none());
        assert!(
            warnings[0].starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE has a certificate or a key itself"),
            "{warnings:?}"
        );
        assert!(!warnings[0].contains("hunter2"));
    }

    #[test]
    fn a_certificate_without_https_is_a_warning() {
        let (target, warnings) = read(Signal::Logs, &[("ENDPOINT", "http://c"), ("CERTIFICATE", "/no/such.pem")]);

        assert!(target.is_some());
        let expected =
            "OTEL_EXPORTER_OTLP_CERTIFICATE has no effect on logs, since OTEL_EXPORTER_OTLP_ENDPOINT is not https";
        assert_eq!(warnings, [expected]);
    }

    #[test]
    fn the_path_of_a_signal_comes_before_the_query() {
        let (target, _) = read(Signal::Spans, &[("ENDPOINT", "https://c/otlp/?key=a/b")]);
        assert_eq!(target.unwrap().uri, "https://c/otlp/v1/traces?key=a/b");
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let (target, _) = read(Signal::Spans, &[("HEADERS", "authorization=Bearer%20hunter2,x-tenant=a")]);

        let target = target.unwrap();
        assert_eq!(target.headers["authorization"], "Bearer hunter2");
        assert_eq!(target.headers["x-tenant"], "a");
        assert!(!format!("{target:?}").contains("hunter2"));
        let (target, warnings) = read(Signal::Spans, &[("HEADERS", "Bearer hunter2")]);
        assert!(target.unwrap().headers.is_empty());
        assert!(warnings[0].starts_with("OTEL_EXPORTER_OTLP_HEADERS") && !warnings[0].contains("hunter2"));
    }

    #[test]
    fn unknown_options_are_warnings_and_the_defaults_apply() {
        let (target, warnings) =
            read(Signal::Metrics, &[("PROTOCOL", "http/json"), ("METRICS_COMPRESSION", "zstd"), ("TIMEOUT", "-1")]);

        let target = target.unwrap();
        assert_eq!((target.protocol, target.is_compressed, target.timeout), (Protocol::Http, false, TIMEOUT));
        for name in
            ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_TIMEOUT"]
        {
            assert!(warnings.iter().any(|warning| warning.starts_with(name)), "{name} in {warnings:?}");
        }
    }
}
