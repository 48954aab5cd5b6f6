//! Kinds of settings: which values a setting accepts, how a value is parsed from text, and how it is displayed.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use axum::http::HeaderName;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use toml::Value;
use tracing_subscriber::filter::Targets;
use url::Url;

use super::connection_url::{UrlFault, check_database_url, check_redis_url};
use super::hosts::AllowedHosts;
use super::origins::AllowedOrigins;
use super::poster_url::PosterBaseUrl;
use super::secret::without_password;

/// The range of a duration, in seconds. PostgreSQL takes timeouts in whole milliseconds, so that a shorter one would
/// become 0, which means no timeout. The upper bound is a choice; it must not be below the longest default, the hour of
/// `cache_past_ttl_seconds`.
const SECONDS: RangeInclusive<f64> = 0.001..=3600.0;

/// Which values a setting accepts. `Display` describes them, with their unit and range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A connection URL of PostgreSQL; secret, because it may hold a password.
    DatabaseUrl,
    /// A connection URL of Redis; secret, because it may hold a password.
    RedisUrl,
    /// The URL of a directory of files, without credentials.
    HttpUrl,
    /// The URL of a directory of images, see [`PosterBaseUrl`].
    PosterUrl,
    /// A file or directory, relative to the working directory.
    Path,
    /// An IP address and a port to listen on.
    Address,
    /// True or false.
    Bool,
    /// A whole number.
    Integer {
        /// What is counted, as a plural noun.
        unit: &'static str,
        /// The smallest number that is accepted.
        min: u64,
        /// The largest number that is accepted.
        max: u64,
    },
    /// A duration in seconds, with or without a fraction: a millisecond to an hour.
    Seconds,
    /// A list of texts. Neither the list nor a text may be empty.
    List,
    /// A list of IP networks in CIDR notation, which may be empty.
    Networks,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A filter of log lines, in the syntax of [`Targets`].
    LogFilter,
    /// A list of origins of web pages, see [`AllowedOrigins`].
    Origins,
    /// A list of hosts under which clients address a listener, see [`AllowedHosts`].
    Hosts,
    /// A list of names of HTTP headers.
    HeaderNames,
}

impl Kind {
    /// Whether a value may contain a password, which logs, errors and listings must mask.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Self::DatabaseUrl | Self::RedisUrl)
    }

    /// Converts the text of a default, a variable or a flag to a value. If this kind needs a boolean or a number and
    /// the text is none, the value is the text, which [`Kind::validate`] rejects.
    pub(super) fn parse(self, text: &str) -> Value {
        let parsed = match self {
            Self::Bool => text.parse().map(Value::Boolean).ok(),
            Self::Integer { .. } | Self::Seconds => {
                text.parse().map(Value::Integer).ok().or_else(|| text.parse().map(Value::Float).ok())
            }
            Self::List | Self::Networks | Self::Origins | Self::Hosts | Self::HeaderNames => {
                Some(Value::Array(text.split(',').map(|entry| entry.trim().into()).collect()))
            }
            Self::DatabaseUrl
            | Self::RedisUrl
            | Self::HttpUrl
            | Self::PosterUrl
            | Self::Path
            | Self::Address
            | Self::OneOf(_)
            | Self::LogFilter => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    /// Whether this kind accepts the value.
    pub(super) fn validate(self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_bool(),
            Self::Integer { min, max, .. } => fits::<u64>(value, |number| (min..=max).contains(&number)),
            Self::Seconds => fits::<f64>(value, |seconds| SECONDS.contains(&seconds)),
            Self::List => fits::<Vec<String>>(value, |texts| !texts.is_empty() && !texts.iter().any(String::is_empty)),
            Self::Networks => fits::<Vec<IpNet>>(value, |_| true),
            Self::Origins => fits::<AllowedOrigins>(value, |_| true),
            Self::Hosts => fits::<AllowedHosts>(value, |_| true),
            Self::PosterUrl => fits::<PosterBaseUrl>(value, |_| true),
            Self::HeaderNames => fits::<Vec<String>>(value, |names| names.iter().all(|name| is_header_name(name))),
            _ => value.as_str().is_some_and(|text| self.validate_text(text)),
        }
    }

    /// As [`Kind::validate`], for the kinds whose values are texts.
    fn validate_text(self, text: &str) -> bool {
        match self {
            // Of a URL only the scheme: `check_url` checks the rest, and its errors say which part is wrong.
            Self::DatabaseUrl => text.starts_with("postgres://") || text.starts_with("postgresql://"),
            Self::RedisUrl => text.starts_with("redis://") || text.starts_with("rediss://"),
            Self::HttpUrl => Url::parse(text).is_ok_and(|url| is_public_directory(&url)),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::OneOf(words) => words.contains(&text),
            Self::LogFilter => !text.is_empty() && text.parse::<Targets>().is_ok(),
            _ => !text.is_empty(),
        }
    }

    /// Checks the parts of a connection URL that [`Kind::validate`] has accepted. Values of other kinds pass.
    pub(super) fn check_url(self, value: &Value) -> Result<(), UrlFault> {
        match (self, value.as_str()) {
            (Self::DatabaseUrl, Some(url)) => check_database_url(url),
            (Self::RedisUrl, Some(url)) => check_redis_url(url),
            _ => Ok(()),
        }
    }

    /// The value as TOML on one line, for errors and listings. The secret parts of a connection URL are masked.
    pub(super) fn display(self, value: &Value) -> String {
        // Texts, whole numbers, booleans and lists of them are written in JSON as in TOML.
        let json = |value: &Value| serde_json::to_string(value).unwrap_or_else(|error| error.to_string());
        match value {
            // A URL of files may have no password, but an error shows the one that has.
            value
                if self.is_secret()
                    || matches!(self, Self::HttpUrl | Self::PosterUrl)
                        && value.as_str().is_some_and(|url| url.contains('@')) =>
            {
                json(&without_password(value.as_str().unwrap_or_default()).into())
            }
            // JSON cannot express the infinities and NaN, which TOML allows.
            Value::Float(number) => format!("{number:?}"),
            Value::Datetime(time) => time.to_string(),
            value => json(value),
        }
    }
}

/// Whether the value can be deserialized as `T` and then meets the condition.
fn fits<T: DeserializeOwned>(value: &Value, condition: impl FnOnce(T) -> bool) -> bool {
    value.clone().try_into().is_ok_and(condition)
}

/// Whether the URL names a directory of a web server, to which the name of a file can be added, and has no credentials,
/// which listings would show.
fn is_public_directory(url: &Url) -> bool {
    let is_http = matches!(url.scheme(), "http" | "https");
    is_http && url.username().is_empty() && url.password().is_none() && url.query().or(url.fragment()).is_none()
}

/// Whether `name` is the name of one header. `*` would be a valid name, but CORS takes it for a wildcard.
fn is_header_name(name: &str) -> bool {
    name != "*" && name.parse::<HeaderName>().is_ok()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DatabaseUrl => "a URL such as postgres://user:password@host:5432/database",
            Self::RedisUrl => "a URL such as redis://user:password@host:6379/0, or rediss:// for TLS",
            Self::HttpUrl => "a URL such as https://files.example/imdb, without user, password or query",
            Self::PosterUrl => "an https URL such as https://image.tmdb.org/t/p/, or an http one of this machine",
            Self::Path => "a path",
            Self::Address => "an IP address and a port such as 10.0.0.5:9000",
            Self::Bool => "true or false",
            Self::Integer { unit, min, max } => return write!(f, "a whole number of {unit}, {min} to {max}"),
            Self::Seconds => return write!(f, "seconds, {} to {}", SECONDS.start(), SECONDS.end()),
            Self::List => "a list such as [\"1001_movies\"], comma-separated in a variable",
            Self::Networks => "a list such as [\"10.0.0.0/8\"], comma-separated in a variable",
            Self::Origins => {
                "a list of origins such as [\"https://films.example\"] (scheme, host, optional port; no path or \
                 wildcard), \"loopback\" for pages of this machine on any port, or \"*\" for all; comma-separated in a \
                 variable"
            }
            Self::Hosts => {
                "a list of hosts such as [\"films.example\", \"*.films.example\", \"10.0.0.1\"] (no ports), or \"*\" for \
                 all; comma-separated in a variable"
            }
            Self::HeaderNames => {
                "a list of header names such as [\"x-tenant\"], without wildcards, comma-separated in a variable"
            }
            Self::OneOf(words) => return write!(f, "one of {}", words.join(", ")),
            Self::LogFilter => "a filter such as info,sqlx::query=debug",
        })
    }
}
