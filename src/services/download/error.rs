//! Errors of a download: what failed, and what to do.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use tokio_rustls::rustls;

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The HTTP client cannot be set up.
    #[error("cannot set up HTTPS; are the certificates of the system installed (package ca-certificates)?")]
    Client(#[source] reqwest::Error),
    /// Another download into the directory is running.
    #[error("another download into {} is running", .0.display())]
    Busy(PathBuf),
    /// The disk is full.
    #[error("no space left on the disk of {}: free some, and run the command again to continue", .0.display())]
    NoSpace(PathBuf),
    /// A file cannot be written or read.
    #[error("cannot write {}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The server, or the network to it, failed.
    #[error("cannot download {url}{}", if *attempts > 1 { format!(" in {attempts} attempts") } else { String::new() })]
    Fetch {
        /// URL of the file.
        url: String,
        /// Number of failed attempts in a row.
        attempts: u32,
        /// The failure of the last one.
        #[source]
        fault: Fault,
    },
}

/// A failed attempt to fetch a file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The server cannot be reached.
    #[error("the server cannot be reached")]
    Connect(#[source] reqwest::Error),
    /// The certificate of the server is not accepted, or it speaks no TLS.
    #[error("there is no secure connection to the server")]
    Tls(#[source] reqwest::Error),
    /// The server sent nothing for longer than the read timeout.
    #[error("the server sends nothing")]
    Timeout,
    /// A redirect was not followed.
    #[error("the redirect was not followed")]
    Redirect(#[source] reqwest::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// The response has another status.
    #[error("the server responds with status {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The response is no gzip file.
    #[error("this is no gzip file, but {content_type}: {beginning}")]
    NotGzip {
        /// Content type of the response.
        content_type: String,
        /// The title of a web page, or the first words.
        beginning: String,
    },
    /// The response is another part of the file than the requested one.
    #[error("the server sends another part of the file than the requested one (Content-Range: {0})")]
    WrongRange(String),
    /// The file has no bytes after those of the partial file.
    #[error("the server has no bytes after those that are here")]
    NothingLeft,
    /// The response ended early, or was too long.
    #[error("the file has {found} bytes, expected {expected}")]
    Length {
        /// Bytes that are here.
        found: u64,
        /// Bytes that the server announced.
        expected: u64,
    },
    /// The file was fetched completely, but is damaged.
    #[error("the file is damaged: {cause}")]
    Damaged {
        /// What is wrong with it.
        cause: io::Error,
        /// Whether it was fetched in several parts, which may be of different versions of the file.
        in_parts: bool,
    },
}

impl DownloadError {
    /// Converts an error of a file or directory.
    pub(super) fn writing(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(path.clone()),
            _ => Self::Disk { path: path.clone(), source },
        }
    }
}

impl Fault {
    /// Whether the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Timeout
            | Self::Broken(_)
            | Self::WrongRange(_)
            | Self::NothingLeft
            | Self::Length { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
            Self::Damaged { in_parts, .. } => *in_parts,
            Self::Tls(_) | Self::Redirect(_) | Self::NotGzip { .. } => false,
        }
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        // The error of the download names the URL.
        let error = error.without_url();
        if error.is_redirect() {
            Self::Redirect(error)
        } else if error.is_connect() && is_of_tls(&error) {
            Self::Tls(error)
        } else if error.is_timeout() && !error.is_connect() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// Whether an error of rustls is among the causes. The connector wraps it in I/O errors, whose sources are not what they
/// wrap, but the source of that.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|wrapped| is_of_tls(wrapped))
        || error.source().is_some_and(is_of_tls)
}
