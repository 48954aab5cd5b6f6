//! Configuration: typed settings, read once at the start.
//!
//! Defaults, then `cinegraph.toml`, then `CINEGRAPH_*` variables, then flags: the last one given counts. What a setting
//! is called, means and may be stands in [`SETTINGS`]; here it gets its type and is read.

mod admin_tokens;
mod origins;
mod secret;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io, iter};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

pub use admin_tokens::{AdminToken, AdminTokens, AdminTokensError};
pub use origins::{AllowedOrigins, OriginError};
pub use secret::Secret;
pub use settings::{Kind, SETTINGS, Setting};

/// Read when it is there, unless another file is named.
const DEFAULT_FILE: &str = "cinegraph.toml";

/// What starts the names of our variables.
const PREFIX: &str = "CINEGRAPH_";

/// Names the configuration file; the only `CINEGRAPH_` variable that is not a setting.
const FILE_VARIABLE: &str = "CINEGRAPH_CONFIG";

/// All settings, checked: meaning, default and range of each stand in [`SETTINGS`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "SETTINGS describes each field, under the same name")]
pub struct Config {
    pub database_url: Option<Secret>,
    pub data_dir: Option<PathBuf>,
    pub database_max_connections: u32,
    #[serde(rename = "database_acquire_timeout_seconds", deserialize_with = "seconds")]
    pub database_acquire_timeout: Duration,
    #[serde(rename = "database_statement_timeout_seconds", deserialize_with = "seconds")]
    pub database_statement_timeout: Duration,
    #[serde(rename = "direct_query_timeout_seconds", deserialize_with = "seconds")]
    pub direct_query_timeout: Duration,
    pub direct_query_concurrency: u32,
    pub replica_url: Option<Secret>,
    #[serde(rename = "replica_max_lag_seconds", deserialize_with = "seconds")]
    pub replica_max_lag: Duration,
    pub breaker_failures: u32,
    #[serde(rename = "breaker_pause_seconds", deserialize_with = "seconds")]
    pub breaker_pause: Duration,
    pub redis_url: Option<Secret>,
    #[serde(rename = "redis_timeout_seconds", deserialize_with = "seconds")]
    pub redis_timeout: Duration,
    pub cache_enabled: bool,
    pub cache_columns_bytes: usize,
    pub cache_answers_bytes: usize,
    #[serde(rename = "cache_current_ttl_seconds", deserialize_with = "seconds")]
    pub cache_current_ttl: Duration,
    #[serde(rename = "cache_profiles_ttl_seconds", deserialize_with = "seconds")]
    pub cache_profiles_ttl: Duration,
    #[serde(rename = "cache_past_ttl_seconds", deserialize_with = "seconds")]
    pub cache_past_ttl: Duration,
    pub target_lists: Vec<String>,
    pub person_quality_enabled: Option<bool>,
    pub http_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    pub admin_tokens_file: Option<PathBuf>,
    pub http_body_limit_bytes: usize,
    #[serde(rename = "http_head_timeout_seconds", deserialize_with = "seconds")]
    pub http_head_timeout: Duration,
    #[serde(rename = "http_body_timeout_seconds", deserialize_with = "seconds")]
    pub http_body_timeout: Duration,
    pub http_connections_limit: usize,
    pub http_concurrency_limit: usize,
    pub cors_allowed_origins: Option<AllowedOrigins>,
    pub cors_allowed_headers: Option<Vec<String>>,
    pub trusted_peers: Vec<IpNet>,
    #[serde(rename = "request_timeout_seconds", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    #[serde(rename = "shutdown_delay_seconds", default, deserialize_with = "optional_seconds")]
    pub shutdown_delay: Option<Duration>,
    #[serde(rename = "shutdown_timeout_seconds", deserialize_with = "seconds")]
    pub shutdown_timeout: Duration,
    pub trusted_documents_file: Option<PathBuf>,
    pub trusted_documents_only: bool,
    pub query_nesting_limit: usize,
    pub query_tokens_limit: usize,
    pub query_fields_limit: usize,
    pub query_aliases_limit: usize,
    pub query_root_fields_limit: usize,
    pub query_depth_limit: usize,
    pub query_complexity_limit: usize,
    pub websocket_connections_limit: usize,
    pub websocket_subscriptions_limit: usize,
    pub graphiql_enabled: bool,
    pub graphiql_dir: Option<PathBuf>,
    pub introspection_enabled: bool,
    pub metrics_enabled: bool,
    pub log_format: LogFormat,
    pub log_filter: String,
    #[serde(skip)]
    description: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// [`LogFormat::Pretty`] when standard output is a terminal, else [`LogFormat::Json`].
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// What the command line says; it beats every other source.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: the configuration file.
    pub config: Option<PathBuf>,
    /// `--database-url`. Other users of the machine can read it in the list of processes.
    pub database_url: Option<Secret>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--http-addr`
    pub http_addr: Option<String>,
    /// `--admin-addr`
    pub admin_addr: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
}

impl Config {
    /// Reads the configuration file, the environment and the files that it names.
    ///
    /// # Errors
    /// [`ConfigError`] for what can't be read, is unknown, or is not what the setting expects.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let variables = our_variables()?;
        let named_file = match (&overrides.config, variables.get(FILE_VARIABLE)) {
            (Some(path), _) => Some((path.clone(), "--config")),
            (None, Some(path)) => Some((PathBuf::from(path), FILE_VARIABLE)),
            (None, None) => None,
        };
        let file = match named_file {
            Some((path, named_by)) => Some((read(&path, named_by)?, path)),
            None if Path::new(DEFAULT_FILE).exists() => {
                let path = PathBuf::from(DEFAULT_FILE);
                Some((read(&path, "the working directory")?, path))
            }
            None => None,
        };
        let file = file.as_ref().map(|(text, path)| (path.as_path(), text.as_str()));
        Self::from_layers(file, variables, overrides)
    }

    /// The same from a file's path and text, and variables, that the caller read. Variables that are not ours are
    /// ignored; files that hold secrets are read.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_layers(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut layers = defaults();
        if let Some((path, text)) = file {
            layers.push(Layer::of_file(path, text)?);
        }
        layers.extend(of_variables(&variables.into_iter().collect())?);
        layers.extend(overrides.layers());

        let merged = layers.into_iter().fold(Figment::new(), Figment::merge);
        let description = checked_description(&merged)?;
        let config: Self = merged.extract().map_err(Box::new)?;
        Ok(Self { description, ..config })
    }

    /// Whether `log_filter` is what it is without any configuration.
    #[must_use]
    pub fn has_default_log_filter(&self) -> bool {
        Setting::named("log_filter").and_then(|setting| setting.default) == Some(&self.log_filter)
    }

    /// The effective configuration as commented TOML: what each setting means, where its value is from, and no secrets.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.description
    }
}

impl LogFormat {
    /// Whether to write JSON, given where the lines go.
    #[must_use]
    pub fn is_json(self, stdout_is_terminal: bool) -> bool {
        match self {
            Self::Auto => !stdout_is_terminal,
            Self::Json => true,
            Self::Pretty => false,
        }
    }
}

impl Overrides {
    fn layers(&self) -> impl Iterator<Item = Layer> {
        let given = [
            ("--database-url", "database_url", self.database_url.as_ref().map(Secret::expose)),
            ("--data-dir", "data_dir", self.data_dir.as_deref()),
            ("--http-addr", "http_addr", self.http_addr.as_deref()),
            ("--admin-addr", "admin_addr", self.admin_addr.as_deref()),
            ("--log-format", "log_format", self.log_format.as_deref()),
        ];
        given.into_iter().filter_map(|(flag, key, text)| Some(Layer::of_one(flag.into(), key, text?.into())))
    }
}

/// Why the configuration was refused. No text of it shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that something names is not there or not readable.
    #[error("cannot read {path:?}, named by {named_by}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The flag or variable that names it.
        named_by: String,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{path:?}, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What was expected there.
        message: String,
    },
    /// A `CINEGRAPH_` variable is not UTF-8.
    #[error("the value of {variable} is not UTF-8 text")]
    NotText {
        /// The variable.
        variable: String,
    },
    /// A name that no setting has.
    #[error("unknown setting {name} in {origin}, expected one of: {}", expected.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The file, or the environment.
        origin: String,
        /// The names that exist there.
        expected: Vec<String>,
    },
    /// A secret is given twice.
    #[error("both {variable} and {variable}_FILE are set, expected one of them")]
    GivenTwice {
        /// The one that holds the secret itself.
        variable: String,
    },
    /// A value is not what its setting expects.
    #[error("{key} is {found} (from {origin}), expected {expected}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// The value as TOML, masked when it is secret.
        found: String,
        /// The file, variable or flag.
        origin: String,
        /// What fits.
        expected: Kind,
    },
    /// A value passed the check of its kind and still does not fit the field: our mistake.
    #[error(transparent)]
    Mistyped(#[from] Box<figment::Error>),
}

/// Values of one origin. figment remembers for each value where it is from.
struct Layer {
    origin: String,
    values: Dict,
}

impl Layer {
    fn of_one(origin: String, key: &str, value: Value) -> Self {
        Self { origin, values: Dict::from([(key.to_owned(), value)]) }
    }

    fn of_file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let values: Dict = Toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            // Displayed whole, the error would quote the line, and with it a secret.
            message: error.message().to_owned(),
        })?;
        let origin = path.display().to_string();
        match values.keys().find(|name| Setting::named(name).is_none()) {
            None => Ok(Self { origin, values }),
            Some(name) => Err(ConfigError::Unknown {
                name: name.clone(),
                origin,
                expected: SETTINGS.iter().map(|setting| setting.key.to_owned()).collect(),
            }),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

fn defaults() -> Vec<Layer> {
    let default = |setting: &Setting| {
        Some(Layer::of_one("default".to_owned(), setting.key, setting.kind.value_of(setting.default?)))
    };
    SETTINGS.iter().filter_map(default).collect()
}

fn of_variables(variables: &BTreeMap<String, String>) -> Result<Vec<Layer>, ConfigError> {
    let ours = variables.iter().filter(|(name, _)| name.starts_with(PREFIX) && *name != FILE_VARIABLE);
    ours.map(|(name, text)| of_variable(name, text, variables)).collect()
}

fn of_variable(name: &str, text: &str, all: &BTreeMap<String, String>) -> Result<Layer, ConfigError> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
        return Ok(Layer::of_one(name.to_owned(), setting.key, setting.kind.value_of(text)));
    }
    let Some(setting) = SETTINGS.iter().find(|setting| setting.file_variable().as_deref() == Some(name)) else {
        let expected = SETTINGS.iter().flat_map(|setting| [Some(setting.variable()), setting.file_variable()]);
        return Err(ConfigError::Unknown {
            name: name.to_owned(),
            origin: "the environment".to_owned(),
            expected: expected.flatten().collect(),
        });
    };
    if all.contains_key(&setting.variable()) {
        return Err(ConfigError::GivenTwice { variable: setting.variable() });
    }
    let value = text.into();
    if setting.kind.accepts(&value) {
        // The secret itself, put here by mistake: the error about a missing file would show it.
        let found = setting.kind.shown(&value);
        return Err(ConfigError::Invalid { key: setting.key, found, origin: name.to_owned(), expected: Kind::Path });
    }
    let secret = read(Path::new(text), name)?;
    Ok(Layer::of_one(format!("{name}={text}"), setting.key, secret.trim_end_matches(['\r', '\n']).into()))
}

/// Checks every value against its setting, and describes it.
fn checked_description(merged: &Figment) -> Result<String, ConfigError> {
    let mut paragraphs = Vec::new();
    for setting in SETTINGS {
        let Setting { key, kind, description, .. } = setting;
        let line = match merged.find_value(key) {
            Err(_) => format!("# {key} is not set"),
            Ok(value) => {
                let origin = merged.get_metadata(value.tag()).map_or("unknown", |metadata| &metadata.name);
                let found = kind.shown(&value);
                if !kind.accepts(&value) {
                    let (origin, expected) = (origin.to_owned(), *kind);
                    return Err(ConfigError::Invalid { key, found, origin, expected });
                }
                format!("{key} = {found} # from {origin}")
            }
        };
        let variables: Vec<_> = iter::once(setting.variable()).chain(setting.file_variable()).collect();
        paragraphs.push(format!("# {description}\n# {}: {kind}.\n{line}\n", variables.join(" or ")));
    }
    Ok(paragraphs.join("\n"))
}

fn our_variables() -> Result<BTreeMap<String, String>, ConfigError> {
    let ours = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    ours.filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(ConfigError::NotText { variable: name }),
        })
        .collect()
}

fn read(path: &Path, named_by: &str) -> Result<String, ConfigError> {
    let error = |source| ConfigError::Read { path: path.to_owned(), named_by: named_by.to_owned(), source };
    fs::read_to_string(path).map_err(error)
}

/// The line, counted from 1, that holds the byte at `offset`.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
