//! TLS to a collector.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("{} cannot be read as PEM: {source}", path.display())]
    File { path: PathBuf, source: pem::Error },
    #[error("{} contains no certificate", .0.display())]
    Empty(PathBuf),
    #[error("the system has no trusted certificates")]
    NoRoots,
    #[error("the certificates cannot be used: {0}")]
    Rejected(#[from] rustls::Error),
}

/// The files that TLS uses, as the variables name them.
#[derive(Debug, Default)]
pub(super) struct TlsFiles<'a> {
    /// Authorities that are trusted instead of those of the system.
    pub(super) authorities: Option<&'a Path>,
    /// Certificate and private key of this client.
    pub(super) identity: Option<(&'a Path, &'a Path)>,
}

impl TlsFiles<'_> {
    /// The configuration of a client that offers this protocol of the application layer.
    pub(super) fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(self.roots()?);
        let mut config = match self.identity {
            Some((certificate, key)) => {
                let parsed = PrivateKeyDer::from_pem_file(key);
                let parsed = parsed.map_err(|source| TlsError::File { path: key.to_owned(), source })?;
                builder.with_client_auth_cert(certificates(certificate)?, parsed)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        match self.authorities {
            Some(path) => {
                for certificate in certificates(path)? {
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if certificates.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(certificates) }
}
