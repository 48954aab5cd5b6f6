//! TLS to a collector.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("{variable} names {}, which {fault}", path.display())]
    File { variable: String, path: PathBuf, fault: PemFault },
    #[error("{0} has a certificate or a key itself as its value, not the path of a file")]
    Content(String),
    #[error("the system has no trusted certificates")]
    NoRoots,
    #[error("the certificates cannot be used: {0}")]
    Rejected(#[from] rustls::Error),
}

/// Why a PEM file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum PemFault {
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("contains no {0}")]
    Lacks(&'static str),
    #[error("is not valid PEM")]
    Invalid,
}

/// A PEM file, and the variable that names it.
#[derive(Debug)]
pub(super) struct PemFile<'a> {
    pub(super) variable: String,
    pub(super) path: &'a Path,
}

impl PemFile<'_> {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        const KIND: &str = "certificate";
        let failed = |error| self.failed(KIND, error);
        let certificates: Vec<_> =
            CertificateDer::pem_file_iter(self.path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        if certificates.is_empty() { Err(self.failed(KIND, pem::Error::NoItemsFound)) } else { Ok(certificates) }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_file(self.path).map_err(|error| self.failed("private key", error))
    }

    fn failed(&self, kind: &'static str, error: pem::Error) -> TlsError {
        // The value of a variable whose name promises no secret must not be logged if it is one.
        if self.path.to_string_lossy().contains("-----BEGIN") {
            return TlsError::Content(self.variable.clone());
        }
        let fault = match error {
            pem::Error::Io(error) => PemFault::Unreadable(error),
            pem::Error::NoItemsFound => PemFault::Lacks(kind),
            // Its text may contain bytes of the file.
            _ => PemFault::Invalid,
        };
        TlsError::File { variable: self.variable.clone(), path: self.path.to_owned(), fault }
    }
}

/// The files that TLS uses, as the variables name them.
#[derive(Debug, Default)]
pub(super) struct TlsFiles<'a> {
    /// Authorities that are trusted instead of those of the system.
    pub(super) authorities: Option<PemFile<'a>>,
    /// Certificate and private key of this client.
    pub(super) identity: Option<(PemFile<'a>, PemFile<'a>)>,
}

impl TlsFiles<'_> {
    /// The configuration of a client that offers this protocol of the application layer.
    pub(super) fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(self.roots()?);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                builder.with_client_auth_cert(certificate.certificates()?, key.private_key()?)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(file) => {
                for certificate in file.certificates()? {
                    roots.add(certificate)?;
                }
            }
            None => {
                // Some systems have certificates that cannot be parsed; one that can suffices.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
    }
}
