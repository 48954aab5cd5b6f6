//! The origins (RFC 6454) of the web pages that may call the API from a browser.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::uri::Authority;
use serde::Deserialize;

/// The entry that allows pages of every origin.
const ANY: &str = "*";

/// The entry that allows pages served from this machine, on any port.
const LOOPBACK: &str = "loopback";

/// The origins whose pages may call the API, for CORS and for WebSockets alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct AllowedOrigins {
    any: bool,
    loopback: bool,
    /// Single origins, as browsers send them: lower case, no default port, no path.
    exact: Vec<String>,
}

/// An entry of `cors_allowed_origins` that would never match the `Origin` header of a browser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin: expected a scheme, a host and an optional port, no path or wildcard")]
pub struct OriginError(String);

impl AllowedOrigins {
    /// Pages served from this machine: `localhost`, its subdomains and loopback addresses, on any port.
    #[must_use]
    pub fn loopback() -> Self {
        Self { loopback: true, ..Self::default() }
    }

    /// Parses entries such as `https://films.example`, `loopback` or `*`, and writes them as browsers do.
    ///
    /// # Errors
    /// [`OriginError`] for an entry that no browser would ever send.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let mut origins = Self::default();
        for entry in entries {
            match entry {
                ANY => origins.any = true,
                LOOPBACK => origins.loopback = true,
                _ => origins.exact.push(serialized(entry).ok_or_else(|| OriginError(entry.to_owned()))?),
            }
        }
        Ok(origins)
    }

    /// Whether pages of every origin are allowed.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a page of this origin may call the API. `origin` is the value of the `Origin` header.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.any
            || self.exact.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
            || self.loopback && is_loopback(origin)
    }
}

impl TryFrom<Vec<String>> for AllowedOrigins {
    type Error = OriginError;

    fn try_from(entries: Vec<String>) -> Result<Self, OriginError> {
        Self::parse(entries.iter().map(String::as_str))
    }
}

/// An origin as browsers send it: scheme and host in lower case, and the port only if it is not the scheme's default.
/// `None` if no browser sends such an origin: one with a wildcard, a path, or a host with characters outside of ASCII,
/// for which browsers send `xn--…`.
fn serialized(entry: &str) -> Option<String> {
    let (scheme, rest) = entry.split_once("://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        || !scheme.bytes().all(is_scheme)
        || !rest.is_ascii()
        || rest.contains(['*', '@'])
    {
        return None;
    }
    let authority: Authority = rest.parse().ok()?;
    let has_port = rest.len() > authority.host().len();
    let (scheme, host) = (scheme.to_ascii_lowercase(), canonical_host(authority.host())?);
    match authority.port_u16() {
        _ if host.is_empty() => None,
        // What follows the host is not a port number.
        None if has_port => None,
        Some(port) if default_port(&scheme) != Some(port) => Some(format!("{scheme}://{host}:{port}")),
        _ => Some(format!("{scheme}://{host}")),
    }
}

/// A host as browsers send it: a name in lower case, an IP address in its canonical form. `None` if it looks like an
/// address but is not one.
fn canonical_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    // Browsers take a host whose last label is a number for an IPv4 address, and reject it if it is not a valid one.
    let is_address = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if is_address && !host.is_empty() {
        return host.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    Some(host.to_ascii_lowercase())
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Whether a page of this origin is served from this machine.
fn is_loopback(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    // A browser sends no user name in an origin, so this header is not from a browser.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // Browsers resolve every name below .localhost to the machine itself (RFC 6761).
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entry: &str) -> AllowedOrigins {
        AllowedOrigins::parse([entry]).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn entries_are_normalised_to_what_browsers_send() {
        for (entry, origin) in [
            ("https://films.example", "https://films.example"),
            ("https://films.example/", "https://films.example"),
            ("HTTPS://Films.Example:443/", "https://films.example"),
            ("http://films.example:80", "http://films.example"),
            ("http://films.example:443", "http://films.example:443"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
            ("tauri://localhost", "tauri://localhost"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ] {
            assert_eq!(allowed(entry).exact, [origin], "{entry}");
            assert!(allowed(entry).allows(origin), "{entry}");
        }
    }

    #[test]
    fn entries_that_can_never_match_are_errors() {
        for entry in [
            "",
            "films.example",
            "localhost:5173",
            "null",
            "https://*.films.example",
            "http://localhost:*",
            "https://",
            "https:///",
            "://films.example",
            "https://films.example/app",
            "https://films.example//",
            "https://films.example?x",
            "https://films.example#x",
            "https://user@films.example",
            "https://films.example:port",
            "https://films.example:99999",
            "https://filme über.example",
            "https://fílms.example",
            "http://[zz]",
            "http://1.2.3.4.5",
            "1http://films.example",
        ] {
            assert!(AllowedOrigins::parse([entry]).is_err(), "{entry}");
        }
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let origins = AllowedOrigins::parse(["https://films.example", "http://films.example:8080"]).unwrap();
        for origin in ["https://films.example", "http://films.example:8080"] {
            assert!(origins.allows(origin), "{origin}");
        }
        for origin in
            ["http://films.example", "https://films.example:8443", "https://films.example.org", "null", "", "loopback"]
        {
            assert!(!origins.allows(origin), "{origin}");
        }
        assert!(allowed("*").allows("https://anything.example") && allowed("*").is_any());
        assert!(!AllowedOrigins::default().allows("http://localhost"));
    }

    #[test]
    fn loopback_is_this_machine_on_any_port() {
        let origins = allowed("loopback");
        for origin in [
            "http://localhost",
            "http://localhost:5173",
            "https://localhost:3000",
            "http://app.localhost:5173",
            "http://127.0.0.1:8080",
            "http://127.3.2.1",
            "http://[::1]:4200",
        ] {
            assert!(origins.allows(origin), "{origin}");
        }
        for origin in [
            "http://localhost.example",
            "http://notlocalhost",
            "http://localhost@films.example",
            "http://127.0.0.1.films.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "localhost",
            "null",
            "*",
        ] {
            assert!(!origins.allows(origin), "{origin}");
        }
        assert_eq!(origins, AllowedOrigins::loopback());
    }
}
