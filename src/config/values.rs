//! The values of settings, and where each is from. Values are added in the order defaults, file, variables, flags; a
//! value that is added later replaces an earlier one.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, iter};

use toml::{Table, Value};

use super::error::ConfigError;
use super::kind::Kind;
use super::misspelling::closest;
use super::removed_settings::REMOVED_SETTINGS;
use super::settings::{FILE_VARIABLE, PREFIX, SETTINGS, Setting};

/// The values of the settings that have one.
pub(super) struct Values(BTreeMap<&'static str, Given>);

/// A value of a setting.
struct Given {
    value: Value,
    /// The file, variable or flag that the value is from, or `default`.
    origin: String,
}

impl Values {
    /// The defaults.
    pub(super) fn defaults() -> Self {
        let mut values = Self(BTreeMap::new());
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                values.add(setting, setting.kind.parse(default), "default");
            }
        }
        values
    }

    fn add(&mut self, setting: &Setting, value: Value, origin: impl Into<String>) {
        self.0.insert(setting.key, Given { value, origin: origin.into() });
    }

    /// Adds the settings of the configuration file. Only this program reads the file, so unlike an unknown variable, an
    /// unknown name in it is an error.
    pub(super) fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table: Table = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            // Only the message: the complete text of the error quotes the line, which may contain a secret.
            message: error.message().to_owned(),
        })?;
        let origin = path.display().to_string();
        for (name, value) in table {
            let Some(setting) = Setting::named(&name) else {
                let keys = SETTINGS.iter().map(|setting| setting.key.to_owned());
                let mistake = mistake(&name, &origin, keys);
                return Err(mistake.unwrap_or(ConfigError::Unknown { name, origin, closest: None }));
            };
            self.add(setting, value, &origin);
        }
        Ok(())
    }

    /// Adds the settings in variables. Returns the names of the variables that are neither a setting nor similar to
    /// one. These are no errors, because the environment is shared: Kubernetes adds variables for each Service
    /// (CINEGRAPH_SERVICE_HOST), and other programs have their own.
    pub(super) fn add_variables(&mut self, variables: &BTreeMap<String, String>) -> Result<Vec<String>, ConfigError> {
        let mut unknown = Vec::new();
        for (name, text) in variables.iter().filter(|(name, _)| name.starts_with(PREFIX) && *name != FILE_VARIABLE) {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == *name) {
                self.add(setting, setting.kind.parse(text), name);
            } else if let Some(setting) = SETTINGS.iter().find(|setting| setting.file_variable().as_ref() == Some(name))
            {
                if variables.contains_key(&setting.variable()) {
                    return Err(ConfigError::GivenTwice { variable: setting.variable() });
                }
                self.add(setting, secret_in_file(setting, text, name)?, format!("{name}={text}"));
            } else if let Some(mistake) = mistake(name, "the environment", known_variables()) {
                return Err(mistake);
            } else {
                unknown.push(name.clone());
            }
        }
        Ok(unknown)
    }

    /// Adds the settings that flags set. Each item has the name of a flag, the key of its setting, and its value;
    /// `None` if the flag is not given.
    pub(super) fn add_flags<'a>(&mut self, flags: impl IntoIterator<Item = (&'a str, &'a str, Option<&'a str>)>) {
        for (flag, key, text) in flags {
            if let (Some(setting), Some(text)) = (Setting::named(key), text) {
                self.add(setting, setting.kind.parse(text), flag);
            }
        }
    }

    /// Validates every value. This happens after all are added, so that a value that is replaced is not an error.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for setting in SETTINGS {
            let Some(Given { value, origin }) = self.0.get(setting.key) else { continue };
            if !setting.kind.validate(value) {
                return Err(invalid(setting, value, origin, setting.kind));
            }
            let refused = |fault| ConfigError::Url { key: setting.key, origin: origin.clone(), fault };
            setting.kind.check_url(value).map_err(refused)?;
        }
        Ok(())
    }

    /// All settings as TOML, with comments that say what each one means and where its value is from. Secrets are
    /// masked.
    pub(super) fn describe(&self) -> String {
        let paragraphs = SETTINGS.iter().map(|setting| {
            let Setting { key, kind, description, .. } = setting;
            let line = match self.0.get(key) {
                Some(given) => format!("{key} = {} # from {}", kind.display(&given.value), given.origin),
                None => format!("# {key} is not set"),
            };
            let variables: Vec<_> = iter::once(setting.variable()).chain(setting.file_variable()).collect();
            format!("# {description}\n# {}: {kind}.\n{line}\n", variables.join(" or "))
        });
        paragraphs.collect::<Vec<_>>().join("\n")
    }

    /// The values by key, from which the fields of `Config` are deserialized.
    pub(super) fn into_table(self) -> Table {
        self.0.into_iter().map(|(key, given)| (key.to_owned(), given.value)).collect()
    }
}

/// Reads a secret from the file that `variable` names.
fn secret_in_file(setting: &Setting, path: &str, variable: &str) -> Result<Value, ConfigError> {
    let value = Value::from(path);
    if setting.kind.validate(&value) {
        // The text is a valid value, so it is the secret itself, given in place of a path. Reading it as a path would
        // fail with an error that shows it.
        return Err(invalid(setting, &value, variable, Kind::Path));
    }
    Ok(read(Path::new(path), variable)?.trim_end_matches(['\r', '\n']).into())
}

fn invalid(setting: &Setting, value: &Value, origin: &str, expected: Kind) -> ConfigError {
    let found = setting.kind.display(value);
    ConfigError::Invalid { key: setting.key, found, origin: origin.to_owned(), expected }
}

/// The error for the name of a removed setting or of a probably misspelt one; `None` for any other name.
fn mistake(name: &str, origin: &str, known: impl Iterator<Item = String>) -> Option<ConfigError> {
    let (name, origin) = (name.to_owned(), origin.to_owned());
    let key = name.strip_prefix(PREFIX).unwrap_or(&name).to_lowercase();
    if let Some((_, replacement)) = REMOVED_SETTINGS.iter().find(|(removed, _)| *removed == key) {
        return Some(ConfigError::Removed { name, origin, replacement });
    }
    let closest = closest(&name, known)?;
    Some(ConfigError::Unknown { name, origin, closest: Some(closest) })
}

/// The variables that this program reads: those of settings, those that name the file of a secret, and the one that
/// names the configuration file.
pub(super) fn known_variables() -> impl Iterator<Item = String> {
    let settings = SETTINGS.iter().flat_map(|setting| iter::once(setting.variable()).chain(setting.file_variable()));
    settings.chain([FILE_VARIABLE.to_owned()])
}

/// Reads a file that a flag or a variable names.
pub(super) fn read(path: &Path, named_by: &str) -> Result<String, ConfigError> {
    let error = |source| ConfigError::Read { path: path.to_owned(), named_by: named_by.to_owned(), source };
    fs::read_to_string(path).map_err(error)
}

/// The line, counted from 1, that holds the byte at `offset`.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
