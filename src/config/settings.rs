//! The settings: their names, meaning, defaults and ranges, on one page.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use axum::http::HeaderName;
use figment::value::Value;
use ipnet::IpNet;
use tracing_subscriber::filter::Targets;

use super::PREFIX;
use super::origins::AllowedOrigins;
use super::secret::without_password;

/// A time-out of less than a millisecond would reach PostgreSQL as 0, which means none.
const SECONDS: RangeInclusive<f64> = 0.001..=3600.0;

/// One setting, as people read about it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file.
    pub key: &'static str,
    /// What values fit.
    pub kind: Kind,
    /// Written as in a variable. `None`: not set.
    pub default: Option<&'static str>,
    /// One or two sentences.
    pub description: &'static str,
}

/// What values fit a setting; displays as a description with the unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A connection URL; secret, because it may hold a password.
    DatabaseUrl,
    /// The same of a Redis.
    RedisUrl,
    /// A file or directory, relative to the working directory.
    Path,
    /// IP address and port to listen on.
    Address,
    /// On or off.
    Switch,
    /// A number of things.
    Whole {
        /// The things.
        unit: &'static str,
        /// The least that fits.
        min: u64,
        /// The most that fits.
        max: u64,
    },
    /// A duration, fractions allowed.
    Seconds,
    /// Several texts, at least one.
    List,
    /// Several ranges of IP addresses, or none.
    Networks,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Which log lines are written.
    LogFilter,
    /// Origins of web pages.
    Origins,
    /// Names of HTTP headers.
    HeaderNames,
}

/// Every setting, in the order of [`Config`](super::Config)'s fields.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "database_url",
        kind: Kind::DatabaseUrl,
        default: None,
        description: "The database. When not set, the program runs an embedded PostgreSQL in data_dir.",
    },
    Setting {
        key: "data_dir",
        kind: Kind::Path,
        default: None,
        description: "Directory of the embedded PostgreSQL and of the last result of `cinegraph prove`.",
    },
    Setting {
        key: "database_max_connections",
        kind: Kind::Whole { unit: "connections", min: 1, max: 1000 },
        default: Some("10"),
        description: "Connections that the pool opens at most.",
    },
    Setting {
        key: "database_acquire_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("2"),
        description: "How long a request waits for a free connection of the pool.",
    },
    Setting {
        key: "database_statement_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("2"),
        description: "How long a statement may run while a request waits for it.",
    },
    Setting {
        key: "direct_query_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("15"),
        description: "The same for the direct query, which computes scores when the score table can't serve them.",
    },
    Setting {
        key: "direct_query_concurrency",
        kind: Kind::Whole { unit: "statements", min: 1, max: 100 },
        default: Some("2"),
        description: "How many direct queries may run at a time, on connections of their own.",
    },
    Setting {
        key: "replica_url",
        kind: Kind::DatabaseUrl,
        default: None,
        description: "A streaming replica of the database. Score columns and snapshots are loaded from it.",
    },
    Setting {
        key: "replica_max_lag_seconds",
        kind: Kind::Seconds,
        default: Some("5"),
        description: "Highest replication lag at which the replica is used; above it, reads go to the primary.",
    },
    Setting {
        key: "breaker_failures",
        kind: Kind::Whole { unit: "failures", min: 1, max: 1000 },
        default: Some("5"),
        description: "Consecutive failures of Redis, the score table or the replica that open its circuit breaker.",
    },
    Setting {
        key: "breaker_pause_seconds",
        kind: Kind::Seconds,
        default: Some("3"),
        description: "Longest time that a circuit breaker stays open before it probes again. The first time is half a second to a second.",
    },
    Setting {
        key: "redis_url",
        kind: Kind::RedisUrl,
        default: None,
        description: "A Redis in which instances share cached results (L2). When not set, each instance caches for itself.",
    },
    Setting {
        key: "redis_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("0.05"),
        description: "How long Redis may take. What takes longer counts as not there.",
    },
    Setting {
        key: "cache_enabled",
        kind: Kind::Switch,
        default: Some("true"),
        description: "Whether responses and results are cached. When off, only the score columns of decades stay in memory.",
    },
    Setting {
        key: "cache_columns_bytes",
        kind: Kind::Whole { unit: "bytes", min: 1_000_000, max: 1_000_000_000_000 },
        default: Some("268435456"),
        description: "Memory for the score columns of decades: about 100 bytes per movie, and as much again for validation.",
    },
    Setting {
        key: "cache_answers_bytes",
        kind: Kind::Whole { unit: "bytes", min: 1_000_000, max: 1_000_000_000_000 },
        default: Some("50331648"),
        description: "Memory for cached responses, results and movie details.",
    },
    Setting {
        key: "cache_current_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("300"),
        description: "How long predictions of the current decade stay fresh when nothing changes; stale as long again.",
    },
    Setting {
        key: "cache_profiles_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("600"),
        description: "The same for profiles, their comparison, and details of movies.",
    },
    Setting {
        key: "cache_past_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("3600"),
        description: "The same of past decades and validations.",
    },
    Setting {
        key: "target_lists",
        kind: Kind::List,
        default: Some("1001_movies"),
        description: "Keys of the lists that blind scores are kept for.",
    },
    Setting {
        key: "person_quality_enabled",
        kind: Kind::Switch,
        default: None,
        description: "Whether people's quality scores are computed here. When not set: only where the film tables were \
                      made here, since another application maintains its own.",
    },
    Setting {
        key: "http_addr",
        kind: Kind::Address,
        default: Some("127.0.0.1:8080"),
        description: "Address of the public listener: predictions page, GraphQL, API explorer, health.",
    },
    Setting {
        key: "admin_addr",
        kind: Kind::Address,
        default: Some("127.0.0.1:9464"),
        description: "Address of the admin listener: metrics, health.",
    },
    Setting {
        key: "admin_tokens_file",
        kind: Kind::Path,
        default: None,
        description: "File of admin tokens, one per line: bare or label=token, at least 32 bytes each.",
    },
    Setting {
        key: "http_body_limit_bytes",
        kind: Kind::Whole { unit: "bytes", min: 1, max: 100 * 1024 * 1024 },
        default: Some("262144"),
        description: "Largest request body that is accepted.",
    },
    Setting {
        key: "http_head_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("5"),
        description: "How long the head of a request may take to arrive. Also closes connections that send no request.",
    },
    Setting {
        key: "http_body_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("5"),
        description: "How long the body of a request may take to arrive.",
    },
    Setting {
        key: "http_connections_limit",
        kind: Kind::Whole { unit: "connections", min: 1, max: 1_000_000 },
        default: Some("10000"),
        description: "Connections of the public listener at a time; further connections wait.",
    },
    Setting {
        key: "http_concurrency_limit",
        kind: Kind::Whole { unit: "operations", min: 1, max: 1_000_000 },
        default: Some("1024"),
        description: "Operations by HTTP at a time, those of pages included; further requests get 503 (load shedding).",
    },
    Setting {
        key: "cors_allowed_origins",
        kind: Kind::Origins,
        default: None,
        description: "Origins whose pages may call the API by HTTP and WebSocket. When not set: only pages of this \
                      service, and for `cinegraph demo` those of this machine (loopback).",
    },
    Setting {
        key: "cors_allowed_headers",
        kind: Kind::HeaderNames,
        default: None,
        description: "Request headers that these pages may send, beside those that GraphQL clients and OpenTelemetry use.",
    },
    Setting {
        key: "trusted_peers",
        kind: Kind::Networks,
        default: Some("127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7"),
        description: "Networks whose `traceparent` header is trusted, its sampling flag included. A proxy in one of them \
                      must drop the header of its clients.",
    },
    Setting {
        key: "request_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("10"),
        description: "Time limit of an operation.",
    },
    Setting {
        key: "shutdown_delay_seconds",
        kind: Kind::Seconds,
        default: None,
        description: "How long the program goes on serving after SIGTERM while /health/ready returns 503, so that a proxy \
                      sends no new requests. When not set, it stops at once.",
    },
    Setting {
        key: "shutdown_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("10"),
        description: "How long running requests and jobs may take to finish when the program stops.",
    },
    Setting {
        key: "trusted_documents_file",
        kind: Kind::Path,
        default: None,
        description: "File with a JSON object of trusted documents by id, for clients that send documentId or a hash.",
    },
    Setting {
        key: "trusted_documents_only",
        kind: Kind::Switch,
        default: Some("false"),
        description: "Whether operations that are not trusted documents are rejected.",
    },
    Setting {
        key: "query_nesting_limit",
        kind: Kind::Whole { unit: "levels", min: 1, max: 1000 },
        default: Some("32"),
        description: "Nesting of brackets in a document, checked before parsing.",
    },
    Setting {
        key: "query_tokens_limit",
        kind: Kind::Whole { unit: "tokens", min: 1, max: 1_000_000 },
        default: Some("2000"),
        description: "Tokens of a document, checked before parsing.",
    },
    Setting {
        key: "query_fields_limit",
        kind: Kind::Whole { unit: "fields", min: 1, max: 1_000_000 },
        default: Some("5000"),
        description: "Fields of an operation; fields of a fragment count each time it is spread.",
    },
    Setting {
        key: "query_aliases_limit",
        kind: Kind::Whole { unit: "aliases", min: 1, max: 1_000_000 },
        default: Some("30"),
        description: "Aliases of an operation.",
    },
    Setting {
        key: "query_root_fields_limit",
        kind: Kind::Whole { unit: "fields", min: 1, max: 1_000_000 },
        default: Some("30"),
        description: "Root fields of an operation.",
    },
    Setting {
        key: "query_depth_limit",
        kind: Kind::Whole { unit: "levels", min: 1, max: 1000 },
        default: Some("20"),
        description: "Nesting of fields in an operation; introspection does not count.",
    },
    Setting {
        key: "query_complexity_limit",
        kind: Kind::Whole { unit: "points", min: 1, max: 1_000_000_000 },
        default: Some("50000"),
        description: "Cost of an operation: one point per field, times the sizes of the pages that the field is in. 100 \
                      movies with all fields, 10 people and 10 credits each cost about 25,000.",
    },
    Setting {
        key: "websocket_connections_limit",
        kind: Kind::Whole { unit: "connections", min: 1, max: 100_000 },
        default: Some("2000"),
        description: "WebSocket connections at a time; further ones get 503.",
    },
    Setting {
        key: "websocket_subscriptions_limit",
        kind: Kind::Whole { unit: "operations", min: 1, max: 1000 },
        default: Some("20"),
        description: "Operations at a time on one WebSocket.",
    },
    Setting {
        key: "graphiql_enabled",
        kind: Kind::Switch,
        default: Some("true"),
        description: "Whether GraphiQL, the API explorer, is served at /graphiql.",
    },
    Setting {
        key: "graphiql_dir",
        kind: Kind::Path,
        default: None,
        description: "Where GraphiQL's files are (scripts/graphiql.sh fetches them). When not set: \
                      ../share/cinegraph/graphiql, seen from the program's directory.",
    },
    Setting {
        key: "introspection_enabled",
        kind: Kind::Switch,
        default: Some("true"),
        description: "Whether introspection is allowed; GraphiQL needs it.",
    },
    Setting {
        key: "metrics_enabled",
        kind: Kind::Switch,
        default: Some("true"),
        description: "Whether metrics are recorded. Switched off only to measure their cost.",
    },
    Setting {
        key: "log_format",
        kind: Kind::OneOf(&["auto", "json", "pretty"]),
        default: Some("auto"),
        description: "Format of log lines; auto is pretty on a terminal, otherwise json.",
    },
    Setting {
        key: "log_filter",
        kind: Kind::LogFilter,
        default: Some(
            "info,sqlx::query=off,sqlx::postgres::notice=warn,graphile_worker=warn,graphile_worker::runner::release=off",
        ),
        description: "Which log lines are written: a level, then exceptions per module.",
    },
];

impl Setting {
    /// The setting of this name.
    #[must_use]
    pub fn named(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase())
    }

    /// The environment variable that names a file holding it; secrets only.
    #[must_use]
    pub fn file_variable(&self) -> Option<String> {
        self.kind.is_secret().then(|| format!("{}_FILE", self.variable()))
    }
}

impl Kind {
    /// Whether values are hidden in logs, errors and listings.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Self::DatabaseUrl | Self::RedisUrl)
    }

    /// The value that a variable's text stands for. Text that doesn't fit stays text, for [`Kind::accepts`] to refuse.
    pub(super) fn value_of(self, text: &str) -> Value {
        let parsed = match self {
            Self::Switch => text.parse().map(bool::into).ok(),
            Self::Whole { .. } | Self::Seconds => {
                text.parse().map(u64::into).ok().or_else(|| text.parse().map(f64::into).ok())
            }
            Self::List | Self::Networks | Self::Origins | Self::HeaderNames => {
                Some(text.split(',').map(str::trim).collect::<Vec<_>>().into())
            }
            Self::DatabaseUrl | Self::RedisUrl | Self::Path | Self::Address | Self::OneOf(_) | Self::LogFilter => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    pub(super) fn accepts(self, value: &Value) -> bool {
        let is_text = |fits: &dyn Fn(&str) -> bool| value.as_str().is_some_and(fits);
        match self {
            Self::DatabaseUrl => is_text(&|url| url.starts_with("postgres://") || url.starts_with("postgresql://")),
            Self::RedisUrl => is_text(&|url| url.starts_with("redis://") || url.starts_with("rediss://")),
            Self::Path => is_text(&|path| !path.is_empty()),
            Self::Address => is_text(&|address| address.parse::<SocketAddr>().is_ok()),
            Self::OneOf(words) => is_text(&|word| words.contains(&word)),
            Self::LogFilter => is_text(&|filter| !filter.is_empty() && filter.parse::<Targets>().is_ok()),
            Self::Switch => value.to_bool().is_some(),
            Self::Whole { min, max, .. } => value.deserialize().is_ok_and(|number: u64| (min..=max).contains(&number)),
            Self::Seconds => value.deserialize().is_ok_and(|seconds: f64| SECONDS.contains(&seconds)),
            Self::List => value
                .deserialize()
                .is_ok_and(|texts: Vec<String>| !texts.is_empty() && texts.iter().all(|text| !text.is_empty())),
            Self::Networks => value.deserialize::<Vec<IpNet>>().is_ok(),
            Self::Origins => value.deserialize::<AllowedOrigins>().is_ok(),
            Self::HeaderNames => value.deserialize().is_ok_and(|names: Vec<String>| {
                names.iter().all(|name| name != "*" && name.parse::<HeaderName>().is_ok())
            }),
        }
    }

    /// The value as TOML, for people; of a secret, only what is none.
    pub(super) fn shown(self, value: &Value) -> String {
        let literal = |value: &Value| serde_json::to_string(value).unwrap_or_else(|error| error.to_string());
        match self {
            Self::DatabaseUrl | Self::RedisUrl => literal(&without_password(value.as_str().unwrap_or_default()).into()),
            // What JSON writes for texts, numbers, switches and lists of them is TOML too.
            _ => literal(value),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DatabaseUrl => f.write_str("a URL such as postgres://user:password@host:5432/database"),
            Self::RedisUrl => f.write_str("a URL such as redis://user:password@host:6379/0, or rediss:// for TLS"),
            Self::Path => f.write_str("a path"),
            Self::Address => f.write_str("an IP address and a port such as 127.0.0.1:8080"),
            Self::Switch => f.write_str("true or false"),
            Self::Whole { unit, min, max } => write!(f, "a whole number of {unit}, {min} to {max}"),
            Self::Seconds => write!(f, "seconds, {} to {}", SECONDS.start(), SECONDS.end()),
            Self::List => f.write_str("a list such as [\"1001_movies\"], in a variable separated by commas"),
            Self::Networks => f.write_str("a list such as [\"10.0.0.0/8\"], in a variable separated by commas"),
            Self::Origins => f.write_str(
                "a list of origins such as [\"https://films.example\"] (scheme, host, perhaps a port; no path, no wildcard \
                 inside), \"loopback\" for pages of this machine on any port, or \"*\" for all; in a variable separated by \
                 commas",
            ),
            Self::HeaderNames => f.write_str("a list of header names such as [\"x-tenant\"], without wildcards, in a variable separated by commas"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::LogFilter => f.write_str("a filter such as info,sqlx::query=debug"),
        }
    }
}
