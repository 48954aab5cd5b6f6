//! Release dates of generated movies, and for each decade how many movies it has and how much is known about them.

use chrono::{Datelike, NaiveDate};

/// Last release year of the catalogue, and year of its last ceremonies and list editions. Fixed, so that a seed gives
/// the same catalogue in every year.
pub(super) const LAST_YEAR: i32 = 2026;

/// A decade of the generated catalogue.
#[derive(Debug)]
pub(super) struct Decade {
    first_year: i32,
    last_year: i32,
    /// Number of movies, in proportion to the other decades.
    movies: u64,
    /// Number of members of `1001_movies` in a catalogue of ten thousand movies.
    pub(super) listed: u32,
    /// Share of the movies whose director is known.
    pub(super) director: f64,
    /// Share of the movies whose cast is known.
    pub(super) cast: f64,
    /// Share of the movies that have a metascore.
    pub(super) metascore: f64,
    /// Share of the movies that have a tomatometer.
    pub(super) tomatometer: f64,
}

/// Numbers of movies and of listed movies, and the shares with known director and cast, follow a sample of 10,625 real
/// movies. The sample has mostly well-known movies, so the shares with critics' scores are set lower than in it. The
/// 2020s have the same share of all movies as in TMDb.
#[rustfmt::skip]
const DECADES: [Decade; 14] = [
    // First and last year, movies, listed; shares with director, cast, metascore, tomatometer.
    decade(1893, 1899,   29,   0, 0.05, 0.00, 0.00, 0.00),
    decade(1900, 1909,   50,   1, 0.10, 0.02, 0.00, 0.01),
    decade(1910, 1919,   93,   2, 0.30, 0.10, 0.00, 0.03),
    decade(1920, 1929,  245,  34, 0.55, 0.25, 0.01, 0.08),
    decade(1930, 1939,  519,  64, 0.88, 0.40, 0.02, 0.12),
    decade(1940, 1949,  523,  64, 0.89, 0.50, 0.03, 0.16),
    decade(1950, 1959,  670,  97, 0.92, 0.55, 0.04, 0.18),
    decade(1960, 1969,  865,  97, 0.91, 0.62, 0.05, 0.20),
    decade(1970, 1979,  918, 104, 0.90, 0.70, 0.08, 0.24),
    decade(1980, 1989, 1090, 104, 0.91, 0.80, 0.14, 0.30),
    decade(1990, 1999, 1268, 109, 0.91, 0.86, 0.25, 0.34),
    decade(2000, 2009, 1462,  80, 0.91, 0.90, 0.36, 0.38),
    decade(2010, 2019, 1601,  70, 0.90, 0.88, 0.36, 0.38),
    decade(2020, LAST_YEAR, 943,  16, 0.80, 0.75, 0.22, 0.18),
];

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
const fn decade(
    first_year: i32,
    last_year: i32,
    movies: u64,
    listed: u32,
    director: f64,
    cast: f64,
    metascore: f64,
    tomatometer: f64,
) -> Decade {
    Decade { first_year, last_year, movies, listed, director, cast, metascore, tomatometer }
}

impl Decade {
    /// First year of the decade, a multiple of ten also if the first movies are later.
    pub(super) fn start(&self) -> i32 {
        self.first_year.div_euclid(10) * 10
    }
}

/// Days from 1 January of year 1 to 1 January of `year`.
fn day_number(year: i32) -> i32 {
    NaiveDate::from_ymd_opt(year, 1, 1).map_or(0, |day| day.num_days_from_ce())
}

/// Release date of a movie, and its decade.
#[derive(Debug, Clone, Copy)]
pub(super) struct Release {
    pub(super) decade: &'static Decade,
    pub(super) date: NaiveDate,
}

/// A decade's part of the catalogue.
#[derive(Debug, Clone, Copy)]
struct DecadeRange {
    decade: &'static Decade,
    /// Day number of the first day, as in [`day_number`].
    first_day: i32,
    days: u32,
    /// Position of the first movie of the decade.
    start: u32,
    /// Position after its last movie; equals `start` if a small catalogue has no movies in the decade.
    end: u32,
}

/// Distributes the movies over the decades, and within a decade evenly over its days.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    movies: u32,
    ranges: [DecadeRange; DECADES.len()],
}

impl Timeline {
    /// Distributes `movies` in proportion to [`DECADES`]. Each range ends where the next one starts, so rounding loses
    /// no movie.
    pub(super) fn of(movies: u32) -> Self {
        let total: u64 = DECADES.iter().map(|decade| decade.movies).sum();
        let position = |weight_before: u64| u32::try_from(u64::from(movies) * weight_before / total).unwrap_or(movies);
        let mut before = 0;
        let ranges = DECADES.each_ref().map(|decade| {
            let start = position(before);
            before += decade.movies;
            let first_day = day_number(decade.first_year);
            let days = (day_number(decade.last_year + 1) - first_day).unsigned_abs();
            DecadeRange { decade, first_day, days, start, end: position(before) }
        });
        Self { movies, ranges }
    }

    /// The decades and their number of movies.
    pub(super) fn decades(&self) -> impl Iterator<Item = (&'static Decade, u32)> {
        self.ranges.iter().map(|range| (range.decade, range.end - range.start))
    }

    /// Release date of the movie at `position`; positions count from 0, oldest first.
    pub(super) fn release(&self, position: u32) -> Release {
        let index = self.ranges.partition_point(|range| range.end <= position).min(DECADES.len() - 1);
        let DecadeRange { decade, first_day, days, start, end } = self.ranges[index];
        let passed = u64::from(days) * u64::from(position - start) / u64::from((end - start).max(1));
        let day = first_day + i32::try_from(passed).unwrap_or(0);
        Release { decade, date: NaiveDate::from_num_days_from_ce_opt(day).unwrap_or_default() }
    }

    /// Share of the movies that were released before `date`, 0 to 1. `None` if `date` is before the first decade.
    pub(super) fn share_before(&self, date: NaiveDate) -> Option<f64> {
        let day = date.num_days_from_ce();
        let index = self.ranges.partition_point(|range| range.first_day <= day).checked_sub(1)?;
        let DecadeRange { first_day, days, start, end, .. } = self.ranges[index];
        let part = (f64::from(day - first_day) / f64::from(days)).min(1.0);
        Some((f64::from(start) + part * f64::from(end - start)) / f64::from(self.movies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn million_movies_fill_every_decade_with_90_000_in_the_2020s() {
        let decades: Vec<(i32, u32)> =
            Timeline::of(1_000_000).decades().map(|(decade, n)| (decade.start(), n)).collect();
        assert_eq!(decades.iter().map(|(_, movies)| movies).sum::<u32>(), 1_000_000);
        assert_eq!(
            decades.iter().map(|(decade, _)| *decade).collect::<Vec<_>>(),
            (1890..=2020).step_by(10).collect::<Vec<_>>()
        );
        assert!((88_000..=93_000).contains(&decades[13].1), "{decades:?}");
    }

    #[test]
    fn positions_are_ordered_by_date() {
        for movies in [1, 7, 1000] {
            let timeline = Timeline::of(movies);
            let dates: Vec<NaiveDate> = (0..movies).map(|position| timeline.release(position).date).collect();
            assert!(dates.is_sorted(), "{movies} movies");
        }
    }

    #[test]
    fn shares_match_positions() {
        let timeline = Timeline::of(10_000);
        let share = timeline.share_before(timeline.release(5_000).date).expect("after the first movie");
        assert!((share - 0.5).abs() < 0.001, "{share}");
        assert_eq!(timeline.share_before(NaiveDate::default().with_year(1880).expect("a date")), None);
    }
}
