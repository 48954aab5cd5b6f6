//! Tests of settings: their sources, their errors and how they are printed.

use std::{fs, iter};

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_file(text: &str) -> Result<Config, ConfigError> {
    Config::from_layers(Some((Path::new("cinegraph.toml"), text)), iter::empty(), &Overrides::default())
}

fn from_variables(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_layers(None, variables(pairs), &Overrides::default())
}

#[test]
fn defaults_alone_are_a_configuration() {
    let config = from_variables(&[]).unwrap();
    assert_eq!(config.http_addr.to_string(), "127.0.0.1:8080");
    assert_eq!(config.database_statement_timeout, Duration::from_secs(2));
    assert_eq!(config.target_lists, ["1001_movies"]);
    assert_eq!(config.log_format, LogFormat::Auto);
    assert!(config.database_url.is_none());
}

#[test]
fn every_field_is_described_in_its_order() {
    // The message names the unknown field and then all fields, each in backticks.
    let error = toml::from_str::<Config>("no_such_field = true").unwrap_err();
    let fields: Vec<_> = error.message().split('`').skip(3).step_by(2).collect();
    let keys: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(keys, fields);
}

#[test]
fn flags_beat_variables_beat_the_file_beats_defaults() {
    let file = "http_addr = '127.0.0.1:1'\nadmin_addr = '127.0.0.1:1'\nquery_depth_limit = 1";
    let config = Config::from_layers(
        Some((Path::new("etc/cinegraph.toml"), file)),
        variables(&[("CINEGRAPH_HTTP_ADDR", "127.0.0.1:2"), ("CINEGRAPH_ADMIN_ADDR", "127.0.0.1:2")]),
        &Overrides { http_addr: Some("127.0.0.1:3".to_owned()), ..Overrides::default() },
    )
    .unwrap();
    assert_eq!((config.http_addr.port(), config.admin_addr.port(), config.query_depth_limit), (3, 2, 1));
    for line in [
        r#"http_addr = "127.0.0.1:3" # from --http-addr"#,
        r#"admin_addr = "127.0.0.1:2" # from CINEGRAPH_ADMIN_ADDR"#,
        "query_depth_limit = 1 # from etc/cinegraph.toml",
        "database_max_connections = 10 # from default",
        "# database_url is not set",
    ] {
        assert!(config.describe().lines().any(|described| described == line), "{line}\n{}", config.describe());
    }
}

#[test]
fn a_variable_gives_each_kind_of_value() {
    let config = from_variables(&[
        ("CINEGRAPH_TARGET_LISTS", "1001_movies, afi_100"),
        ("CINEGRAPH_GRAPHIQL_ENABLED", "false"),
        ("CINEGRAPH_REQUEST_TIMEOUT_SECONDS", "0.5"),
        ("CINEGRAPH_DATABASE_MAX_CONNECTIONS", "7"),
        ("CINEGRAPH_DATA_DIR", "1001"),
        ("CINEGRAPH_LOG_FORMAT", "json"),
    ])
    .unwrap();
    assert_eq!(config.target_lists, ["1001_movies", "afi_100"]);
    assert!(!config.graphiql_enabled);
    assert_eq!(config.request_timeout, Duration::from_millis(500));
    assert_eq!(config.database_max_connections, 7);
    assert_eq!(config.data_dir, Some(PathBuf::from("1001")));
    assert!(config.log_format.is_json(true));
}

#[test]
fn an_unknown_key_in_the_file_is_named() {
    for (name, hint) in [
        ("databse_url", "did you mean database_url?"),
        ("http_address", "did you mean http_addr?"),
        ("request_timeout", "did you mean request_timeout_seconds?"),
        ("colour", "`cinegraph config --markdown` lists all settings"),
    ] {
        let error = from_file(&format!("{name} = 'postgres://ann:s3cr3t@db/films'")).unwrap_err();
        assert_eq!(error.to_string(), format!("unknown setting {name} in cinegraph.toml; {hint}"));
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
}

#[test]
fn a_misspelt_variable_is_an_error_that_names_the_setting() {
    for (name, meant) in [
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABASE_URL_FLIE", "DATABASE_URL_FILE"),
        ("HTTP_ADR", "HTTP_ADDR"),
        ("HTTP_ADDRESS", "HTTP_ADDR"),
        ("REDIS_URLS", "REDIS_URL"),
        ("REQUEST_TIMEOUT", "REQUEST_TIMEOUT_SECONDS"),
        ("CACHE_COLUMNS", "CACHE_COLUMNS_BYTES"),
        ("CONFG", "CONFIG"),
    ] {
        let error = from_variables(&[(&format!("CINEGRAPH_{name}"), "s3cr3t")]).unwrap_err();
        let expected = format!("unknown setting CINEGRAPH_{name} in the environment; did you mean CINEGRAPH_{meant}?");
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
}

#[test]
fn variables_of_kubernetes_and_of_other_programs_are_only_reported() {
    // What a Service of this name with the ports http and metrics adds to each pod.
    let of_service = |service: &str| {
        let suffixes = [
            "_SERVICE_HOST",
            "_SERVICE_PORT",
            "_SERVICE_PORT_HTTP",
            "_SERVICE_PORT_METRICS",
            "_PORT",
            "_PORT_8080_TCP",
            "_PORT_8080_TCP_PROTO",
            "_PORT_8080_TCP_PORT",
            "_PORT_8080_TCP_ADDR",
            "_PORT_9464_TCP_ADDR",
        ];
        suffixes.map(|suffix| format!("{service}{suffix}"))
    };
    let services = ["", "_HTTP", "_ADMIN", "_API", "_DB", "_DATABASE", "_POSTGRES", "_REDIS", "_REPLICA", "_WORKER"];
    let of_services = services.into_iter().flat_map(|name| of_service(&format!("CINEGRAPH{name}")));
    let of_others = ["API_KEY", "TOKEN", "HOME", "VERSION", "ENV", "DATABASE_USER", "DATABASE_HOST", "CONFIG_DIR"];
    let names: Vec<_> = of_services.chain(of_others.map(|name| format!("CINEGRAPH_{name}"))).collect();

    let variables = names.iter().map(|name| (name.clone(), "s3cr3t".to_owned()));
    let config = Config::from_layers(None, variables, &Overrides::default()).unwrap();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(config.unknown_variables(), expected);
    assert!(!format!("{config:?}").contains("s3cr3t"));
}

#[test]
fn variables_without_our_prefix_and_the_name_of_the_file_are_not_reported() {
    let others = [("OTEL_TRACES_SAMPLER", "always_on"), ("CINEGRAPH_CONFIG", "x.toml"), ("http_addr", "x")];
    let config = from_variables(&others).unwrap();
    assert_eq!(config.unknown_variables(), [""; 0]);
}

#[test]
fn a_removed_setting_is_an_error_that_says_what_applies_instead() {
    let replacement = "circuit breakers open after 5 consecutive failures";
    let error = from_file("breaker_failures = 5").unwrap_err().to_string();
    let expected = "breaker_failures in cinegraph.toml is no longer a setting: remove it. What applies instead: ";
    assert_eq!(error, format!("{expected}{replacement}"));
    let error = from_variables(&[("CINEGRAPH_BREAKER_FAILURES", "5")]).unwrap_err().to_string();
    let expected =
        "CINEGRAPH_BREAKER_FAILURES in the environment is no longer a setting: remove it. What applies instead: ";
    assert_eq!(error, format!("{expected}{replacement}"));
    for (key, _) in removed_settings::REMOVED_SETTINGS {
        assert!(Setting::named(key).is_none(), "{key}");
    }
}

#[test]
fn the_reference_has_a_row_for_each_setting() {
    let reference = markdown();
    for setting in SETTINGS {
        let row = format!("| `{}` | ", setting.key);
        let row = reference.lines().find(|line| line.starts_with(&row)).unwrap();
        assert_eq!(row.matches('|').count(), 5, "a cell contains the separator: {row}");
    }
}

#[test]
fn a_bad_value_is_named_with_its_origin_and_what_fits() {
    for (name, value, expected) in [
        (
            "DATABASE_MAX_CONNECTIONS",
            "0",
            "database_max_connections is 0 (from CINEGRAPH_DATABASE_MAX_CONNECTIONS), \
             expected a whole number of connections, 1 to 1000",
        ),
        (
            "REQUEST_TIMEOUT_SECONDS",
            "soon",
            "request_timeout_seconds is \"soon\" (from CINEGRAPH_REQUEST_TIMEOUT_SECONDS), \
             expected seconds, 0.001 to 3600",
        ),
        (
            "HTTP_ADDR",
            "localhost",
            "http_addr is \"localhost\" (from CINEGRAPH_HTTP_ADDR), \
             expected an IP address and a port such as 10.0.0.5:9000",
        ),
        ("LOG_FORMAT", "xml", "log_format is \"xml\" (from CINEGRAPH_LOG_FORMAT), expected one of auto, json, pretty"),
        (
            "DATABASE_URL",
            "mysql://ann:s3cr3t@db/films",
            "database_url is \"mysql://ann:****@db/films\" (from CINEGRAPH_DATABASE_URL), \
             expected a URL such as postgres://user:password@host:5432/database",
        ),
    ] {
        let error = from_variables(&[(&format!("CINEGRAPH_{name}"), value)]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn parameters_of_urls_are_refused_with_the_setting_and_without_the_value() {
    for (variable, url, expected) in [
        (
            "CINEGRAPH_DATABASE_URL",
            "postgres://ann@db/films?sslpassword=s3cr3t",
            "database_url (from CINEGRAPH_DATABASE_URL) has the parameter sslpassword, but encrypted keys are not \
             supported: store the key of sslkey unencrypted",
        ),
        (
            "CINEGRAPH_REPLICA_URL",
            "postgres://ann@db/films?sslpassword=s3cr3t",
            "replica_url (from CINEGRAPH_REPLICA_URL) has the parameter sslpassword, but encrypted keys are not \
             supported: store the key of sslkey unencrypted",
        ),
        (
            "CINEGRAPH_REDIS_URL",
            "redis://r/0?pass=s3cr3t",
            "redis_url (from CINEGRAPH_REDIS_URL) has the parameter pass, which is not supported; supported are protocol",
        ),
    ] {
        assert_eq!(from_variables(&[(variable, url)]).unwrap_err().to_string(), expected);
    }
}

#[test]
fn values_outside_their_range_or_type_are_refused() {
    for line in [
        "shutdown_timeout_seconds = 0",
        "shutdown_timeout_seconds = -1.5",
        "shutdown_timeout_seconds = nan",
        "shutdown_timeout_seconds = inf",
        "shutdown_timeout_seconds = 0.0001",
        "shutdown_timeout_seconds = '10'",
        "query_depth_limit = 1.5",
        "query_depth_limit = -1",
        "cache_answers_bytes = 0",
        "graphiql_enabled = 'yes'",
        "target_lists = []",
        "target_lists = ['']",
        "target_lists = '1001_movies'",
        "data_dir = ''",
        "log_filter = 'info,sqlx=loudly'",
        "http_addr = 2026-01-01",
        "imdb_base_url = 'datasets.imdbws.com'",
        "imdb_base_url = 'ftp://files.example'",
        "imdb_base_url = 'https://ann:s3cr3t@files.example'",
        "imdb_base_url = 'https://files.example/?name='",
    ] {
        let key = line.split(' ').next().unwrap();
        let error = from_file(line).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{key} is ")), "{line}: {error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn a_variable_set_to_nothing_is_refused_rather_than_taken_for_unset() {
    for setting in SETTINGS {
        let error = from_variables(&[(&setting.variable(), "")]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{} is ", setting.key)), "{error}");
    }
}

#[test]
fn broken_toml_is_named_by_line_without_quoting_it() {
    let error = from_file("# ours\ndatabase_url = \"postgres://ann:s3cr3t@db/films\n").unwrap_err();
    assert!(error.to_string().starts_with("\"cinegraph.toml\", line 2: "), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
}

#[test]
fn a_secret_is_read_from_the_file_that_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    fs::write(&path, "postgres://ann:s3cr3t@db/films\n").unwrap();
    let path = path.to_str().unwrap();

    let config = from_variables(&[("CINEGRAPH_DATABASE_URL_FILE", path)]).unwrap();
    assert_eq!(config.database_url.as_ref().unwrap().expose(), "postgres://ann:s3cr3t@db/films");
    let line = format!(r#"database_url = "postgres://ann:****@db/films" # from CINEGRAPH_DATABASE_URL_FILE={path}"#);
    assert!(config.describe().contains(&line), "{}", config.describe());

    let both = [("CINEGRAPH_DATABASE_URL_FILE", path), ("CINEGRAPH_DATABASE_URL", "postgres://db")];
    let error = from_variables(&both).unwrap_err();
    assert_eq!(
        error.to_string(),
        "both CINEGRAPH_DATABASE_URL and CINEGRAPH_DATABASE_URL_FILE are set: remove one of them"
    );
}

#[test]
fn a_missing_secret_file_is_named() {
    let error = from_variables(&[("CINEGRAPH_DATABASE_URL_FILE", "/nowhere/url")]).unwrap_err();
    assert_eq!(error.to_string(), r#"cannot read "/nowhere/url", named by CINEGRAPH_DATABASE_URL_FILE"#);
}

#[test]
fn a_secret_in_the_place_of_its_file_is_not_shown() {
    let error = from_variables(&[("CINEGRAPH_DATABASE_URL_FILE", "postgres://ann:s3cr3t@db/films")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"database_url is "postgres://ann:****@db/films" (from CINEGRAPH_DATABASE_URL_FILE), expected a path"#
    );
}

#[test]
fn a_missing_configuration_file_is_an_error_when_it_was_named() {
    let overrides = Overrides { config: Some("/nowhere/cinegraph.toml".into()), ..Overrides::default() };
    let error = Config::load(&overrides).unwrap_err();
    assert_eq!(error.to_string(), r#"cannot read "/nowhere/cinegraph.toml", named by --config"#);
}

#[test]
fn the_files_in_config_name_settings_that_there_are() {
    for file in ["development", "production"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/{file}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        let config = Config::from_layers(Some((&path, &text)), iter::empty(), &Overrides::default());
        assert!(config.is_ok(), "{file}: {config:?}");
    }
}

#[test]
fn no_printing_of_a_configuration_shows_a_secret() {
    let overrides =
        Overrides { database_url: Some("postgres://ann:s3cr3t@db/films".to_owned().into()), ..Overrides::default() };
    let config = Config::from_layers(None, iter::empty(), &overrides).unwrap();
    assert!(config.describe().contains(r#"database_url = "postgres://ann:****@db/films" # from --database-url"#));
    assert!(!format!("{config:?} {overrides:?} {}", config.describe()).contains("s3cr3t"));
}

#[test]
fn the_description_can_be_used_as_a_file() {
    let described = from_variables(&[("CINEGRAPH_TARGET_LISTS", "a\"b,c")]).unwrap();
    let again = from_file(described.describe()).unwrap();
    assert_eq!(again.target_lists, ["a\"b", "c"]);
    assert_eq!(again.request_timeout, described.request_timeout);
}

#[test]
fn origins_are_normalised_and_those_that_can_never_match_are_refused_by_name() {
    let config = from_variables(&[("CINEGRAPH_CORS_ALLOWED_ORIGINS", "https://films.example/, loopback")]).unwrap();
    let origins = config.cors_allowed_origins.unwrap();
    assert!(origins.allows("https://films.example") && origins.allows("http://localhost:5173"));
    for origin in ["https://*.films.example", "films.example", "https://films.example/app", ""] {
        let error = from_variables(&[("CINEGRAPH_CORS_ALLOWED_ORIGINS", origin)]).unwrap_err().to_string();
        assert!(error.starts_with("cors_allowed_origins is ") && error.contains("no path or wildcard"), "{error}");
    }
    assert!(from_variables(&[("CINEGRAPH_CORS_ALLOWED_HEADERS", "x-tenant,x-y")]).is_ok());
    assert!(from_variables(&[("CINEGRAPH_CORS_ALLOWED_HEADERS", "not a header")]).is_err());
}
