//! Calibration: from the log-odds of a model to probabilities that hold on movies which it never saw.

use crate::accuracy::count;

/// Newton steps; the two numbers settle in fewer than ten.
const STEPS: usize = 50;

/// Smallest part of a Newton step that is tried.
const MIN_SHARE: f64 = 1e-9;

/// Least slope: the ranking must stay, even if the scores say nothing.
const MIN_SLOPE: f64 = 0.001;

/// Two numbers that stretch and move log-odds (J. Platt, Advances in Large Margin Classifiers, 1999).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Platt {
    /// Factor of the log-odds. Above 0 if higher scores are more often listed.
    pub slope: f64,
    /// What is added.
    pub offset: f64,
}

impl Platt {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { slope: 1.0, offset: 0.0 };

    /// Fits log-odds to labels by maximum likelihood. Returns [`Self::IDENTITY`] if there are no members or no others. If
    /// higher log-odds do not mean more members, all probabilities are about the share of members.
    #[must_use]
    pub fn fit(scored: impl Iterator<Item = (f64, bool)> + Clone) -> Self {
        let (members, all) = scored.clone().fold((0_usize, 0_usize), |(m, n), (_, is)| (m + usize::from(is), n + 1));
        if members == 0 || members == all {
            return Self::IDENTITY;
        }
        if let Some(fitted) = Self::most_likely(scored.clone()).filter(|fitted| fitted.slope >= MIN_SLOPE) {
            return fitted;
        }
        let mean = scored.map(|(score, _)| score).sum::<f64>() / count(all);
        Self { slope: MIN_SLOPE, offset: (count(members) / count(all - members)).ln() - MIN_SLOPE * mean }
    }

    /// Newton's method, each step halved until the likelihood rises; `None` if it does not settle.
    fn most_likely(scored: impl Iterator<Item = (f64, bool)> + Clone) -> Option<Self> {
        let (mut now, mut likelihood) = (Self::IDENTITY, Self::IDENTITY.likelihood(scored.clone()));
        for _ in 0..STEPS {
            let full = now.newton_step(scored.clone()).filter(|full| (full.slope + full.offset).is_finite())?;
            let mut share = 1.0;
            let next = loop {
                let next = Self {
                    slope: now.slope + share * (full.slope - now.slope),
                    offset: now.offset + share * (full.offset - now.offset),
                };
                let risen = next.likelihood(scored.clone());
                if risen > likelihood {
                    likelihood = risen;
                    break next;
                }
                share /= 2.0;
                if share < MIN_SHARE {
                    // Nothing nearby is likelier.
                    return Some(now);
                }
            };
            let change = (next.slope - now.slope).abs() + (next.offset - now.offset).abs();
            now = next;
            if change < 1e-10 {
                return Some(now);
            }
        }
        None
    }

    /// Logarithm of the likelihood with the prior of [`Self::newton_step`].
    fn likelihood(self, scored: impl Iterator<Item = (f64, bool)>) -> f64 {
        let prior = -0.5 * ((self.slope - 1.0).powi(2) + self.offset.powi(2));
        scored.fold(prior, |sum, (score, listed)| {
            let log_odds = self.log_odds(score);
            let against = if listed { -log_odds } else { log_odds };
            // −ln(1 + exp(x)), which does not overflow.
            sum - against.max(0.0) - (-against.abs()).exp().ln_1p()
        })
    }

    fn newton_step(self, scored: impl Iterator<Item = (f64, bool)>) -> Option<Self> {
        // A weak prior at the identity keeps separable labels from an infinite slope.
        let (mut ss, mut so, mut oo) = (1.0, 0.0, 1.0);
        let (mut slope, mut offset) = (1.0 - self.slope, -self.offset);
        for (score, listed) in scored {
            let p = self.probability(score);
            let (residual, hessian) = (f64::from(u8::from(listed)) - p, p * (1.0 - p));
            slope += residual * score;
            offset += residual;
            ss += hessian * score * score;
            so += hessian * score;
            oo += hessian;
        }
        let determinant = ss * oo - so * so;
        (determinant > 0.0).then(|| Self {
            slope: self.slope + (oo * slope - so * offset) / determinant,
            offset: self.offset + (ss * offset - so * slope) / determinant,
        })
    }

    /// Calibrated log-odds.
    #[must_use]
    pub fn log_odds(self, score: f64) -> f64 {
        self.slope * score + self.offset
    }

    /// Calibrated probability.
    #[must_use]
    pub fn probability(self, score: f64) -> f64 {
        probability(self.log_odds(score))
    }
}

/// The probability of log-odds.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Points of log-odds: 10 points double the odds.
#[must_use]
pub fn points(log_odds: f64) -> f64 {
    10.0 * log_odds / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn calibration_finds_the_shares_of_two_scores() {
        // Of the score −1, one in ten is listed; of the score 1, one in two.
        let scored = (0..2000).map(|row| if row % 2 == 0 { (-1.0, row % 20 == 0) } else { (1.0, row % 4 == 1) });
        let platt = Platt::fit(scored);
        assert!((platt.probability(-1.0) - 0.1).abs() < 0.001 && (platt.probability(1.0) - 0.5).abs() < 0.001);
    }

    #[test]
    fn scores_that_mislead_give_the_share_of_members() {
        let platt = Platt::fit((0..1000).map(|row| (f64::from(row % 10), row % 10 == 0)));
        assert!((0..10).all(|score| (platt.probability(f64::from(score)) - 0.1).abs() < 0.01) && platt.slope > 0.0);
    }

    #[test]
    fn calibration_settles_far_from_where_it_starts() {
        // Scores of mean −3 and standard deviation 3, of which 9 % are listed whatever the score, or the higher ones are.
        let score = |row: u32| -3.0 + 3.0 * 3.0_f64.sqrt() * (f64::from(row * 7 % 1000) / 500.0 - 1.0);
        let by_chance = Platt::fit((0..10_000).map(|row| (score(row), row % 100 < 9)));
        let mean = |platt: Platt| (0..10_000).map(|row| platt.probability(score(row))).sum::<f64>() / 1e4;
        assert!((mean(by_chance) - 0.09).abs() < 0.001, "{by_chance:?}");
        for scale in [0.01, 1.0, 30.0] {
            let listed = |row: u32| score(row) > 1.0 && !row.is_multiple_of(3);
            let platt = Platt::fit((0..10_000).map(|row| (scale * score(row), listed(row))));
            let share = (0..10_000).filter(|row| listed(*row)).count();
            let mean = (0..10_000).map(|row| platt.probability(scale * score(row))).sum::<f64>() / 1e4;
            assert!((mean - count(share) / 1e4).abs() < 0.001, "{scale} {platt:?}");
        }
    }

    proptest! {
        #[test]
        fn probability_grows_with_the_score(
            scored in prop::collection::vec((-9.0..9.0_f64, any::<bool>()), 0..50), a in -9.0..9.0_f64, b in -9.0..9.0_f64,
        ) {
            let platt = Platt::fit(scored.iter().copied());
            prop_assert!(platt.probability(a.min(b)) <= platt.probability(a.max(b)));
        }
    }
}
