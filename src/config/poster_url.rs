//! Where browsers load posters from.

use serde::Deserialize;
use url::{Host, Url};

/// The directory of an image server, which has a directory per size.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PosterBaseUrl {
    /// With a slash at the end.
    base: String,
    origin: String,
}

/// An invalid value of `poster_base_url`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an https URL (on this machine also http) of a directory")]
pub struct PosterUrlError(String);

impl PosterBaseUrl {
    /// The origin (RFC 6454) of the server.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// URL of the image at `path`, which starts with a slash, in the size that the server calls `size`. `None` for
    /// another path.
    #[must_use]
    pub fn image(&self, size: &str, path: &str) -> Option<String> {
        path.starts_with('/').then(|| format!("{}{size}{path}", self.base))
    }
}

impl TryFrom<String> for PosterBaseUrl {
    type Error = PosterUrlError;

    fn try_from(text: String) -> Result<Self, PosterUrlError> {
        parsed(&text).ok_or(PosterUrlError(text))
    }
}

fn parsed(text: &str) -> Option<PosterBaseUrl> {
    let url = Url::parse(text).ok()?;
    let is_local = match url.host()? {
        Host::Domain(name) => {
            // The origin becomes part of the Content-Security-Policy, in which other characters have a meaning.
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                return None;
            }
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let is_secure = url.scheme() == "https" || url.scheme() == "http" && is_local;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().or(url.fragment()).is_none();
    (is_secure && is_plain).then(|| PosterBaseUrl {
        base: format!("{}/", url.as_str().trim_end_matches('/')),
        origin: url.origin().ascii_serialization(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_below_the_base_url_with_or_without_a_trailing_slash() {
        for base in ["https://image.tmdb.org/t/p/", "https://image.tmdb.org/t/p", "HTTPS://Image.TMDb.org:443/t/p//"] {
            let base = parsed(base).unwrap();
            assert_eq!(base.origin(), "https://image.tmdb.org");
            assert_eq!(base.image("w92", "/a.jpg").as_deref(), Some("https://image.tmdb.org/t/p/w92/a.jpg"));
            assert_eq!(base.image("w92", "a.jpg"), None);
        }
        assert_eq!(parsed("http://127.0.0.1:9000").unwrap().image("w92", "/a").unwrap(), "http://127.0.0.1:9000/w92/a");
        assert_eq!(parsed("http://[::1]:9000/").unwrap().origin(), "http://[::1]:9000");
    }

    #[test]
    fn other_urls_are_refused() {
        for text in [
            "",
            "image.tmdb.org",
            "http://image.tmdb.org/t/p/",
            "http://127.0.0.1.films.example/",
            "ftp://localhost/",
            "data:image/png,",
            "https://user:secret@image.tmdb.org/",
            "https://image.tmdb.org/?a=b",
            "https://image.tmdb.org/#a",
            "https://a;script-src/",
            "https://a,b/",
            "https://*.tmdb.org/",
            "https://'self'/",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
