//! Kinds of columns of CSV files.

use super::spellings::Vocabulary;

/// What the values of a column are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Id of a movie that the file defines.
    NewMovie,
    /// Id of a movie in movies.csv.
    Movie,
    /// Id of a person that the file defines.
    NewPerson,
    /// Id of a person in people.csv.
    Person,
    /// Text with a maximum number of characters.
    Text(usize),
    OptionalText(usize),
    OptionalImdbId,
    OptionalLanguage,
    /// Path of a poster at TMDb.
    OptionalPoster,
    /// A name that may have been given in another spelling before.
    Name(Vocabulary),
    /// Category of an award, whose organization precedes it.
    Category,
    /// Source of a metric.
    Source,
    /// Type of a metric, whose source precedes it.
    MetricType,
    OneOf(&'static [&'static str]),
    Year,
    /// A position, 0 at least.
    OptionalPosition,
    OptionalMinutes,
    OptionalDate,
    OptionalTime,
    /// A number on the scale of its metric, whose source and type precede it. Rows without a value are skipped.
    Metric,
}

impl Kind {
    /// Whether a row may have no value of this kind.
    pub(super) fn is_optional(self) -> bool {
        matches!(
            self,
            Self::OptionalText(_)
                | Self::OptionalImdbId
                | Self::OptionalLanguage
                | Self::OptionalPoster
                | Self::OptionalPosition
                | Self::OptionalMinutes
                | Self::OptionalDate
                | Self::OptionalTime
                | Self::Metric
        )
    }
}
