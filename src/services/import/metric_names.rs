//! Names and scales of the metrics in external_metrics.csv.

use strsim::osa_distance;

use super::error::Problem;
use super::values::shown;

/// A metric that Cinegraph knows, with the scale of its values.
pub(super) struct KnownMetric {
    source: &'static str,
    kind: &'static str,
    /// Largest value; the smallest is 0.
    max: f64,
    /// Largest value that is usual.
    usual: f64,
}

/// A metric with a scale.
const fn metric(source: &'static str, kind: &'static str, max: f64) -> KnownMetric {
    KnownMetric { source, kind, max, usual: max }
}

/// A metric without a scale. `usual` is a choice: several times the largest value of any film.
const fn count(source: &'static str, kind: &'static str, usual: f64) -> KnownMetric {
    KnownMetric { source, kind, max: f64::MAX, usual }
}

/// The known metrics. Scores use the two rating averages, `metascore`, `tomatometer` and `popularity_score`; the others
/// are only shown.
const METRICS: [KnownMetric; 20] = [
    metric("tmdb", "rating_average", 10.0),
    count("tmdb", "rating_votes", 1e7),
    count("tmdb", "popularity_score", 1e5),
    count("tmdb", "budget", 1e10),
    count("tmdb", "revenue_worldwide", 1e10),
    count("tmdb", "list_appearances", 1e6),
    count("tmdb", "trending_rank", 1e8),
    count("tmdb", "popularity_rank", 1e8),
    metric("imdb", "rating_average", 10.0),
    count("imdb", "rating_votes", 1e7),
    count("imdb", "popularity_rank", 1e8),
    metric("metacritic", "metascore", 100.0),
    metric("rotten_tomatoes", "tomatometer", 100.0),
    metric("rotten_tomatoes", "audience_score", 100.0),
    count("omdb", "revenue_domestic", 1e10),
    count("omdb", "oscar_wins", 100.0),
    count("omdb", "oscar_nominations", 100.0),
    count("omdb", "total_awards", 1e4),
    count("the_numbers", "revenue_domestic", 1e10),
    count("the_numbers", "revenue_international", 1e10),
];

/// Other names of the sources, as [`folded`] returns them.
const SOURCE_NAMES: [(&str, &str); 9] = [
    ("themoviedb", "tmdb"),
    ("themoviedborg", "tmdb"),
    ("themoviedatabase", "tmdb"),
    ("tmdborg", "tmdb"),
    ("imdbcom", "imdb"),
    ("internetmoviedatabase", "imdb"),
    ("metacriticcom", "metacritic"),
    ("rottentomatoescom", "rotten_tomatoes"),
    ("rt", "rotten_tomatoes"),
];

/// Letters and digits of a name in lower case, so that `Rotten Tomatoes` and `rotten-tomatoes` are the same name.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The name of a source as it is stored; `None` if the source is unknown.
pub(super) fn source(written: &str) -> Option<&'static str> {
    let folded = folded(written);
    let known = METRICS.iter().map(|metric| metric.source).find(|source| self::folded(source) == folded);
    known.or_else(|| SOURCE_NAMES.iter().find(|(name, _)| *name == folded).map(|(_, source)| *source))
}

/// The name of a metric type as it is stored; `None` if the type is unknown.
pub(super) fn kind(written: &str) -> Option<&'static str> {
    let folded = folded(written);
    METRICS.iter().map(|metric| metric.kind).find(|kind| self::folded(kind) == folded)
}

/// The metric with the stored names `source` and `kind`.
pub(super) fn find(source: &str, kind: &str) -> Option<&'static KnownMetric> {
    METRICS.iter().find(|metric| metric.source == source && metric.kind == kind)
}

/// Name of the known metric that is most similar to an unknown one. The type decides before the source.
pub(super) fn nearest(source: &str, kind: &str) -> String {
    // Distances are computed of the beginnings only: their cost grows with the square of the length.
    let distance = |written: &str, known: &str| {
        let written: String = folded(written).chars().take(50).collect();
        osa_distance(&written, &folded(known))
    };
    let nearest = METRICS.iter().min_by_key(|known| (distance(kind, known.kind), distance(source, known.source)));
    nearest.map_or_else(String::new, KnownMetric::name)
}

impl KnownMetric {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.source, self.kind)
    }

    /// Whether the values are usually whole numbers.
    fn is_whole(&self) -> bool {
        !matches!(self.kind, "rating_average" | "popularity_score")
    }

    /// Whether a written number may be another than the one that was meant: `1.23E+05` of a spreadsheet is rounded, and
    /// `63.000` may be 63,000.
    pub(super) fn may_be_another(&self, written: &str) -> bool {
        let is_rounded = written.split_once(['e', 'E']).is_some_and(|(digits, exponent)| {
            let written = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            exponent.parse::<usize>().is_ok_and(|places| places > written) && (written > 0 || exponent.starts_with('+'))
        });
        let has_group = written.split_once('.').is_some_and(|(_, digits)| digits.len() == 3);
        self.is_whole() && (is_rounded || has_group)
    }

    /// Whether a value on the scale is far off those that are usual.
    pub(super) fn is_unusual(&self, value: f64) -> bool {
        value > self.usual || self.max < f64::MAX && self.is_whole() && value.fract() != 0.0
    }

    /// Whether so many values, of which this is the largest, are probably on a smaller scale: 0 to 1, or half of theirs. A
    /// file of bad films has low values, too, but not of hundreds.
    pub(super) fn is_smaller_scale(&self, values: u64, largest: f64) -> bool {
        let (is_share, is_half) = (values >= 3 && largest <= 1.0, values >= 200 && largest <= self.max / 2.0);
        self.max < f64::MAX && largest > 0.0 && (is_share || is_half)
    }

    /// Checks that a value is on the scale.
    pub(super) fn check(&self, value: f64, written: &str) -> Result<(), Problem> {
        let is_whole = self.kind != "rating_votes" || value.fract() == 0.0;
        if (0.0..=self.max).contains(&value) && is_whole {
            return Ok(());
        }
        let scale = match self.max {
            _ if !is_whole => "a whole number".to_owned(),
            f64::MAX => "0 at least".to_owned(),
            max => format!("0 to {max}"),
        };
        Err(Problem::OffScale { value: shown(written), metric: self.name(), scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_other_spellings() {
        for (written, expected) in [
            ("TMDB", "tmdb"),
            ("IMDb", "imdb"),
            ("Rotten Tomatoes", "rotten_tomatoes"),
            ("rotten-tomatoes", "rotten_tomatoes"),
            ("The Movie Database", "tmdb"),
            ("imdb.com", "imdb"),
            ("the numbers", "the_numbers"),
        ] {
            assert_eq!(source(written), Some(expected), "{written}");
        }
        assert_eq!(kind("Rating Average"), Some("rating_average"));
        assert_eq!(kind("TomatoMeter"), Some("tomatometer"));
        for written in ["tmbd", "", "--", "letterboxd"] {
            assert_eq!(source(written), None, "{written}");
        }
    }

    #[test]
    fn unknown_metrics_have_a_nearest_known_one() {
        assert_eq!(nearest("tmbd", "rating_average"), "tmdb rating_average");
        assert_eq!(nearest("imdb", "raitng_average"), "imdb rating_average");
        assert_eq!(nearest("imdb", "metascore"), "metacritic metascore");
        assert_eq!(nearest("rottentomatos", "tomatometr"), "rotten_tomatoes tomatometer");
    }

    #[test]
    fn values_off_their_scale_are_refused() {
        let fits = |source, kind, value: f64| find(source, kind).unwrap().check(value, "x").is_ok();
        assert!(fits("imdb", "rating_average", 10.0) && fits("metacritic", "metascore", 0.0));
        assert!(!fits("imdb", "rating_average", 10.1) && !fits("metacritic", "metascore", 100.5));
        assert!(!fits("tmdb", "budget", -1.0) && fits("tmdb", "budget", 4e8));
    }
}
