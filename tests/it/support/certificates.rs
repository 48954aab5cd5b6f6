//! Certificates for one test, made with `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// A certificate authority that signs server certificates.
pub(crate) struct CertificateAuthority {
    directory: TempDir,
}

/// A server certificate and its private key.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl CertificateAuthority {
    pub(crate) fn new() -> Self {
        let authority = Self { directory: TempDir::new().unwrap() };
        // A unique subject, so that no certificate of another authority matches.
        let name = format!("/CN={}", authority.directory.path().file_name().unwrap().display());
        let request = ["req", "-x509", "-days", "2", "-subj", &name, "-keyout", "ca.key", "-out", "ca.pem"];
        authority.openssl(&[&request[..], &KEY].concat());
        authority
    }

    /// The CA certificate, for clients to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Issues a server certificate for this subject alternative name, such as `IP:127.0.0.1`.
    pub(crate) fn issue(&self, name: &str) -> Identity {
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
