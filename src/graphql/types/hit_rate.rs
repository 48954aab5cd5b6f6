//! Hit rates: how often movies of a rank were on the list.

use async_graphql::SimpleObject;

use super::validation_total::Interval;
use crate::scoring::RankBand;

/// How often movies of some ranks were on the target list, in a validation of past decades. The ranks are those among all
/// movies of a decade, whether on the list or not, by scores that ignore the list.
#[derive(SimpleObject)]
pub(in crate::graphql) struct HitRate {
    /// First of the ranks; 1 is the best movie of a decade.
    first_rank: usize,
    /// Last of the ranks. Null: all ranks from `firstRank` on.
    last_rank: Option<usize>,
    /// Number of movies that had these ranks, in all of the decades.
    movies: usize,
    /// How many of them were on the list.
    listed: usize,
    /// `listed` / `movies`, 0 to 1. Null if no movie had these ranks.
    rate: Option<f64>,
    /// 95 % confidence interval of the rate (Wilson score interval). Null if no movie had these ranks.
    interval: Option<Interval>,
}

impl From<RankBand> for HitRate {
    fn from(band: RankBand) -> Self {
        let rate = band.hit_rate();
        Self {
            first_rank: band.first,
            last_rank: band.last,
            movies: band.movies,
            listed: band.listed,
            rate: rate.share(),
            interval: rate.interval().map(Into::into),
        }
    }
}
