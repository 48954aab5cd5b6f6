//! The settings on one page: their names, meaning, defaults and ranges.

use super::kind::Kind;
use super::removed_settings::REMOVED_SETTINGS;

/// Prefix of the environment variables of settings.
pub(super) const PREFIX: &str = "CINEGRAPH_";

/// The variable that names the configuration file. Of the variables with [`PREFIX`] that this program reads, it is the
/// only one that belongs to no setting.
pub(super) const FILE_VARIABLE: &str = "CINEGRAPH_CONFIG";

/// Description of one setting. Values are validated against it, and docs/SETTINGS.md is generated from it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the configuration file.
    pub key: &'static str,
    /// Which values it accepts.
    pub kind: Kind,
    /// The default, written as in a variable. `None` if the setting is not set by default.
    pub default: Option<&'static str>,
    /// What it means, in one or two sentences for operators.
    pub description: &'static str,
}

/// Every setting, in the order of [`Config`](super::Config)'s fields.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "database_url",
        kind: Kind::DatabaseUrl,
        default: None,
        description: "URL of the PostgreSQL database. When not set, the program runs an embedded PostgreSQL in \
                      data_dir.",
    },
    Setting {
        key: "data_dir",
        kind: Kind::Path,
        default: None,
        description: "Directory of the embedded PostgreSQL and of the last result of `cinegraph prove`. When not set: \
                      /var/lib/cinegraph for root, otherwise $XDG_DATA_HOME/cinegraph or ~/.local/share/cinegraph.",
    },
    Setting {
        key: "database_max_connections",
        kind: Kind::Integer { unit: "connections", min: 1, max: 1000 },
        default: Some("10"),
        description: "Maximum number of connections for requests. An instance also opens direct_query_concurrency \
                      connections for direct queries, up to 7 for background work, and 2 to follow changes and to \
                      ping the server. To a replica it opens as many as this, and 1 to ping it.",
    },
    Setting {
        key: "database_acquire_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("2"),
        description: "How long a request waits for a free database connection.",
    },
    Setting {
        key: "database_statement_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("2"),
        description: "Time limit of a statement of a request. Direct queries and background work have limits of their \
                      own.",
    },
    Setting {
        key: "direct_query_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("15"),
        description: "Time limit of a direct query, which computes the scores of a decade from the movie tables when \
                      the score table cannot serve them.",
    },
    Setting {
        key: "direct_query_concurrency",
        kind: Kind::Integer { unit: "statements", min: 1, max: 100 },
        default: Some("2"),
        description: "Maximum number of concurrent direct queries, and of the connections that are reserved for them.",
    },
    Setting {
        key: "replica_url",
        kind: Kind::DatabaseUrl,
        default: None,
        description: "A streaming replica of the database. The scores of whole decades and the validation snapshot \
                      are read from it while it is current.",
    },
    Setting {
        key: "replica_max_lag_seconds",
        kind: Kind::Seconds,
        default: Some("5"),
        description: "Highest replication lag at which the replica is used; above it, reads go to the primary.",
    },
    Setting {
        key: "redis_url",
        kind: Kind::RedisUrl,
        default: None,
        description: "A Redis in which instances share rankings and validations by profile (L2). Responses, movie \
                      details and results for custom weights stay in the memory of each instance. When not set, \
                      nothing is shared.",
    },
    Setting {
        key: "redis_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("0.05"),
        description: "Time limit of a Redis command. A slower Redis is treated as unavailable.",
    },
    Setting {
        key: "cache_enabled",
        kind: Kind::Bool,
        default: Some("true"),
        description: "Whether responses, rankings, validations and movie details are cached. When off, only the data \
                      that rankings are computed from (cache_columns_bytes), profiles, lists, genres and countries \
                      stay in memory.",
    },
    Setting {
        key: "cache_columns_bytes",
        kind: Kind::Integer { unit: "bytes", min: 1_000_000, max: 1_000_000_000_000 },
        // 384 MiB: a choice, enough for the columns of a million movies, of their validation and of one learned ranking.
        default: Some("402653184"),
        description: "Memory for the data that rankings and validations are computed from (the columns of each decade). \
                      Allow 400 bytes per movie, a third of it each for rankings, validations and learned rankings. With \
                      less, decades are loaded from the database again.",
    },
    Setting {
        key: "cache_answers_bytes",
        kind: Kind::Integer { unit: "bytes", min: 1_000_000, max: 1_000_000_000_000 },
        // 48 MiB: a choice. docs/runbooks.md says when to change it.
        default: Some("50331648"),
        description: "Memory for all other caches: responses, rankings, validations, movie details, profiles and \
                      lists.",
    },
    Setting {
        key: "cache_current_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("300"),
        description: "TTL of predictions of the current decade (the 2020s). For as long again, they may be served as \
                      stale while they are refreshed. Detected changes do not wait for a TTL.",
    },
    Setting {
        key: "cache_profiles_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("600"),
        description: "TTL of profiles, lists, genres, countries and movie details, and so of every response that \
                      contains them.",
    },
    Setting {
        key: "cache_past_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("3600"),
        description: "TTL of predictions of past decades, of validations, and of the data that both are computed from.",
    },
    Setting {
        key: "target_lists",
        kind: Kind::List,
        default: Some("1001_movies"),
        description: "Keys of the target lists: those that can be validated on the basis BLIND, and whose results are \
                      loaded into the caches. Administrators can choose others, by the mutation setTargetList.",
    },
    Setting {
        key: "person_quality_enabled",
        kind: Kind::Bool,
        default: None,
        description: "Whether Cinegraph computes people's quality scores. When not set: yes if Cinegraph created the \
                      movie tables, no if it is attached to a host application, which computes its own.",
    },
    Setting {
        key: "model_training_enabled",
        kind: Kind::Bool,
        default: Some("true"),
        description: "Whether background work of this instance trains learned rankings and keeps them current. A training \
                      needs about a kilobyte of memory per movie.",
    },
    Setting {
        key: "imdb_base_url",
        kind: Kind::HttpUrl,
        default: Some("https://datasets.imdbws.com"),
        description: "Where `cinegraph import imdb --download` fetches IMDb's files from: IMDb, or a mirror of it.",
    },
    Setting {
        key: "poster_base_url",
        kind: Kind::PosterUrl,
        default: None,
        description: "Where browsers load posters from: an image server with a directory per size, such as TMDb's \
                      https://image.tmdb.org/t/p/, whose terms apply to you. When not set, the pages load nothing from \
                      other servers.",
    },
    Setting {
        key: "public_url",
        kind: Kind::HttpUrl,
        default: None,
        description: "Address at which people reach the pages, such as https://films.example. The canonical links of \
                      the pages and their `og:url` begin with it. When not set, canonical links have no host.",
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
        description: "Address of the admin listener: metrics, status, health. It asks for no token, so keep it \
                      private.",
    },
    Setting {
        key: "admin_tokens_file",
        kind: Kind::Path,
        default: None,
        description: "File of admin tokens, one per line: token or label=token, at least 32 bytes each. When not set, \
                      mutations are disabled.",
    },
    Setting {
        key: "http_connections_limit",
        kind: Kind::Integer { unit: "connections", min: 1, max: 1_000_000 },
        default: Some("10000"),
        description: "Maximum number of concurrent connections of the public listener; further ones wait.",
    },
    Setting {
        key: "http_head_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("5"),
        description: "How long the head of a request may take to arrive. A connection on which no further request \
                      arrives for as long is closed.",
    },
    Setting {
        key: "http_write_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("30"),
        description: "How long a client may read nothing of what is sent to it, over HTTP or WebSocket, before its \
                      connection is closed.",
    },
    Setting {
        key: "http_concurrency_limit",
        kind: Kind::Integer { unit: "operations", min: 1, max: 1_000_000 },
        default: Some("1024"),
        description: "Maximum number of concurrent operations over HTTP, those of pages included; further requests \
                      get 503 (load shedding). A repeated request whose response is cached and fresh does not count.",
    },
    Setting {
        key: "allowed_hosts",
        kind: Kind::Hosts,
        default: None,
        description: "Hosts by which clients may address both listeners; others get 421. localhost, its subdomains, \
                      loopback addresses and names without a dot are always allowed. When not set, a listener on a \
                      loopback address allows only these, which protects it from DNS rebinding, and any other \
                      listener allows all hosts.",
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
        description: "Request headers that pages of cors_allowed_origins may send, in addition to those that GraphQL \
                      clients and OpenTelemetry use.",
    },
    Setting {
        key: "trusted_peers",
        kind: Kind::Networks,
        default: Some("127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7"),
        description: "Networks of proxies whose headers are trusted: `traceparent` with its sampling flag, \
                      `X-Forwarded-Host` (to check the origin of WebSockets) and `X-Forwarded-For` (the client's \
                      address, for the limit on invalid admin tokens). Such a proxy must remove the `traceparent` of \
                      its clients, and append their address to `X-Forwarded-For`.",
    },
    Setting {
        key: "request_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("10"),
        description: "Time limit of a query or mutation; after it the client gets the error TIMEOUT.",
    },
    Setting {
        key: "shutdown_delay_seconds",
        kind: Kind::Seconds,
        default: None,
        description: "How long the program goes on serving after SIGTERM while /health/ready returns 503, so that a \
                      proxy sends no new requests. When not set, it accepts no more connections at once; running \
                      requests still have shutdown_timeout_seconds.",
    },
    Setting {
        key: "shutdown_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("10"),
        description: "How long running requests may take to finish when the program stops accepting connections. \
                      Running jobs have half of it, from SIGTERM on.",
    },
    Setting {
        key: "trusted_documents_file",
        kind: Kind::Path,
        default: None,
        description: "File with a JSON object of trusted documents by ID. Clients send the ID (documentId), the hash \
                      or the text of a document.",
    },
    Setting {
        key: "trusted_documents_only",
        kind: Kind::Bool,
        default: Some("false"),
        description: "Whether only the documents of trusted_documents_file are executed; others get FORBIDDEN, those \
                      of GraphiQL included.",
    },
    Setting {
        key: "query_tokens_limit",
        kind: Kind::Integer { unit: "tokens", min: 1, max: 1_000_000 },
        default: Some("2000"),
        description: "Maximum number of tokens of a document, checked before parsing.",
    },
    Setting {
        key: "query_depth_limit",
        kind: Kind::Integer { unit: "levels", min: 1, max: 1000 },
        default: Some("20"),
        description: "Maximum nesting of fields in an operation; introspection does not count.",
    },
    Setting {
        key: "query_complexity_limit",
        kind: Kind::Integer { unit: "points", min: 1, max: 1_000_000_000 },
        default: Some("50000"),
        description: "Maximum cost of an operation, in points: one per field, more for a field that takes much work \
                      (10 for a ranking, 100 for a validation), all times the sizes of the pages that the field is in.",
    },
    Setting {
        key: "websocket_connections_limit",
        kind: Kind::Integer { unit: "connections", min: 1, max: 100_000 },
        default: Some("2000"),
        description: "Maximum number of concurrent WebSocket connections and multipart subscriptions together; \
                      further ones get 503.",
    },
    Setting {
        key: "graphiql_enabled",
        kind: Kind::Bool,
        default: Some("true"),
        description: "Whether GraphiQL, the API explorer, is served at /graphiql.",
    },
    Setting {
        key: "graphiql_dir",
        kind: Kind::Path,
        default: None,
        description: "Where GraphiQL's files are (scripts/graphiql.sh fetches them). When not set: \
                      ../share/cinegraph/graphiql, relative to the directory of the program.",
    },
    Setting {
        key: "introspection_enabled",
        kind: Kind::Bool,
        default: Some("true"),
        description: "Whether introspection is allowed; GraphiQL needs it.",
    },
    Setting {
        key: "metrics_enabled",
        kind: Kind::Bool,
        default: Some("true"),
        description: "Whether metrics are recorded. Turn off only to measure their cost.",
    },
    Setting {
        key: "log_format",
        kind: Kind::OneOf(&["auto", "json", "pretty"]),
        default: Some("auto"),
        description: "Format of log lines; auto is json for demo, serve and worker without a terminal, otherwise pretty.",
    },
    Setting {
        key: "log_filter",
        kind: Kind::LogFilter,
        default: Some(
            "info,sqlx::query=off,sqlx::postgres::notice=warn,graphile_worker=warn,graphile_worker::runner::release=off",
        ),
        description: "Which log lines are written: a level, then the levels of single modules, separated by commas.",
    },
];

/// The beginning of [`markdown`].
const INTRODUCTION: &str = "\
<!-- Generated by `make generate` from src/config/settings.rs; edit that file instead. -->

# Settings

Later sources override earlier ones: defaults, the file `cinegraph.toml` (or the one that `--config` or `CINEGRAPH_CONFIG` \
names), environment variables, flags. `cinegraph config` prints the value and the source of each setting.

The variable of a setting is `CINEGRAPH_` and its name in upper case, such as `CINEGRAPH_HTTP_ADDR`. URLs of databases and \
of Redis may contain passwords: with `_FILE` appended, their variables name a file that contains the URL.

In the file, an unknown name is an error. An environment variable that looks like a misspelt setting is an error. \
Other unknown `CINEGRAPH_` variables cause a warning in the log, because Kubernetes and other programs set variables \
of their own. The name of a removed setting is an error in both.

| setting | default | value | meaning |
|---|---|---|---|
";

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

    /// The environment variable with the path of a file that contains the value. Only secret settings have one.
    #[must_use]
    pub fn file_variable(&self) -> Option<String> {
        self.kind.is_secret().then(|| format!("{}_FILE", self.variable()))
    }
}

/// The reference of all settings, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for Setting { key, kind, default, description } in SETTINGS {
        let default = default.map_or("not set".to_owned(), |default| format!("`{default}`"));
        text.push_str(&format!("| `{key}` | {default} | {kind} | {description} |\n"));
    }
    text.push_str("\n## Removed settings\n\n| setting | what applies instead |\n|---|---|\n");
    for (key, replacement) in REMOVED_SETTINGS {
        text.push_str(&format!("| `{key}` | {replacement} |\n"));
    }
    text
}
