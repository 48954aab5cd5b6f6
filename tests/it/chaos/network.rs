//! A network namespace that is connected by one link, which can go down.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// Removed when dropped.
pub(super) struct Network {
    /// Name of the namespace.
    pub(super) name: String,
    link: String,
    /// Address of this side of the link.
    pub(super) outside: IpAddr,
    /// Address of the namespace.
    pub(super) inside: IpAddr,
}

impl Network {
    /// Creates the namespace and its link.
    ///
    /// # Panics
    /// If `ip` is missing or not permitted: a run without this fault would prove less than it says.
    pub(super) fn create() -> Self {
        let id = std::process::id();
        let [_, _, third, fourth] = (id << 2).to_be_bytes();
        let address = |last: u8| IpAddr::V4(Ipv4Addr::new(10, 213, third, fourth | last));
        let (outside, inside) = (address(1), address(2));
        let network = Self { name: format!("chaos{id}"), link: format!("chaos{id}o"), outside, inside };
        let (name, link, peer) = (&network.name, &network.link, format!("chaos{id}i"));
        ip(&format!("netns add {name}"));
        ip(&format!("link add {link} type veth peer name {peer} netns {name}"));
        ip(&format!("address add {outside}/30 dev {link}"));
        ip(&format!("-n {name} address add {inside}/30 dev {peer}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} link set {peer} up"));
        network.up();
        network
    }

    /// Packets in both directions vanish.
    pub(super) fn down(&self) {
        ip(&format!("link set {} down", self.link));
    }

    pub(super) fn up(&self) {
        ip(&format!("link set {} up", self.link));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The link goes with the namespace.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}

#[track_caller]
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("ip is installed: scripts/install.sh test");
    assert!(
        output.status.success(),
        "`ip {arguments}` failed; the chaos test needs the right to create network namespaces (run it as root): {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
