//! Settings that no longer exist.

/// The keys of settings that earlier versions had, each with a text that says what applies instead.
pub(super) const REMOVED_SETTINGS: &[(&str, &str)] = &[
    ("breaker_failures", "circuit breakers open after 5 consecutive failures"),
    ("breaker_pause_seconds", "circuit breakers stay open for at most 3 seconds"),
    ("http_body_limit_bytes", "request bodies have at most 256 KiB, those of administrators 4 MiB"),
    ("http_body_timeout_seconds", "the body of a request must arrive within 5 seconds"),
    ("query_aliases_limit", "operations have at most 30 aliases; query_complexity_limit bounds their cost"),
    ("query_fields_limit", "operations have at most 5,000 fields; query_complexity_limit bounds their cost"),
    ("query_nesting_limit", "brackets nest at most 32 deep; query_depth_limit bounds the nesting of fields"),
    ("query_root_fields_limit", "operations have at most 30 root fields; query_complexity_limit bounds their cost"),
    ("websocket_subscriptions_limit", "a WebSocket has at most 20 operations at a time; open another one for more"),
];
