//! What holds a film up and what holds it back, in two sentences.

use std::cmp::Ordering;

use super::numbers::probability;

/// Share of the decade's films with lower values from which a criterion stands out. A choice: better than most.
const STANDS_OUT: f64 = 0.5;

/// The share from which a criterion does not hold a film back. A choice.
const TOP_TENTH: f64 = 0.9;

/// How a film compares with its decade in one criterion.
pub(super) struct Comparison {
    /// Name of the criterion within a sentence.
    pub(super) name: String,
    /// What the criterion of the film is made of, in a few words.
    pub(super) fact: String,
    /// Weight of the criterion.
    pub(super) weight: f64,
    /// Share of the decade's films that have a lower value.
    pub(super) lower_share: f64,
}

/// Names the criteria with the highest and the lowest standing, of those that have a weight. Empty if none has one.
pub(super) fn sentences(comparisons: &[Comparison], decade: i32) -> Vec<String> {
    let counted = || comparisons.iter().filter(|one| one.weight > 0.0);
    let order = |one: f64, other: f64| one.partial_cmp(&other).unwrap_or(Ordering::Equal);
    let by_share = |one: &&Comparison, other: &&Comparison| order(one.lower_share, other.lower_share);
    // Among equal standings, the criterion with the larger weight decides more.
    let highest = counted().max_by(|a, b| by_share(a, b).then(order(a.weight, b.weight)));
    let lowest = counted().min_by(|a, b| by_share(a, b).then(order(b.weight, a.weight)));
    let (Some(highest), Some(lowest)) = (highest, lowest) else { return Vec::new() };
    let sentence = |verb: &str, one: &Comparison, only: &str| {
        let less = match one.lower_share {
            0.0 => format!("no film of the {decade}s has less"),
            share => format!("{only}{} of the films of the {decade}s have less", probability(share)),
        };
        format!("{verb} by {}: {}; {less}.", one.name, one.fact)
    };
    let up = (highest.lower_share >= STANDS_OUT).then(|| sentence("Held up", highest, ""));
    if highest.name == lowest.name && up.is_some() {
        // One criterion has all the weight.
        return up.into_iter().collect();
    }
    let back = if lowest.lower_share < STANDS_OUT {
        sentence("Held back", lowest, "only ")
    } else if lowest.lower_share < TOP_TENTH {
        sentence("Least held up", lowest, "")
    } else {
        format!("Nothing holds it back: no criterion is below the top tenth of the {decade}s.")
    };
    up.into_iter().chain([back]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(name: &str, weight: f64, lower_share: f64) -> Comparison {
        Comparison { name: name.to_owned(), fact: "a fact".to_owned(), weight, lower_share }
    }

    #[test]
    fn the_extremes_of_the_criteria_that_count_are_named() {
        let film = [
            comparison("popular opinion", 0.2, 0.97),
            comparison("critical acclaim", 0.2, 0.3),
            comparison("industry recognition", 0.6, 0.3),
            comparison("cultural impact", 0.0, 0.0),
        ];
        let expected = [
            "Held up by popular opinion: a fact; 97 % of the films of the 1990s have less.",
            "Held back by industry recognition: a fact; only 30 % of the films of the 1990s have less.",
        ];
        assert_eq!(sentences(&film, 1990), expected);
    }

    #[test]
    fn a_criterion_is_not_strength_and_weakness_at_once() {
        let one = [comparison("popular opinion", 1.0, 0.85), comparison("critical acclaim", 0.0, 0.2)];
        let good = [comparison("popular opinion", 0.5, 0.95), comparison("critical acclaim", 0.5, 0.85)];

        assert_eq!(
            sentences(&one, 1990),
            ["Held up by popular opinion: a fact; 85 % of the films of the 1990s have less."]
        );
        let least = "Least held up by critical acclaim: a fact; 85 % of the films of the 1990s have less.";
        assert_eq!(sentences(&good, 1990)[1], least);
    }

    #[test]
    fn a_film_without_strengths_or_weaknesses_has_one_sentence() {
        let nothing = [comparison("popular opinion", 0.5, 0.0), comparison("critical acclaim", 0.5, 0.2)];
        let best = [comparison("popular opinion", 0.5, 0.95), comparison("critical acclaim", 0.5, 0.999)];

        assert_eq!(sentences(&nothing, 1990), ["Held back by popular opinion: a fact; no film of the 1990s has less."]);
        assert_eq!(
            sentences(&best, 1990),
            [
                "Held up by critical acclaim: a fact; over 99 % of the films of the 1990s have less.",
                "Nothing holds it back: no criterion is below the top tenth of the 1990s.",
            ]
        );
        assert_eq!(sentences(&[], 1990), Vec::<String>::new());
    }
}
