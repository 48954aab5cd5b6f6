//! How often films of a rank were on the list.

use serde::Deserialize;

use super::numbers::{Interval, chart_x, percent};

/// How often films with these ranks were on the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HitRate {
    first_rank: u32,
    last_rank: Option<u32>,
    pub(super) movies: u32,
    listed: u32,
    pub(super) rate: Option<f64>,
    #[serde(default)]
    interval: Option<Interval>,
}

impl HitRate {
    pub(super) fn ranks(&self) -> String {
        match self.last_rank {
            Some(last) => format!("{}–{last}", self.first_rank),
            None => format!("from {}", self.first_rank),
        }
    }

    pub(super) fn rate(&self) -> String {
        percent(self.rate)
    }

    pub(super) fn rate_at(&self) -> Option<String> {
        chart_x(self.rate)
    }

    pub(super) fn counts(&self) -> String {
        let range = self.interval.map_or(String::new(), |interval| format!(" · {}", interval.text()));
        format!("{} of {}{range}", self.listed, self.movies)
    }

    /// What the rate is derived from, as the tooltip of a row says it.
    pub(super) fn sentence(&self) -> String {
        let Self { listed, movies, .. } = self;
        format!("Films ranked {} in past decades: {listed} of {movies} were chosen", self.ranks())
    }
}
