//! Learned rankings on the page: the switch between them and the formula, and the reasons for a movie's score.

use serde::Deserialize;

use super::numbers::{one_decimal, percent, signed};

/// Number of reasons in a row of the list.
const REASONS_SHOWN: usize = 2;

/// A learned ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LearnedKind {
    WithLists,
    WithoutLists,
}

impl LearnedKind {
    pub(super) const ALL: [Self; 2] = [Self::WithLists, Self::WithoutLists];

    /// Value of the URL's parameter `ranking`.
    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::WithLists => "learned",
            Self::WithoutLists => "learned-without-lists",
        }
    }

    /// Its enum value in the API.
    pub(super) fn api(self) -> &'static str {
        match self {
            Self::WithLists => "LEARNED",
            Self::WithoutLists => "LEARNED_WITHOUT_LISTS",
        }
    }

    /// Its name in the switch.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::WithLists => "Learned",
            Self::WithoutLists => "Learned, without other lists",
        }
    }

    /// Its name in a sentence.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WithLists => "the learned ranking",
            Self::WithoutLists => "the learned ranking without other lists",
        }
    }
}

/// The learned rankings of the list: those that were trained.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Models {
    learned: Option<Summary>,
    without_lists: Option<Summary>,
}

/// What the switch says of a learned ranking.
#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) served: bool,
    refusal: Option<String>,
    validation: Recall,
    baselines: Vec<Baseline>,
}

#[derive(Debug, Deserialize)]
struct Recall {
    recall: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Baseline {
    kind: String,
    recall: Option<f64>,
}

impl Models {
    pub(super) fn of(&self, kind: LearnedKind) -> Option<&Summary> {
        match kind {
            LearnedKind::WithLists => self.learned.as_ref(),
            LearnedKind::WithoutLists => self.without_lists.as_ref(),
        }
    }

    /// What the formula finds, under its best profile, as measured with the last training. `None` if nothing was trained.
    pub(super) fn formula_recall(&self) -> Option<String> {
        let summary = LearnedKind::ALL.into_iter().find_map(|kind| self.of(kind))?;
        let best = summary.baselines.iter().find(|baseline| baseline.kind == "BEST_PROFILE");
        Some(percent(best.and_then(|baseline| baseline.recall)))
    }
}

impl Summary {
    /// Why it is not served.
    pub(super) fn why_not(&self) -> &str {
        self.refusal.as_deref().unwrap_or("it must be trained again by this version of the program")
    }

    pub(super) fn recall(&self) -> String {
        percent(self.validation.recall)
    }
}

/// A ranking to choose in the switch.
pub(super) struct RankingChoice {
    /// To the same page under this ranking; to the model card if the ranking is not served.
    pub(super) href: String,
    /// Value of the URL's parameter `ranking`; empty for the formula.
    pub(super) parameter: &'static str,
    pub(super) label: &'static str,
    /// Its name in a sentence; empty for the formula, which is called by its profile.
    pub(super) name: &'static str,
    /// Its accuracy, or that it is not available.
    pub(super) note: String,
    /// What the note means, or why the ranking is not available.
    pub(super) title: String,
    pub(super) available: bool,
    pub(super) chosen: bool,
}

/// What a group of features adds to a movie's score, as the API returns it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LearnedReason {
    #[serde(default)]
    group: String,
    points: f64,
    sentence: String,
}

/// A reason with its bar, which starts in the middle of a chart of width 100: to the right if it speaks for the movie.
pub(super) struct ReasonBar<'a> {
    pub(super) group: &'static str,
    pub(super) sentence: &'a str,
    pub(super) points: String,
    pub(super) is_for: bool,
    pub(super) start: String,
    pub(super) width: String,
}

/// The reasons with their bars, in the same order. The strongest has a bar of half the chart.
pub(super) fn reason_bars(reasons: &[LearnedReason]) -> Vec<ReasonBar<'_>> {
    let strongest = reasons.iter().map(|reason| reason.points.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let mut bars = Vec::with_capacity(reasons.len());
    for LearnedReason { group, points, sentence } in reasons {
        let (width, is_for) = (points.abs() / strongest * 50.0, *points > 0.0);
        bars.push(ReasonBar {
            group: group_name(group),
            sentence,
            points: signed(*points),
            is_for,
            start: one_decimal(if is_for { 50.0 } else { 50.0 - width }),
            width: one_decimal(width),
        });
    }
    bars
}

/// The reasons that a row shows, as one text: the strongest that speak for the movie, or else the strongest.
pub(super) fn main_reasons(reasons: &[LearnedReason]) -> String {
    let mut shown: Vec<&LearnedReason> =
        reasons.iter().filter(|reason| reason.points > 0.0).take(REASONS_SHOWN).collect();
    if shown.is_empty() {
        shown.extend(reasons.first());
    }
    shown.iter().map(|reason| reason.sentence.as_str()).collect::<Vec<_>>().join(" · ")
}

/// Name of a group of features, from its enum value in the API.
pub(super) fn group_name(group: &str) -> &'static str {
    match group {
        "AUDIENCE" => "Audience",
        "CRITICS" => "Critics",
        "AWARDS" => "Awards",
        "FAME" => "Fame",
        "MONEY" => "Money",
        "DIRECTOR" => "Directors",
        "CAST" => "Cast",
        "LISTS" => "Other lists",
        _ => "Language, genre, year",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(points: f64, sentence: &str) -> LearnedReason {
        LearnedReason { group: "CAST".to_owned(), points, sentence: sentence.to_owned() }
    }

    #[test]
    fn rows_show_what_speaks_for_a_movie() {
        let reasons = [reason(-9.0, "a"), reason(5.0, "b"), reason(4.0, "c"), reason(3.0, "d")];

        assert_eq!(main_reasons(&reasons), "b · c");
        assert_eq!(main_reasons(&reasons[..1]), "a");
        assert_eq!(main_reasons(&[]), "");
    }

    #[test]
    fn bars_start_in_the_middle() {
        let reasons = [reason(-10.0, "a"), reason(5.0, "b")];
        let bars = reason_bars(&reasons);

        let shown: Vec<_> =
            bars.iter().map(|bar| (bar.start.as_str(), bar.width.as_str(), bar.points.as_str())).collect();
        assert_eq!(shown, [("0.0", "50.0", "\u{2212}10.0"), ("50.0", "25.0", "+5.0")]);
    }
}
