//! Why a configuration is rejected.

use std::io;
use std::path::PathBuf;

use super::connection_url::UrlFault;
use super::kind::Kind;

/// Why the configuration was rejected. No message shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that a flag or a variable names does not exist or is not readable.
    #[error("cannot read {path:?}, named by {named_by}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The flag or variable that names it.
        named_by: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{path:?}, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Number of the line, counted from 1.
        line: usize,
        /// What the parser expected in this line.
        message: String,
    },
    /// The variable of a setting is not UTF-8.
    #[error("the value of {variable} is not UTF-8 text")]
    NotText {
        /// The variable.
        variable: String,
    },
    /// A name that no setting has.
    #[error("unknown setting {name} in {origin}; {}", hint(closest.as_deref()))]
    Unknown {
        /// The name.
        name: String,
        /// The file, or the environment.
        origin: String,
        /// The name of the setting that was probably meant. `None` if no name is similar.
        closest: Option<String>,
    },
    /// A setting of an earlier version.
    #[error("{name} in {origin} is no longer a setting: remove it. What applies instead: {replacement}")]
    Removed {
        /// The name.
        name: String,
        /// The file, or the environment.
        origin: String,
        /// What applies instead.
        replacement: &'static str,
    },
    /// A secret is given twice: as a variable, and as a file that another variable names.
    #[error("both {variable} and {variable}_FILE are set: remove one of them")]
    GivenTwice {
        /// The variable that holds the secret itself.
        variable: String,
    },
    /// A value does not fit its setting.
    #[error("{key} is {found} (from {origin}), expected {expected}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// The value as TOML, masked when it is secret.
        found: String,
        /// The file, variable or flag.
        origin: String,
        /// The values that the setting accepts.
        expected: Kind,
    },
    /// A connection URL has a part or a parameter that is not supported.
    #[error("{key} (from {origin}) {fault}")]
    Url {
        /// The setting.
        key: &'static str,
        /// The file, variable or flag.
        origin: String,
        /// What is wrong with the URL.
        fault: UrlFault,
    },
    /// A value passed the checks of its setting but does not fit the type of the field: a bug of this program.
    #[error(transparent)]
    Mistyped(#[from] Box<toml::de::Error>),
}

/// The end of the message about an unknown name.
fn hint(closest: Option<&str>) -> String {
    match closest {
        Some(closest) => format!("did you mean {closest}?"),
        None => "`cinegraph config --markdown` lists all settings".to_owned(),
    }
}
