//! Downloads gzip files over HTTP: with resume, retries, and verification of the whole file before it gets its name.
//!
//! Beside each file is what the server said of it (size, `ETag`, `Last-Modified`), so that a file that has not changed is
//! not fetched again, and a partial one is continued only if it is of the same version.

mod error;
mod fetch;
mod files;
mod gzip;
mod patience;
mod progress;
mod reply;

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use reqwest::redirect;
use tokio_rustls::rustls::crypto::ring;
use url::Url;

pub use error::{DownloadError, Fault};
use fetch::Fetch;
use files::Files;
pub use patience::Patience;
pub use progress::{DownloadProgress, Outcome};

/// Maximum number of redirects that are followed for one request.
const REDIRECTS_MAX: usize = 5;

/// How long connecting may take. A choice, far above the time that a connection around the world takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Downloads gzip files from the directory `base` of a server into `dir`, one after the other.
///
/// If the future is dropped, the next download continues where this one ended.
///
/// # Errors
/// [`DownloadError`]. The files before the one that failed are complete; of that one, an older version stays.
pub async fn download(
    names: &[&'static str],
    base: &Url,
    dir: &Path,
    patience: Patience,
    progress: &mut (dyn FnMut(DownloadProgress) + Send),
) -> Result<Vec<(&'static str, Outcome)>, DownloadError> {
    fs::create_dir_all(dir).map_err(DownloadError::writing(dir))?;
    let lock = dir.join(".download.lock");
    // Locked until this function ends: two downloads would write to the same files.
    let lock_file = File::create(&lock).map_err(DownloadError::writing(&lock))?;
    lock_file.try_lock().map_err(|_| DownloadError::Busy(dir.to_owned()))?;
    let client = client(patience.read_timeout)?;
    let mut outcomes = Vec::new();
    for name in names {
        let fetch = Fetch::new(&client, file_url(base, name), Files::new(dir, name), patience, name);
        outcomes.push((*name, fetch.run(progress).await?));
    }
    Ok(outcomes)
}

fn client(read_timeout: Duration) -> Result<reqwest::Client, DownloadError> {
    // The provider that all of the program uses; an error says that it is installed already.
    let _ = ring::default_provider().install_default();
    let redirects = redirect::Policy::custom(|attempt| {
        let was_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if was_https && attempt.url().scheme() != "https" {
            attempt.error("the server redirects from https to http, which is not safe")
        } else if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("the server redirects more than 5 times")
        } else {
            attempt.follow()
        }
    });
    reqwest::Client::builder()
        .user_agent(concat!("cinegraph/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(read_timeout)
        .redirect(redirects)
        .build()
        .map_err(DownloadError::Client)
}

/// The URL of a file in the directory `base`, with or without a slash at its end.
fn file_url(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{name}", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_directory_that_the_url_names() {
        for (base, expected) in [
            ("https://files.example", "https://files.example/a.gz"),
            ("https://files.example/", "https://files.example/a.gz"),
            ("http://files.example:81/imdb", "http://files.example:81/imdb/a.gz"),
            ("http://files.example/imdb//", "http://files.example/imdb/a.gz"),
        ] {
            assert_eq!(file_url(&base.parse().unwrap(), "a.gz").as_str(), expected);
        }
    }
}
