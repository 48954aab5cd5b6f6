//! The published likelihood scale.

/// Converts a score to its likelihood, 0 to 100: a display scale, not a probability.
///
/// The segments are those of the published curve. They meet except at score 30, where the curve drops by 0.1; the drop
/// is kept, so that likelihoods equal the published ones.
#[must_use]
pub fn likelihood(score: f64) -> f64 {
    match score {
        n if n >= 90.0 => 95.0 + (n - 90.0) / 2.0,
        n if n >= 80.0 => 85.0 + (n - 80.0),
        n if n >= 70.0 => 70.0 + 1.5 * (n - 70.0),
        n if n >= 60.0 => 55.0 + 1.5 * (n - 60.0),
        n if n >= 50.0 => 40.0 + 1.5 * (n - 50.0),
        n if n >= 40.0 => 30.0 + (n - 40.0),
        n if n >= 30.0 => 20.0 + (n - 30.0),
        n => 0.67 * n,
    }
}

#[cfg(test)]
mod tests {
    use super::likelihood;
    use proptest::prelude::*;

    #[test]
    fn follows_the_published_points() {
        for (score, shown) in [
            (0.0, 0.0),
            (29.0, 19.43),
            (30.0, 20.0),
            (45.0, 35.0),
            (58.3, 52.45),
            (65.0, 62.5),
            (76.2, 79.3),
            (85.0, 90.0),
            (100.0, 100.0),
        ] {
            assert!((likelihood(score) - shown).abs() < 1e-9, "{score} gave {}", likelihood(score));
        }
    }

    proptest! {
        #[test]
        fn likelihood_is_monotonic_except_at_30(low in 0.0..=100.0_f64, high in 0.0..=100.0_f64) {
            prop_assume!(low <= high && !(low < 30.0 && high >= 30.0));
            prop_assert!(likelihood(low) <= likelihood(high));
        }

        #[test]
        fn stays_on_the_scale(score in 0.0..=100.0_f64) {
            prop_assert!((0.0..=100.0).contains(&likelihood(score)));
        }
    }
}
