//! The settings on one page: their names, meaning, defaults and ranges.

use super::kind::Kind;

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
        kind: Kind::Integer { unit: "connections", min: 1, max: 1000 },
        default: Some("10"),
        description: "Maximum number of connections for requests. Direct queries (direct_query_concurrency) and background work (up to 6) have their own, and a replica as many as this again.",
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
        description: "How long a direct query may run. It computes scores when the score table cannot serve them.",
    },
    Setting {
        key: "direct_query_concurrency",
        kind: Kind::Integer { unit: "statements", min: 1, max: 100 },
        default: Some("2"),
        description: "Concurrent direct queries. They have their own connections.",
    },
    Setting {
        key: "replica_url",
        kind: Kind::DatabaseUrl,
        default: None,
        description: "A streaming replica of the database. The scores of whole decades and the validation snapshot are read from it.",
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
        description: "A Redis in which instances share cached results (L2). When not set, each instance caches for itself.",
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
        description: "Whether responses and results are cached. When off, only score columns, profiles, lists, genres \
                      and countries stay in memory.",
    },
    Setting {
        key: "cache_columns_bytes",
        kind: Kind::Integer { unit: "bytes", min: 1_000_000, max: 1_000_000_000_000 },
        // 256 MiB: a choice, enough for the columns of a million movies and of their validation.
        default: Some("268435456"),
        description: "Memory for the score columns of decades: about 100 bytes per movie, and another 100 for \
                      validation.",
    },
    Setting {
        key: "cache_answers_bytes",
        kind: Kind::Integer { unit: "bytes", min: 1_000_000, max: 1_000_000_000_000 },
        // 48 MiB: a choice. docs/runbooks.md says when to change it.
        default: Some("50331648"),
        description: "Memory for cached responses, results and movie details.",
    },
    Setting {
        key: "cache_current_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("300"),
        description: "How long predictions of the current decade stay fresh if nothing changes. After that they \
                      may be served as stale for the same time.",
    },
    Setting {
        key: "cache_profiles_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("600"),
        description: "TTL of profiles, their comparison and movie details.",
    },
    Setting {
        key: "cache_past_ttl_seconds",
        kind: Kind::Seconds,
        default: Some("3600"),
        description: "TTL of predictions of past decades and of validations.",
    },
    Setting {
        key: "target_lists",
        kind: Kind::List,
        default: Some("1001_movies"),
        description: "Keys of the lists that have blind scores.",
    },
    Setting {
        key: "person_quality_enabled",
        kind: Kind::Bool,
        default: None,
        description: "Whether Cinegraph computes people's quality scores. When not set: yes if Cinegraph created the \
                      movie tables, no if it is attached to a host application, which computes its own.",
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
        description: "File of admin tokens, one a line: token or label=token, at least 32 bytes each.",
    },
    Setting {
        key: "http_connections_limit",
        kind: Kind::Integer { unit: "connections", min: 1, max: 1_000_000 },
        default: Some("10000"),
        description: "Concurrent connections of the public listener; further ones wait.",
    },
    Setting {
        key: "http_head_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("5"),
        description: "How long the head of a request may take to arrive. Also closes connections that send no request.",
    },
    Setting {
        key: "http_write_timeout_seconds",
        kind: Kind::Seconds,
        default: Some("30"),
        description: "How long a client may read nothing of what is sent to it, by HTTP or WebSocket; then its \
                      connection is closed.",
    },
    Setting {
        key: "http_concurrency_limit",
        kind: Kind::Integer { unit: "operations", min: 1, max: 1_000_000 },
        default: Some("1024"),
        description: "Concurrent HTTP operations, including those of pages; further requests get 503 (load shedding).",
    },
    Setting {
        key: "allowed_hosts",
        kind: Kind::Hosts,
        default: None,
        description: "Hosts by which clients may address both listeners, beside localhost, loopback addresses and names \
                      without a dot; others get 421. When not set: no others on a loopback address, which protects it \
                      from DNS rebinding, and all on any other address.",
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
        description: "Networks whose headers about their clients are trusted: `traceparent`, its sampling flag included, \
                      which a proxy in one of them must drop from its clients' requests; `X-Forwarded-Host`, the page's \
                      host for WebSockets; `X-Forwarded-For`, to which a proxy must append its client's address.",
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
        description: "How long running requests may take to finish when the program stops. Running jobs have half of it.",
    },
    Setting {
        key: "trusted_documents_file",
        kind: Kind::Path,
        default: None,
        description: "File with a JSON object of trusted documents by id, for clients that send documentId or a hash.",
    },
    Setting {
        key: "trusted_documents_only",
        kind: Kind::Bool,
        default: Some("false"),
        description: "Whether operations that are not trusted documents are rejected.",
    },
    Setting {
        key: "query_tokens_limit",
        kind: Kind::Integer { unit: "tokens", min: 1, max: 1_000_000 },
        default: Some("2000"),
        description: "Tokens of a document, checked before parsing.",
    },
    Setting {
        key: "query_depth_limit",
        kind: Kind::Integer { unit: "levels", min: 1, max: 1000 },
        default: Some("20"),
        description: "Nesting of fields in an operation; introspection does not count.",
    },
    Setting {
        key: "query_complexity_limit",
        kind: Kind::Integer { unit: "points", min: 1, max: 1_000_000_000 },
        default: Some("50000"),
        description: "Cost of an operation: one point per field, times the sizes of the pages that the field is in. 100 \
                      movies with all fields, 10 people and 10 credits each cost about 25,000.",
    },
    Setting {
        key: "websocket_connections_limit",
        kind: Kind::Integer { unit: "connections", min: 1, max: 100_000 },
        default: Some("2000"),
        description: "Concurrent WebSocket connections; further ones get 503.",
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
        description: "Format of log lines; auto is pretty on a terminal, otherwise json.",
    },
    Setting {
        key: "log_filter",
        kind: Kind::LogFilter,
        default: Some(
            "info,sqlx::query=off,sqlx::postgres::notice=warn,graphile_worker=warn,graphile_worker::runner::release=off",
        ),
        description: "Which log lines are written: a level, then levels per module.",
    },
];

/// The keys of settings that earlier versions had, each with a text that says what applies instead.
pub(super) const REMOVED: &[(&str, &str)] = &[
    ("breaker_failures", "circuit breakers open after 5 consecutive failures"),
    ("breaker_pause_seconds", "circuit breakers stay open for at most 3 seconds"),
    ("http_body_limit_bytes", "request bodies have at most 256 KiB"),
    ("http_body_timeout_seconds", "the body of a request must arrive within 5 seconds"),
    ("query_aliases_limit", "operations have at most 30 aliases; query_complexity_limit bounds their cost"),
    ("query_fields_limit", "operations have at most 5,000 fields; query_complexity_limit bounds their cost"),
    ("query_nesting_limit", "brackets nest at most 32 deep; query_depth_limit bounds the nesting of fields"),
    ("query_root_fields_limit", "operations have at most 30 root fields; query_complexity_limit bounds their cost"),
    ("websocket_subscriptions_limit", "a WebSocket has at most 20 operations at a time; open another one for more"),
];

/// The beginning of [`markdown`].
const INTRODUCTION: &str = "\
<!-- Generated by `make generate` from src/config/settings.rs; edit that file instead. -->

# Settings

Later sources override earlier ones: defaults, the file `cinegraph.toml` (or the one that `--config` or `CINEGRAPH_CONFIG` \
names), environment variables, flags. `cinegraph config` prints the value and the source of each setting.

The variable of a setting is `CINEGRAPH_` and its name in upper case, such as `CINEGRAPH_HTTP_ADDR`. URLs of databases and \
of Redis can be secret: their variables with `_FILE` appended name a file that contains the URL.

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
    for (key, replacement) in REMOVED {
        text.push_str(&format!("| `{key}` | {replacement} |\n"));
    }
    text
}
