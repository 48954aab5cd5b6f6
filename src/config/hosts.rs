//! The hosts under which clients may address a listener.
//!
//! Checking the `Host` header of requests (RFC 9110, section 7.2) protects from DNS rebinding. In this attack, a web
//! page lets the name of its own site resolve to this machine, so that the browser takes this service for a part of
//! that site. The browser still sends the name of the site as the host, which is not allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;

/// The entry that allows every host.
const ANY: &str = "*";

/// The host of a URL or of a `Host` header, without its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name in the case in which it was sent, without a trailing dot.
    Name(&'a str),
    /// An IP address. An IPv4 address that is written as an IPv6 address (`::ffff:127.0.0.1`) is stored as IPv4, so
    /// that both forms are equal.
    Address(IpAddr),
}

impl<'a> Host<'a> {
    /// Parses a host with an optional port, such as `films.example`, `127.0.0.1:8080` or `[::1]:8080`. `None` for any
    /// other text, such as an empty host, an IPv6 address without brackets, or a host with a user (`user@host`).
    #[must_use]
    pub fn of_authority(authority: &'a str) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => (Self::Address(address.parse::<Ipv6Addr>().ok()?.to_canonical()), port),
            None => {
                let end = authority.find(':').unwrap_or(authority.len());
                (Self::name_or_ipv4(&authority[..end])?, &authority[end..])
            }
        };
        // The digits may be missing after the colon (RFC 3986, section 3.2.3).
        let is_port =
            |port: &str| port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        (port.is_empty() || is_port(port)).then_some(host)
    }

    /// Parses a host that is a name or an IPv4 address, without a port. `None` if it is neither.
    fn name_or_ipv4(host: &'a str) -> Option<Self> {
        // The characters that RFC 3986 allows in a name (reg-name).
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
        let name = host.strip_suffix('.').unwrap_or(host);
        if name.split('.').any(str::is_empty) || !name.bytes().all(is_name_byte) {
            return None;
        }
        // To browsers, a host whose last label is a number is an IPv4 address or invalid (WHATWG URL Standard). They
        // always send the address as four numbers, so short forms such as `127.1` are rejected.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return name.parse::<Ipv4Addr>().ok().map(|address| Self::Address(address.into()));
        }
        Some(Self::Name(name))
    }

    /// Whether the host is local, which no web site on the internet can be: a loopback address, `localhost` or a name
    /// below it (RFC 6761), or a name without a dot, which only the resolver of the local network knows.
    fn is_local(self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => !name.contains('.') || is_in_domain(name, "localhost"),
        }
    }
}

/// Hosts under which clients may address a listener. Local hosts are always allowed: loopback addresses, `localhost`
/// and its subdomains, and names without a dot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct AllowedHosts {
    /// Whether every host is allowed.
    any: bool,
    addresses: Vec<IpAddr>,
    names: Vec<String>,
    /// Domains whose subdomains are allowed, but not the domains themselves.
    domains: Vec<String>,
}

/// An entry of `allowed_hosts` that no host can match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host: expected a name such as films.example or *.films.example, or an IP address; no port")]
pub struct HostError(String);

impl AllowedHosts {
    /// Parses entries such as `films.example`, `*.films.example` (its subdomains), `10.0.0.1`, `::1` or `*` (all).
    ///
    /// # Errors
    /// [`HostError`] for an entry that no host can match.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, HostError> {
        let mut hosts = Self::default();
        for entry in entries {
            let error = || HostError(entry.to_owned());
            if entry == ANY {
                hosts.any = true;
            } else if let Ok(address) = entry.parse::<IpAddr>() {
                hosts.addresses.push(address.to_canonical());
            } else {
                let (parsed, host) = match entry.strip_prefix("*.") {
                    Some(domain) => (&mut hosts.domains, domain),
                    None => (&mut hosts.names, entry),
                };
                // An IPv6 address has colons too, but inside its brackets.
                let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
                // RFC 3986 allows `*` in a name, but here it would look like a wildcard that is not supported.
                match Host::of_authority(host).filter(|_| !has_port && !host.contains('*')) {
                    Some(Host::Name(name)) => parsed.push(name.to_owned()),
                    // Not after `*.`, since an address has no subdomains.
                    Some(Host::Address(address)) if host == entry => hosts.addresses.push(address),
                    _ => return Err(error()),
                }
            }
        }
        Ok(hosts)
    }

    /// The hosts that are allowed at a listener on `address` if `allowed_hosts` is not set: on a loopback address only
    /// local hosts, otherwise every host, since only the operator knows by which names other machines reach the
    /// listener.
    #[must_use]
    pub fn default_for(address: SocketAddr) -> Self {
        Self { any: !address.ip().to_canonical().is_loopback(), ..Self::default() }
    }

    /// Whether clients may address the listener under this host.
    #[must_use]
    pub fn allows(&self, host: Host<'_>) -> bool {
        self.any
            || host.is_local()
            || match host {
                Host::Address(address) => self.addresses.contains(&address),
                Host::Name(name) => {
                    self.names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
                        || self.domains.iter().any(|domain| is_in_domain(name, domain) && name.len() > domain.len())
                }
            }
    }
}

impl TryFrom<Vec<String>> for AllowedHosts {
    type Error = HostError;

    fn try_from(entries: Vec<String>) -> Result<Self, HostError> {
        Self::parse(entries.iter().map(String::as_str))
    }
}

/// Whether `name` is `domain` or one of its subdomains, ignoring case.
fn is_in_domain(name: &str, domain: &str) -> bool {
    let start = name.len().checked_sub(domain.len());
    start.is_some_and(|start| {
        name.is_char_boundary(start)
            && name[start..].eq_ignore_ascii_case(domain)
            && (start == 0 || name[..start].ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(hosts: &AllowedHosts, authority: &str) -> bool {
        Host::of_authority(authority).is_some_and(|host| hosts.allows(host))
    }

    #[test]
    fn loopback_listeners_allow_local_hosts_in_every_form() {
        let loopback = AllowedHosts::default_for("127.0.0.1:8080".parse().unwrap());
        for local in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:8080",
            "page.localhost",
            "127.0.0.1",
            "127.9.8.7:1",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]:8080",
            "[::ffff:127.0.0.1]",
            "cinegraph:8080",
            "localhost:",
        ] {
            assert!(allows(&loopback, local), "{local}");
        }
        for other in [
            "films.example",
            "localhost.films.example",
            "127.0.0.1.films.example:8080",
            "notlocalhost.example",
            "10.0.0.1",
            "0.0.0.0:8080",
            "[::]",
            "[::ffff:10.0.0.1]:8080",
            "films.example.",
        ] {
            assert!(!allows(&loopback, other), "{other}");
        }
        for address in ["[::1]:80", "127.0.0.2:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(AllowedHosts::default_for(address.parse().unwrap()), loopback, "{address}");
        }
        for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"] {
            assert!(allows(&AllowedHosts::default_for(address.parse().unwrap()), "films.example"), "{address}");
        }
    }

    #[test]
    fn what_is_no_host_is_rejected() {
        for invalid in [
            "",
            ".",
            ":8080",
            "films.example:http",
            "a b",
            "user@localhost",
            "[::1",
            "::1",
            "[::1]8080",
            "[localhost]",
            "[::1%25lo]",
            "127.1",
            "2130706433",
            "1.2.3.4.5",
            "films.example/",
            "f\u{ef}lms",
            "a:1:2",
        ] {
            assert!(Host::of_authority(invalid).is_none(), "{invalid:?}");
        }
    }

    #[test]
    fn entries_are_names_subdomains_and_addresses() {
        let entries = ["Films.example", "*.films.example", "10.0.0.1", "::5", "[::6]", "xn--flms-tsa.example."];
        let hosts = AllowedHosts::parse(entries).unwrap();
        for allowed in [
            "films.EXAMPLE:443",
            "films.example.",
            "a.films.example",
            "a.b.films.example",
            "10.0.0.1:80",
            "[::5]",
            "[0::6]:80",
            "xn--flms-tsa.example",
            "localhost",
        ] {
            assert!(allows(&hosts, allowed), "{allowed}");
        }
        for other in ["example.com", "xfilms.example", "10.0.0.2", "[::7]", "films.example.evil.example"] {
            assert!(!allows(&hosts, other), "{other}");
        }
        let subdomains = AllowedHosts::parse(["*.films.example"]).unwrap();
        assert!(!allows(&subdomains, "films.example") && !allows(&subdomains, ".films.example"));
        assert!(allows(&AllowedHosts::parse(["*"]).unwrap(), "any.example"));
        for invalid in [
            "",
            "*.",
            "https://films.example",
            "films.example:8080",
            "films.example/",
            "f*.example",
            "*.10.0.0.1",
            "a.*.example",
            "10.0.0.0/8",
            "[::1]:80",
            "fi lms",
            "**",
            "film\u{e9}.example",
        ] {
            assert!(AllowedHosts::parse([invalid]).is_err(), "{invalid:?}");
        }
    }
}
