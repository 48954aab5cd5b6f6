//! Configuration: typed settings, read once at the start.
//!
//! Sources in the order in which later ones override earlier ones: defaults, `cinegraph.toml`, `CINEGRAPH_*` variables,
//! flags. [`SETTINGS`] has the name, meaning, default and range of each setting; [`Config`] has the typed values.

mod admin_tokens;
mod connection_url;
mod error;
mod hosts;
mod kind;
mod misspelling;
mod origins;
mod poster_url;
mod removed_settings;
mod secret;
mod settings;
mod values;

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

pub use admin_tokens::{AdminToken, AdminTokens, AdminTokensError};
pub use connection_url::UrlFault;
pub use error::ConfigError;
pub use hosts::{AllowedHosts, Host, HostError};
pub use kind::Kind;
pub use origins::{AllowedOrigins, OriginError};
pub use poster_url::{PosterBaseUrl, PosterUrlError};
pub use secret::Secret;
use settings::{FILE_VARIABLE, PREFIX};
pub use settings::{SETTINGS, Setting, markdown};
use values::{Values, known_variables, read};

/// The configuration file if neither `--config` nor `CINEGRAPH_CONFIG` names one. It need not exist.
const DEFAULT_FILE: &str = "cinegraph.toml";

/// The validated values of all settings. [`SETTINGS`] has the meaning, default and range of each.
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
    pub model_training_enabled: bool,
    pub imdb_base_url: String,
    pub poster_base_url: Option<PosterBaseUrl>,
    pub public_url: Option<String>,
    pub http_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    pub admin_tokens_file: Option<PathBuf>,
    pub http_connections_limit: usize,
    #[serde(rename = "http_head_timeout_seconds", deserialize_with = "seconds")]
    pub http_head_timeout: Duration,
    #[serde(rename = "http_write_timeout_seconds", deserialize_with = "seconds")]
    pub http_write_timeout: Duration,
    pub http_concurrency_limit: usize,
    pub allowed_hosts: Option<AllowedHosts>,
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
    pub query_tokens_limit: usize,
    pub query_depth_limit: usize,
    pub query_complexity_limit: usize,
    pub websocket_connections_limit: usize,
    pub graphiql_enabled: bool,
    pub graphiql_dir: Option<PathBuf>,
    pub introspection_enabled: bool,
    pub metrics_enabled: bool,
    pub log_format: LogFormat,
    pub log_filter: String,
    #[serde(skip)]
    description: String,
    #[serde(skip)]
    unknown_variables: Vec<String>,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// [`LogFormat::Json`] of services that do not write to a terminal, otherwise [`LogFormat::Pretty`].
    Auto,
    /// One JSON object per line.
    Json,
    /// Text for people.
    Pretty,
}

/// Settings given as command-line flags, which override every other source. A field is `None` if its flag is not given.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: the configuration file.
    pub config: Option<PathBuf>,
    /// `--database-url`. Other users of the machine can read a password in it, since they can list the arguments of
    /// processes.
    pub database_url: Option<Secret>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--base-url`
    pub imdb_base_url: Option<String>,
    /// `--http-addr`
    pub http_addr: Option<String>,
    /// `--admin-addr`
    pub admin_addr: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
}

impl Config {
    /// Reads the configuration file, the environment variables, and the files of secrets that variables name, and adds
    /// `overrides`.
    ///
    /// # Errors
    /// [`ConfigError`] if a file cannot be read, a setting is unknown, or a setting does not accept its value.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let variables = prefixed_variables()?;
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

    /// As [`Config::load`], but the caller has read the variables and the configuration file, whose path and text
    /// `file` has. Variables that do not start with `CINEGRAPH_` are ignored. The files of secrets that variables name
    /// are read here.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_layers(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut values = Values::defaults();
        if let Some((path, text)) = file {
            values.add_file(path, text)?;
        }
        let unknown_variables = values.add_variables(&variables.into_iter().collect())?;
        values.add_flags(overrides.flags());
        values.validate()?;
        let description = values.describe();
        let config: Self = values.into_table().try_into().map_err(Box::new)?;
        Ok(Self { description, unknown_variables, ..config })
    }

    /// Whether `log_filter` has its default value.
    #[must_use]
    pub fn has_default_log_filter(&self) -> bool {
        Setting::named("log_filter").and_then(|setting| setting.default) == Some(&self.log_filter)
    }

    /// The effective configuration as TOML, with comments that say what each setting means and where its value is from.
    /// Passwords are masked.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// The names of the variables that start with `CINEGRAPH_` but belong to no setting, so that they were ignored.
    #[must_use]
    pub fn unknown_variables(&self) -> &[String] {
        &self.unknown_variables
    }
}

impl LogFormat {
    /// Whether log lines are JSON. [`LogFormat::Auto`] depends on whether people read them.
    #[must_use]
    pub fn is_json(self, is_for_people: bool) -> bool {
        match self {
            Self::Auto => !is_for_people,
            Self::Json => true,
            Self::Pretty => false,
        }
    }
}

impl Overrides {
    /// For each flag that sets a setting: the flag, the key of the setting, and the value, if the flag is given.
    fn flags(&self) -> [(&'static str, &'static str, Option<&str>); 6] {
        [
            ("--database-url", "database_url", self.database_url.as_ref().map(Secret::expose)),
            ("--data-dir", "data_dir", self.data_dir.as_deref()),
            ("--base-url", "imdb_base_url", self.imdb_base_url.as_deref()),
            ("--http-addr", "http_addr", self.http_addr.as_deref()),
            ("--admin-addr", "admin_addr", self.admin_addr.as_deref()),
            ("--log-format", "log_format", self.log_format.as_deref()),
        ]
    }
}

/// The environment variables that start with [`PREFIX`].
///
/// # Errors
/// [`ConfigError::NotText`] if a variable that this program reads is not UTF-8. Any other such variable gets an empty
/// value, because only its name is reported.
fn prefixed_variables() -> Result<BTreeMap<String, String>, ConfigError> {
    let variables = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    variables
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) if known_variables().any(|known| known == name) => Err(ConfigError::NotText { variable: name }),
            Err(_) => Ok((name, String::new())),
        })
        .collect()
}

/// Deserializes a number of seconds.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Deserializes a setting that has a value. A setting without one is `None` by `serde(default)`.
fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
