//! Checks the values of CSV files, and normalises those that people write in several forms.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Days, NaiveDateTime, Utc};

use cinegraph_list_formats::imdb_id;

use super::changes::{Change, Changes};
use super::column_kind::Kind;
use super::error::Problem;
use super::languages;
use super::metric_names::{self, KnownMetric};
use super::spellings::{Spellings, Vocabulary};
use super::values::{
    TEXT, date, integer, is_invisible, is_placeholder, movie_id, number, shown, time, with_decimal_point,
    without_control_characters,
};
use crate::store::StoredNames;

/// Smallest TMDb id in a file. In the database, movies without a TMDb id have negative ids.
const ID_MIN: i32 = 1;
/// Sizes of the database's columns for the names of sources and metric types.
const SOURCE_CHARACTERS: usize = 50;
const METRIC_CHARACTERS: usize = 100;
/// Year of the first films.
const YEAR_MIN: i32 = 1870;
/// How many years ahead films have dates. A choice.
const YEARS_AHEAD: i32 = 10;
/// Minutes of a day, which few films take.
const MINUTES_MAX: i32 = 24 * 60;

/// A validated value.
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A metric without a value, whose row is skipped.
    NoMetric,
}

/// What the checks of a value depend on: the ids and names in the rows before it.
pub(super) struct Checks {
    /// Ids that the files define, with their lines.
    movies: HashMap<i32, u64>,
    people: HashMap<i32, u64>,
    spellings: Spellings,
    /// Changes in the current file.
    changes: Changes,
    /// The current row.
    line: u64,
    has_decimal_commas: bool,
    source: String,
    metric: Option<&'static KnownMetric>,
    /// The values of each known metric in the current file, by its name.
    values: BTreeMap<String, Values>,
    organization: String,
    now: NaiveDateTime,
}

/// The values of a metric in a file.
struct Values {
    metric: &'static KnownMetric,
    rows: u64,
    /// Line of the first.
    line: u64,
    largest: f64,
}

impl Checks {
    pub(super) fn new(stored: &StoredNames, now: DateTime<Utc>) -> Self {
        Self {
            movies: HashMap::new(),
            people: HashMap::new(),
            spellings: Spellings::new(stored),
            changes: Changes::default(),
            line: 0,
            has_decimal_commas: false,
            source: String::new(),
            metric: None,
            values: BTreeMap::new(),
            organization: String::new(),
            now: now.naive_utc(),
        }
    }

    pub(super) fn begin_row(&mut self, line: u64, has_decimal_commas: bool) {
        (self.line, self.has_decimal_commas) = (line, has_decimal_commas);
    }

    /// The changes since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        for (name, Values { metric, rows, line, largest }) in std::mem::take(&mut self.values) {
            if metric.is_smaller_scale(rows, largest) {
                self.changes.add(Change::Unusual, rows, line, || format!("{name} up to {largest} only"));
            }
        }
        std::mem::take(&mut self.changes)
    }

    /// Checks and normalises a value of a column of this kind. Records the id if the file defines it.
    pub(super) fn cell<'a>(&mut self, kind: Kind, written: &'a str) -> Result<Cell<'a>, Problem> {
        let value = self.cleaned(written);
        let is_placeholder =
            (kind.is_optional() || matches!(kind, Kind::Name(_) | Kind::Category)) && is_placeholder(&value);
        if is_placeholder {
            self.count(Change::Placeholder, &value);
        }
        if value.is_empty() || is_placeholder {
            return match kind {
                Kind::Metric => Ok(Cell::NoMetric),
                kind if kind.is_optional() => Ok(Cell::Null),
                _ => Err(Problem::NoValue),
            };
        }
        self.checked(kind, value).map(Cell::Text)
    }

    fn checked<'a>(&mut self, kind: Kind, value: Cow<'a, str>) -> Result<Cow<'a, str>, Problem> {
        match kind {
            Kind::NewMovie | Kind::Movie => self.movie(kind, value),
            Kind::NewPerson | Kind::Person => {
                let id = integer(&value, ID_MIN, i32::MAX)?;
                if matches!(kind, Kind::NewPerson) {
                    add(&mut self.people, id, self.line)?;
                } else if !self.people.contains_key(&id) {
                    return Err(Problem::UnknownPerson { id });
                }
                Ok(value)
            }
            Kind::Text(max) | Kind::OptionalText(max) => {
                if is_placeholder(&value) {
                    self.count(Change::PlaceholderText, &value);
                }
                of_length(value, max)
            }
            Kind::OptionalPoster => poster(value),
            Kind::OptionalImdbId => {
                let id = imdb_id(&value).ok_or_else(|| not_an_id(&value, "tt0111161"))?;
                Ok(self.normalised(Change::ImdbId, value, &id))
            }
            Kind::OptionalLanguage => {
                let code = languages::code(&value).ok_or_else(|| Problem::NotALanguage { value: shown(&value) })?;
                Ok(self.normalised(Change::Language, value, code))
            }
            Kind::Name(vocabulary) => self.name(vocabulary, value),
            Kind::Category => self.name(Vocabulary::Categories, value),
            Kind::Source | Kind::MetricType => self.metric_name(kind, value),
            Kind::OneOf(allowed) => {
                let word = allowed.iter().find(|word| word.eq_ignore_ascii_case(&value));
                let word = word.ok_or_else(|| Problem::NotOneOf { value: shown(&value), allowed })?;
                Ok(self.normalised(Change::Letters, value, word))
            }
            Kind::Year => integer(&value, 1, 9999).map(|_| value),
            Kind::OptionalPosition => integer(&value, 0, i32::MAX).map(|_| value),
            Kind::OptionalMinutes => {
                let is_plausible = integer(&value, 0, i32::MAX)? <= MINUTES_MAX;
                Ok(self.doubted(Change::Implausible, is_plausible, value))
            }
            Kind::OptionalDate => {
                let is_plausible = (YEAR_MIN..=self.now.year() + YEARS_AHEAD).contains(&date(&value)?.year());
                Ok(self.doubted(Change::Implausible, is_plausible, value))
            }
            Kind::OptionalTime => {
                let time = time(&value)?;
                // A day more, for times of other time zones.
                self.doubted(Change::Future, time <= self.now + Days::new(1), value);
                Ok(Cow::Owned(time.to_string()))
            }
            Kind::Metric => self.metric(&value),
        }
    }

    /// The value without control characters and without spaces around it.
    fn cleaned<'a>(&mut self, written: &'a str) -> Cow<'a, str> {
        let text = without_control_characters(written);
        if matches!(text, Cow::Owned(_)) {
            self.count(Change::ControlCharacters, written);
        }
        let is_space = |c: char| c.is_whitespace() || is_invisible(c);
        let trimmed = text.trim_matches(is_space);
        if trimmed.len() == text.len() {
            return text;
        }
        if !trimmed.is_empty() {
            self.count(Change::Spaces, written);
        }
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(is_space)),
            Cow::Owned(text) => Cow::Owned(text.trim_matches(is_space).to_owned()),
        }
    }

    fn movie<'a>(&mut self, kind: Kind, value: Cow<'a, str>) -> Result<Cow<'a, str>, Problem> {
        let id = movie_id(&value)?;
        if matches!(kind, Kind::NewMovie) {
            add(&mut self.movies, id, self.line)?;
        } else if !self.movies.contains_key(&id) {
            return Err(Problem::UnknownMovie { id });
        }
        Ok(self.normalised(Change::TmdbId, value, &id.to_string()))
    }

    fn name<'a>(&mut self, vocabulary: Vocabulary, value: Cow<'a, str>) -> Result<Cow<'a, str>, Problem> {
        let value = of_length(value, TEXT)?;
        let scope = if vocabulary == Vocabulary::Categories { &self.organization } else { "" };
        let (name, is_new) = self.spellings.of(vocabulary, scope, &value);
        let name = name.to_owned();
        match vocabulary {
            Vocabulary::Genres if is_new => self.count(Change::NewGenre, &value),
            Vocabulary::Organizations if is_new => self.count(Change::NewOrganization, &value),
            _ => {}
        }
        if vocabulary == Vocabulary::Organizations {
            self.organization.clone_from(&name);
        }
        Ok(self.normalised(Change::Name, value, &name))
    }

    /// The name of a source, or of a metric type, whose row is then counted if the metric is unknown.
    fn metric_name<'a>(&mut self, kind: Kind, value: Cow<'a, str>) -> Result<Cow<'a, str>, Problem> {
        let is_source = matches!(kind, Kind::Source);
        let known = if is_source { metric_names::source(&value) } else { metric_names::kind(&value) };
        let value = match known {
            Some(name) => self.normalised(Change::MetricName, value, name),
            None => of_length(value, if is_source { SOURCE_CHARACTERS } else { METRIC_CHARACTERS })?,
        };
        if is_source {
            self.source.clear();
            self.source.push_str(&value);
            return Ok(value);
        }
        self.metric = metric_names::find(&self.source, &value);
        if self.metric.is_none() {
            self.changes.count_unknown_metric(&self.source, &value, self.line);
        }
        Ok(value)
    }

    fn metric(&mut self, value: &str) -> Result<Cow<'static, str>, Problem> {
        let with_point = if self.has_decimal_commas { with_decimal_point(value) } else { None };
        if with_point.is_some() {
            self.count(Change::DecimalComma, value);
        }
        let written = with_point.as_deref().unwrap_or(value);
        let number = number(written)?;
        if let Some(metric) = self.metric {
            metric.check(number, value)?;
            if metric.may_be_another(written) {
                self.count(Change::Rounded, value);
            }
            if metric.is_unusual(number) {
                self.count(Change::Unusual, value);
            }
            let first = || Values { metric, rows: 0, line: self.line, largest: 0.0 };
            let values = self.values.entry(metric.name()).or_insert_with(first);
            values.rows += 1;
            values.largest = values.largest.max(number);
        }
        Ok(Cow::Owned(number.to_string()))
    }

    /// The normalised form of a value; counts a change if it is another one.
    fn normalised<'a>(&mut self, change: Change, value: Cow<'a, str>, form: &str) -> Cow<'a, str> {
        if value == form {
            return value;
        }
        self.count(change, &value);
        Cow::Owned(form.to_owned())
    }

    /// The value, which is counted if it is not plausible.
    fn doubted<'a>(&mut self, change: Change, is_plausible: bool, value: Cow<'a, str>) -> Cow<'a, str> {
        if !is_plausible {
            self.count(change, &value);
        }
        value
    }

    fn count(&mut self, change: Change, value: &str) {
        self.changes.count(change, self.line, value);
    }
}

/// Records an id that a file defines; an error if an earlier line has defined it.
fn add(ids: &mut HashMap<i32, u64>, id: i32, line: u64) -> Result<(), Problem> {
    match ids.insert(id, line) {
        Some(earlier) => Err(Problem::Repeated { value: id.to_string(), earlier }),
        None => Ok(()),
    }
}

fn of_length(value: Cow<'_, str>, max: usize) -> Result<Cow<'_, str>, Problem> {
    let length = value.chars().count();
    if length > max { Err(Problem::TooLong { length, max }) } else { Ok(value) }
}

/// Checks the path of a poster, which clients append to the address of TMDb's images.
fn poster(value: Cow<'_, str>) -> Result<Cow<'_, str>, Problem> {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let name = value.strip_prefix('/').filter(|name| !name.is_empty() && name.bytes().all(is_in_name));
    if name.is_none() {
        return Err(Problem::NotAPoster { value: shown(&value) });
    }
    of_length(value, TEXT)
}

fn not_an_id(value: &str, example: &'static str) -> Problem {
    Problem::NotAnId { value: shown(value), example }
}
