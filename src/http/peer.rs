//! Peers of connections: which peers are trusted, and the address of the client behind a trusted proxy.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The peer of a request's connection, as handlers extract it. `None` unless the request has a header whose meaning
/// depends on the peer: `attach_peer_address` in `server.rs` adds it only to such requests.
pub(super) type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// The address in an extracted peer.
pub(super) fn peer_address(peer: &Peer) -> Option<IpAddr> {
    peer.as_ref().map(|Extension(ConnectInfo(peer))| peer.ip())
}

/// The networks whose headers about their clients are trusted: `traceparent`, `X-Forwarded-For`, `X-Forwarded-Host`.
#[derive(Debug, Clone, Default)]
pub struct TrustedPeers(Arc<[IpNet]>);

impl TrustedPeers {
    /// Trusts the peers in these networks; the default trusts none.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether the peer is in one of the networks. False for an unknown peer.
    pub(super) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        // A dual-stack listener reports IPv4 peers as IPv4-mapped IPv6 addresses, which no IPv4 network contains.
        let peer = peer.map(|peer| peer.to_canonical());
        peer.is_some_and(|peer| self.0.iter().any(|network| network.contains(&peer)))
    }

    /// The address of the client: that of the peer, or if the peer is a trusted proxy, the last address in
    /// `X-Forwarded-For` that is not trusted, or the first if all are. Each proxy appends the address of its own peer,
    /// so the addresses before that of the client were sent by the client itself, and may be false. `None` if the peer
    /// is unknown.
    pub(super) fn client_address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut address = peer?.to_canonical();
        let lines = headers.get_all(FORWARDED_FOR).iter().rev().map(|line| line.to_str().unwrap_or_default());
        // Ends at an entry that is no address: what comes before it cannot be attributed to a trusted proxy.
        let mut forwarded = lines.flat_map(|line| line.rsplit(',')).map_while(|entry| address_in(entry.trim()));
        while self.trusts(Some(address))
            && let Some(previous) = forwarded.next()
        {
            address = previous;
        }
        Some(address)
    }
}

/// The address in an entry of `X-Forwarded-For`, to which some proxies add the port. `None` if the entry is no address.
fn address_in(entry: &str) -> Option<IpAddr> {
    let bare = entry.parse().ok();
    let address = bare.or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn client_of_a_trusted_proxy_is_the_last_untrusted_address() {
        let trusted = TrustedPeers::new(&["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        for (peer, lines, expected) in [
            ("203.0.113.1", &["198.51.100.1"][..], "203.0.113.1"),
            ("::ffff:203.0.113.1", &[], "203.0.113.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.9", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("::1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::1", &["192.0.2.9, unknown, 10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["192.0.2.9,"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(lines.iter().map(|line| (Some(FORWARDED_FOR), HeaderValue::from_static(line))));
            let client = trusted.client_address(Some(peer.parse().unwrap()), &headers);
            assert_eq!(client, Some(expected.parse().unwrap()), "{peer} {lines:?}");
        }
        assert_eq!(trusted.client_address(None, &HeaderMap::new()), None);
    }
}
