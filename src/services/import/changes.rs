//! What an import changes or ignores in the values of a file: counted, each kind with an example.

use std::collections::BTreeMap;
use std::fmt;

use super::metric_names::nearest;
use super::values::shown;

/// Number of unknown metrics that are counted by name. A choice; a file with swapped columns has thousands.
const UNKNOWN_METRICS_MAX: usize = 20;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// An IMDb id in another form than IMDb's.
    ImdbId,
    /// A TMDb id in another form than a plain number.
    TmdbId,
    /// A language in another form than its code of two letters.
    Language,
    /// A word such as `NULL` in an optional column.
    Placeholder,
    /// Control characters in a text.
    ControlCharacters,
    /// Spaces around a value.
    Spaces,
    /// A word in other letters, such as `FALSE`.
    Letters,
    /// A number with a decimal comma.
    DecimalComma,
    /// The name of a genre, organization or list in another spelling than a known one.
    Name,
    /// The name of a source or metric type in another spelling.
    MetricName,
    /// A text longer than its column.
    Shortened,
    /// No line break after the last row.
    NoLineBreak,
    /// A movie of the database that gets another title.
    Title,
    /// A movie of the database whose year moves by more than one.
    Year,
    /// A movie of the database that gets another IMDb id.
    OtherImdbId,
    /// A movie of the database that gets another TMDb id, or becomes one with another.
    Merged,
    /// A value of the database that an empty cell removes.
    Removed,
    /// A value that replaces one of a later time.
    Older,
    /// A time after the present.
    Future,
    /// A date before the first films or long after the present, or a runtime of more than a day.
    Implausible,
    /// A number that a program may have rounded, or whose point may separate thousands.
    Rounded,
    /// A metric far above its usual values, with a fraction where it has none, or on a smaller scale.
    Unusual,
    /// A genre that neither the database nor TMDb has.
    NewGenre,
    /// An organization that the database does not have.
    NewOrganization,
    /// A text such as `NULL` in a required column.
    PlaceholderText,
}

impl Change {
    /// Whether the value is stored as it is, but may be wrong.
    fn is_doubt(self) -> bool {
        self >= Self::Title
    }
}

/// How often something was changed, and where first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How often.
    pub count: u64,
    /// Line of the first.
    pub line: u64,
    /// Value of the first, truncated.
    pub value: String,
}

/// What was changed or ignored in the values of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    counts: BTreeMap<Change, Counted>,
    /// Rows by the name of their unknown metric.
    unknown_metrics: BTreeMap<String, UnknownMetric>,
    /// Rows of further unknown metrics.
    other_unknown_metrics: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct UnknownMetric {
    rows: u64,
    line: u64,
    nearest: String,
}

impl Changes {
    /// Counts a change.
    pub(super) fn count(&mut self, change: Change, line: u64, value: &str) {
        self.add(change, 1, line, || shown(value));
    }

    /// Counts several changes, with the value of the first.
    pub(super) fn add(&mut self, change: Change, count: u64, line: u64, value: impl FnOnce() -> String) {
        let first = || Counted { count: 0, line, value: value() };
        self.counts.entry(change).or_insert_with(first).count += count;
    }

    /// Counts a row of an unknown metric.
    pub(super) fn count_unknown_metric(&mut self, source: &str, kind: &str, line: u64) {
        let name = format!("{source} {kind}");
        if let Some(known) = self.unknown_metrics.get_mut(&name) {
            known.rows += 1;
        } else if self.unknown_metrics.len() < UNKNOWN_METRICS_MAX {
            self.unknown_metrics.insert(name, UnknownMetric { rows: 1, line, nearest: nearest(source, kind) });
        } else {
            self.other_unknown_metrics += 1;
        }
    }

    /// How often a change was made.
    #[must_use]
    pub fn of(&self, change: Change) -> u64 {
        self.first(change).map_or(0, |counted| counted.count)
    }

    /// The first of the changes of a kind.
    pub(super) fn first(&self, change: Change) -> Option<&Counted> {
        self.counts.get(&change)
    }

    /// The changes of a file, a line each.
    pub(super) fn lines(&self, file: &str) -> Vec<String> {
        let counts = self.counts.iter().map(|(change, Counted { count, line, value })| match change {
            Change::NoLineBreak => {
                format!("changed in {file}: {change} (line {line}): check that this row is complete")
            }
            _ => {
                let verb = if change.is_doubt() { "check" } else { "changed" };
                format!("{verb} in {file}: {count} {change} (line {line}: {value:?})")
            }
        });
        let unknown = self.unknown_metrics.iter().map(|(name, UnknownMetric { rows, line, nearest })| {
            let name = shown(name);
            format!(
                "unknown in {file}: {rows} rows of the metric {name:?}, which no score uses (line {line}); the nearest \
                 known one is {nearest:?}"
            )
        });
        let other = Some(self.other_unknown_metrics).filter(|rows| *rows > 0);
        let other = other.map(|rows| format!("unknown in {file}: {rows} rows of further unknown metrics"));
        counts.chain(unknown).chain(other).collect()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImdbId => "IMDb ids normalised",
            Self::TmdbId => "TMDb ids normalised",
            Self::Language => "languages normalised",
            Self::Placeholder => "placeholders read as no value",
            Self::ControlCharacters => "texts with control characters, replaced by spaces",
            Self::Spaces => "values with spaces around them, removed",
            Self::Letters => "words in other letters",
            Self::DecimalComma => "numbers with a decimal comma",
            Self::Name => "names in another spelling than a known one, which is used",
            Self::MetricName => "names of sources and metric types normalised",
            Self::Shortened => "texts longer than 255 characters, shortened",
            Self::NoLineBreak => "the last row has no line break",
            Self::Title => "movies that get another title",
            Self::Year => "movies that get another year",
            Self::OtherImdbId => "movies that get another IMDb id",
            Self::Merged => "movies that had another TMDb id",
            Self::Removed => "stored values that empty cells remove",
            Self::Older => "values older than those that they replace",
            Self::Future => "times in the future",
            Self::Implausible => "implausible dates or runtimes",
            Self::Rounded => "numbers that are rounded, or whose point may separate thousands",
            Self::Unusual => "metrics far off their usual values",
            Self::NewGenre => "new genres",
            Self::NewOrganization => "new organizations",
            Self::PlaceholderText => "texts that may stand for no value",
        })
    }
}
