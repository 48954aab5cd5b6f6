//! Accuracy of a validation and its confidence interval.

/// The 97.5 % quantile of the standard normal distribution: a 95 % interval leaves 2.5 % on each side.
const Z: f64 = 1.959_963_984_540_054;

/// Hits among the listed movies. It is both precision and recall at N, because N is the number of listed movies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Accuracy {
    /// Listed movies among the top N.
    pub hits: usize,
    /// Listed movies.
    pub listed: usize,
}

/// A confidence interval of a share. Both bounds are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl std::ops::AddAssign for Accuracy {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.listed += other.listed;
    }
}

impl Accuracy {
    /// Hits divided by listed movies, 0 to 1; `None` if no movie is listed.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.listed > 0).then(|| count(self.hits) / count(self.listed))
    }

    /// The 95 % score interval of E. B. Wilson (Journal of the American Statistical Association 22, 1927); `None` if no
    /// movie is listed. Unlike the normal approximation, it holds for few movies and for shares near 0 or 1.
    #[must_use]
    pub fn interval(self) -> Option<Interval> {
        let share = self.share()?;
        let n = count(self.listed);
        let centre = share + Z * Z / (2.0 * n);
        let margin = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        // For a share of 0 or 1, one bound equals the share, but rounding may move it past the share: clamping undoes
        // that.
        Some(Interval {
            low: ((centre - margin) / scale).clamp(0.0, share),
            high: ((centre + margin) / scale).clamp(share, 1.0),
        })
    }
}

/// Converts a count to `f64`.
#[expect(clippy::cast_precision_loss, reason = "no catalogue has 2^52 movies")]
pub(crate) fn count(movies: usize) -> f64 {
    movies as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_listed_movies_have_no_accuracy() {
        assert_eq!(Accuracy::default().share(), None);
        assert_eq!(Accuracy::default().interval(), None);
    }

    #[test]
    fn interval_is_exact_at_0_and_1() {
        let [none, all] = [0, 481].map(|hits| Accuracy { hits, listed: 481 }.interval().unwrap());
        assert_eq!((none.low, all.high), (0.0, 1.0));
    }

    #[test]
    fn interval_is_the_wilson_score_interval() {
        // 4 of 10, calculated by hand: 0.1682 to 0.6873.
        let interval = Accuracy { hits: 4, listed: 10 }.interval().unwrap();
        assert!(
            (interval.low - 0.168_180_3).abs() < 1e-6 && (interval.high - 0.687_326_2).abs() < 1e-6,
            "{interval:?}"
        );
    }

    proptest! {
        #[test]
        fn interval_contains_the_share_and_narrows_with_sample_size(listed in 1..2000_usize, part in 0.0..=1.0_f64) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count is a count")]
            let hits = (part * count(listed)) as usize;
            let few = Accuracy { hits, listed };
            let many = Accuracy { hits: hits * 10, listed: listed * 10 };
            let (share, narrow, wide) = (few.share().unwrap(), many.interval().unwrap(), few.interval().unwrap());
            prop_assert!(0.0 <= wide.low && wide.low <= share && share <= wide.high && wide.high <= 1.0);
            prop_assert!(narrow.high - narrow.low <= wide.high - wide.low);
        }
    }
}
