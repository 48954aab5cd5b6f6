//! Certificates of a test's own, by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// Who vouches for servers.
pub(crate) struct Authority {
    directory: TempDir,
}

/// What a server shows, and the key to it.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self { directory: TempDir::new().unwrap() };
        // No two are called the same.
        let name = format!("/CN={}", authority.directory.path().file_name().unwrap().display());
        let request = ["req", "-x509", "-days", "2", "-subj", &name, "-keyout", "ca.key", "-out", "ca.pem"];
        authority.openssl(&[&request[..], &KEY].concat());
        authority
    }

    /// What clients trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Vouches for a server of this name, such as `IP:127.0.0.1`.
    pub(crate) fn vouch_for(&self, name: &str) -> Identity {
        let request = ["req", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"];
        self.openssl(&[&request[..], &KEY].concat());
        fs::write(self.path("names"), format!("subjectAltName={name}")).unwrap();
        let sign = ["x509", "-req", "-days", "2", "-in", "server.csr", "-out", "server.pem", "-extfile", "names"];
        self.openssl(&[&sign[..], &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]].concat());
        Identity { certificate: self.path("server.pem"), key: self.path("server.key") }
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.directory.path()).join(name)
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.directory.path()).output();
        let output = output.expect("openssl is installed: scripts/install.sh test");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
