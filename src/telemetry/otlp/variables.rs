//! The `OTEL_*` variables of the environment. Whatever is set but not honoured becomes a warning that names it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

/// The `OTEL_*` variables that are set. An empty value is the same as none, as the specification says.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    read: RefCell<BTreeSet<String>>,
    warnings: RefCell<Vec<String>>,
}

impl Variables {
    /// Those of the environment.
    pub(super) fn from_environment() -> Self {
        let variables = Self::of(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("OTEL_"))?;
            Some((name, value.to_string_lossy().into_owned()))
        }));
        for name in variables.values.iter().filter(|(_, value)| value.contains(char::REPLACEMENT_CHARACTER)) {
            variables.warn(format!("{} is not UTF-8", name.0));
        }
        variables
    }

    pub(super) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let trimmed = pairs.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Self { values: trimmed.filter(|(_, value)| !value.is_empty()).collect(), ..Self::default() }
    }

    /// The value of a variable.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.read.borrow_mut().insert(name.to_owned());
        self.values.get(name).map(String::as_str)
    }

    /// The variable of one signal, `OTEL_EXPORTER_OTLP_TRACES_…`, or else that of all; with the name of the one that is
    /// set.
    pub(super) fn of_signal(&self, prefix: &str, option: &str) -> Option<(String, &str)> {
        let general = self.named(format!("OTEL_EXPORTER_OTLP_{option}"));
        self.named(format!("OTEL_EXPORTER_OTLP_{prefix}_{option}")).or(general)
    }

    fn named(&self, name: String) -> Option<(String, &str)> {
        self.text(&name).map(|value| (name, value))
    }

    /// Whether a variable is set, without reading it.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The parsed value of a variable. Warns about one that is not `expected`.
    pub(super) fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
        is_valid: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok().filter(is_valid);
        if value.is_none() {
            self.reject(name, text, expected);
        }
        value
    }

    /// A positive number of milliseconds.
    pub(super) fn milliseconds(&self, name: &str) -> Option<Duration> {
        self.parsed(name, "a positive number of milliseconds", |&number| number > 0).map(Duration::from_millis)
    }

    /// A positive number of items.
    pub(super) fn size(&self, name: &str) -> Option<usize> {
        self.parsed(name, "a positive number", |&number| number > 0)
    }

    /// A limit, which may be zero.
    pub(super) fn limit(&self, name: &str) -> Option<u32> {
        self.parsed(name, "a number", |_| true)
    }

    /// True or false, in upper or lower case.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let text = self.text(name)?.to_ascii_lowercase();
        let value = text.parse().ok();
        if value.is_none() {
            self.reject(name, &text, "true or false");
        }
        value
    }

    /// Warns about a value. Not for values that may be secret, since it repeats them.
    pub(super) fn reject(&self, name: &str, value: &str, expected: &str) {
        self.warn(format!("{name}={value:?} is not {expected} and has no effect"));
    }

    /// Adds a warning, unless another signal has added the same.
    pub(super) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Warns about the unread variables with one of these prefixes, since what they configure is not used, and says why.
    pub(super) fn warn_of_unused(&self, prefixes: &[&str], why: &str) {
        for name in self.values.keys().filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))) {
            let is_unread = self.read.borrow_mut().insert(name.clone());
            if is_unread {
                self.warn(format!("{name} has no effect, since {why}"));
            }
        }
    }

    /// All warnings, including one for each variable that was not read.
    pub(super) fn into_warnings(self) -> Vec<String> {
        let read = self.read.into_inner();
        let unread = self.values.into_keys().filter(|name| !read.contains(name));
        let unsupported = unread
            .map(|name| format!("{name} has no effect: it is not supported, or what it configures is not in use"));
        self.warnings.into_inner().into_iter().chain(unsupported).collect()
    }
}

/// Splits a list of `name=value` pairs whose values are percent-encoded. `None` if one of them is malformed.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |item: &str| {
        let (name, value) = item.split_once('=')?;
        let (name, value) = (name.trim(), percent_encoding::percent_decode_str(value.trim()));
        Some((name.to_owned(), value.decode_utf8().ok()?.into_owned())).filter(|(name, _)| !name.is_empty())
    };
    text.split(',').filter(|item| !item.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        Variables::of(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn each_variable_that_nothing_reads_is_a_warning() {
        let set = variables(&[("OTEL_A", "1"), ("OTEL_B", "2"), ("OTEL_C", "")]);
        assert_eq!(set.text("OTEL_A"), Some("1"));

        assert_eq!(
            set.into_warnings(),
            ["OTEL_B has no effect: it is not supported, or what it configures is not in use"]
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_a_warning() {
        let set = variables(&[("OTEL_A", "soon"), ("OTEL_B", "0"), ("OTEL_C", " 5 "), ("OTEL_D", "yes")]);

        assert_eq!(set.milliseconds("OTEL_A"), None);
        assert_eq!(set.size("OTEL_B"), None);
        assert_eq!(set.size("OTEL_C"), Some(5));
        assert_eq!(set.switch("OTEL_D"), None);
        let warnings = set.into_warnings();
        assert_eq!(warnings.len(), 3);
        assert_eq!(warnings[0], "OTEL_A=\"soon\" is not a positive number of milliseconds and has no effect");
    }

    #[test]
    fn a_variable_of_one_signal_overrides_that_of_all() {
        let set = variables(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "1"), ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "2")]);

        assert_eq!(set.of_signal("LOGS", "TIMEOUT").unwrap().1, "2");
        assert_eq!(set.of_signal("TRACES", "TIMEOUT").unwrap().1, "1");
        assert_eq!(set.into_warnings(), Vec::<String>::new());
    }

    #[test]
    fn pairs_are_percent_decoded() {
        let decoded = pairs("a=1, b = eu%2Cwest ,,c=x%3Dy=z").unwrap();

        let expected = [("a", "1"), ("b", "eu,west"), ("c", "x=y=z")];
        assert_eq!(decoded, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for malformed in ["a", "=1", "a=%FF"] {
            assert_eq!(pairs(malformed), None, "{malformed}");
        }
    }
}
