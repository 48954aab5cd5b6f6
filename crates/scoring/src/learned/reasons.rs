//! Reasons: what each group of features adds to a movie's score, in points and in words.

use super::bins::MISSING;
use super::boosting::Shape;
use super::calibration::{points, probability};
use super::features::{By, Feature, Group, Measure, MovieValue, PersonRecord, Role, Within};
use super::model::{LearnedModel, LearnedRanking};
use crate::Decade;

/// What the sentences say about the movie besides its features.
#[derive(Debug, Clone, Copy)]
pub struct ReasonContext<'a> {
    /// Year of release.
    pub year: i32,
    /// The decade.
    pub decade: Decade,
    /// Name of the language, such as "French".
    pub language: Option<&'a str>,
    /// Names of [`super::LearnedRanking::lists`], in their order.
    pub lists: &'a [String],
}

/// What one group adds to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The group.
    pub group: Group,
    /// Points compared with the average movie; 10 points double the odds.
    pub points: f64,
    /// The fact of this group that counts most in this direction.
    pub sentence: String,
}

/// A movie's score and what it consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Score in points: the base and the points of all reasons.
    pub points: f64,
    /// Points of the average movie.
    pub base: f64,
    /// Calibrated probability of being listed.
    pub probability: f64,
    /// One reason for each group, the strongest first. A group that adds nothing has none.
    pub reasons: Vec<Reason>,
    /// Groups of which anything is known about the movie.
    pub known_groups: usize,
    /// Groups that the model has.
    pub total_groups: usize,
}

impl LearnedRanking {
    /// Explains a movie's score by its codes, which are those of [`Self::codes`] for its decade.
    #[must_use]
    pub fn explain(&self, codes: &[u8], context: &ReasonContext<'_>) -> Explanation {
        self.for_decade(context.decade).explain(codes, context)
    }
}

impl LearnedModel {
    /// Explains a movie's score by its codes. Only a calibrated model has probabilities.
    fn explain(&self, codes: &[u8], context: &ReasonContext<'_>) -> Explanation {
        let contributions = self.contributions(codes);
        let reason = |group: Group| {
            let added = contributions[group as usize];
            let of_group = self.features().zip(codes).filter(|((feature, _), _)| feature.group == group);
            let facts = of_group.map(|((feature, shape), code)| {
                let code = *code;
                StrongFact { strength: added.signum() * shape.score_of(code), feature, shape, code }
            });
            let facts: Vec<_> = facts.collect();
            let StrongFact { feature, shape, code, .. } = strongest(&facts).filter(|_| added != 0.0)?;
            let sentence = Fact { feature, range: Range::of(shape, code), context, is_for: added > 0.0 }.sentence();
            Some(Reason { group, points: points(added), sentence })
        };
        let mut reasons: Vec<Reason> = Group::ALL.into_iter().filter_map(reason).collect();
        reasons.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
        let score = self.score(codes);
        Explanation {
            points: points(score),
            base: points(self.intercept),
            probability: probability(score),
            reasons,
            known_groups: self.known_groups(codes).into_iter().filter(|known| *known).count(),
            total_groups: self.total_groups(),
        }
    }
}

/// A fact, and how much it adds in the direction of its group.
#[derive(Clone, Copy)]
struct StrongFact<'a> {
    strength: f64,
    feature: &'static Feature,
    shape: &'a Shape,
    code: u8,
}

/// The fact that adds most in the direction of its group; of equal ones, the first of the table. One that is known comes
/// before one that is not, unless nothing known adds in this direction. That a movie is not on one list says less to a
/// reader than that it is on none.
fn strongest<'a>(facts: &[StrongFact<'a>]) -> Option<StrongFact<'a>> {
    let best = |wanted: &dyn Fn(&StrongFact<'_>) -> bool| {
        let facts = facts.iter().copied().filter(wanted);
        facts.reduce(|best, next| if next.strength > best.strength { next } else { best })
    };
    let best = best(&|fact| fact.code != MISSING && fact.strength > 0.0).or_else(|| best(&|_| true))?;
    let is_absent = |fact: &StrongFact<'_>| fact.code == MISSING + 1;
    let on_none = facts.iter().find(|fact| fact.feature.measure == Measure::Lists && is_absent(fact));
    let of_one_list = matches!(best.feature.measure, Measure::OnList(_)) && is_absent(&best);
    Some(on_none.copied().filter(|_| of_one_list).unwrap_or(best))
}

/// The values that a code stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Range {
    Missing,
    /// Above the first, up to the second.
    Known(Option<f32>, Option<f32>),
}

impl Range {
    fn of(shape: &Shape, code: u8) -> Self {
        // Code 0 is missing. Bin 0, of code 1, has no edge below it, and the last bin none above it.
        let Some(bin) = usize::from(code).checked_sub(1) else { return Self::Missing };
        let edge = |at: Option<usize>| at.and_then(|at| shape.edges.get(at)).copied();
        Self::Known(edge(bin.checked_sub(1)), edge(Some(bin)))
    }
}

/// What a feature says about a movie.
struct Fact<'a> {
    feature: &'static Feature,
    range: Range,
    context: &'a ReasonContext<'a>,
    /// Whether it speaks for the movie.
    is_for: bool,
}

impl Fact<'_> {
    fn sentence(&self) -> String {
        capitalised(&match self.range {
            Range::Missing => match self.feature.measure {
                Measure::Place(By::Prestige, _) => "no award known".to_owned(),
                Measure::BestPosition => "no position on another list".to_owned(),
                Measure::People(Role::Director, _) => "director: unknown".to_owned(),
                Measure::People(Role::Cast, _) => "cast: unknown".to_owned(),
                _ => format!("{}: unknown", self.subject()),
            },
            // The shape has one bin for all known values, so that the code does not tell which one the movie has.
            Range::Known(None, None) => format!("{}: known", self.subject()),
            Range::Known(above, up_to) => self.known(above, up_to),
        })
    }

    /// What a value of the feature is about.
    fn subject(&self) -> &'static str {
        match self.feature.measure {
            Measure::Place(By::Prestige, _) => "awards",
            Measure::Place(By::Quality, _) => "rating",
            Measure::Place(By::Fame, _) => "votes",
            Measure::Language(_) | Measure::LanguageShare => "language",
            Measure::Genre(_) => "genres",
            Measure::OnList(_) => "other lists",
            _ => self.feature.name,
        }
    }

    /// A value of which at least one bound is known.
    fn known(&self, above: Option<f32>, up_to: Option<f32>) -> String {
        let name = self.feature.name;
        match self.feature.measure {
            Measure::Place(_, within) => format!("{} {}", self.place(above, up_to), self.scope(within)),
            Measure::BestPosition => self.place(above, up_to),
            Measure::Share(_) | Measure::LanguageShare => format!("{name}: {}", self.share(above, up_to)),
            Measure::Raw(MovieValue::ImdbRating | MovieValue::TmdbRating) => {
                format!("{name}, weighed by its votes: {}", decimal(above, up_to, 1.0))
            }
            Measure::People(_, PersonRecord::Mean | PersonRecord::Best | PersonRecord::Lead) => {
                format!("{name}, weighed by votes: {}", decimal(above, up_to, 1000.0))
            }
            Measure::Top(_) => format!("{name}: {}", main_prize(above, up_to)),
            Measure::Language(_) if above.is_none() => format!("not {name}"),
            Measure::Language(_) => name.to_owned(),
            Measure::Genre(_) => format!("genre: {}{name}", if above.is_none() { "not " } else { "" }),
            Measure::OnList(list) => {
                let list = self.context.lists.get(usize::from(list)).map_or("another list", String::as_str);
                format!("{} {list}", if above.is_none() { "not on" } else { "on" })
            }
            Measure::Lists => match whole(above, up_to).as_str() {
                "none" => "on no other list".to_owned(),
                "1" => "on 1 other list".to_owned(),
                many => format!("on {many} other lists"),
            },
            Measure::Nominations(_) | Measure::Academy(_) => {
                let counted = whole(above, up_to);
                let unit = if counted == "none" { "" } else { " (nominations, wins counted twice)" };
                format!("{name}: {counted}{unit}")
            }
            Measure::YearOfDecade => format!("year of release: {}", self.context.year),
            Measure::Raw(_) | Measure::AllNominations | Measure::AllWins | Measure::AllTop | Measure::People(..) => {
                format!("{name}: {}", whole(above, up_to))
            }
        }
    }

    /// A range of −ln(rank).
    fn place(&self, above: Option<f32>, up_to: Option<f32>) -> String {
        let rank = |edge: f32| f64::from(-edge).exp().round();
        let (best, worst) = (up_to.map_or(1.0, rank), above.map(|edge| rank(edge) - 1.0));
        if self.feature.measure == Measure::BestPosition {
            return match worst {
                Some(worst) if self.is_for || best <= 1.0 => format!("among the first {worst} of another list"),
                _ => format!("not among the first {} of another list", best - 1.0),
            };
        }
        let name = self.feature.name;
        match worst {
            Some(1.0) => format!("{name} movie"),
            Some(worst) if worst <= best => format!("{} {name} movie", ordinal(worst)),
            Some(worst) if self.is_for || best <= 1.0 => format!("among the {worst} {name} movies"),
            _ if best <= 2.0 => format!("not the {name} movie"),
            _ => format!("not among the {} {name} movies", best - 1.0),
        }
    }

    fn scope(&self, within: Within) -> String {
        match within {
            Within::Year => format!("of {}", self.context.year),
            Within::Decade => format!("of the {}", self.context.decade),
            Within::Language => {
                format!("of the {} in {}", self.context.decade, self.context.language.unwrap_or("its language"))
            }
            Within::Genre => format!("of the {} in one of its genres", self.context.decade),
        }
    }

    fn share(&self, above: Option<f32>, up_to: Option<f32>) -> String {
        let percent = |share: f32| format!("{} %", (1000.0 * share).round() / 10.0);
        let of = if matches!(self.feature.measure, Measure::LanguageShare) {
            String::new()
        } else {
            format!(" of the movies of the {} with a known value", self.context.decade)
        };
        match (above, up_to) {
            (Some(above), _) if self.is_for => format!("above {}{of}", percent(above)),
            (_, Some(up_to)) => format!("not above {}{of}", percent(up_to)),
            (above, None) => format!("above {}{of}", percent(above.unwrap_or(0.0))),
        }
    }
}

fn main_prize(above: Option<f32>, up_to: Option<f32>) -> &'static str {
    match (above, up_to) {
        (None, Some(up_to)) if up_to < 1.0 => "not nominated",
        (None, _) => "not won",
        (Some(above), _) if above >= 1.0 => "won",
        (Some(_), Some(_)) => "nominated",
        (Some(_), None) => "nominated or won",
    }
}

/// A range of whole numbers.
fn whole(above: Option<f32>, up_to: Option<f32>) -> String {
    let (low, high) = (above.map(|above| above.floor() + 1.0), up_to.map(f32::floor));
    match (low, high) {
        (None, Some(0.0)) => "none".to_owned(),
        (None, Some(high)) => format!("at most {}", grouped(high)),
        (Some(low), None) => format!("at least {}", grouped(low)),
        (Some(low), Some(high)) if low >= high => grouped(high),
        (Some(low), Some(high)) => format!("{} to {}", grouped(low), grouped(high)),
        (None, None) => "any".to_owned(),
    }
}

/// A range of numbers with one decimal, of a value in fractions of `scale`.
fn decimal(above: Option<f32>, up_to: Option<f32>, scale: f32) -> String {
    // A real minus sign, and none before 0.
    let rounded = |number: f32| {
        let text = format!("{:.1}", number / scale);
        if text == "-0.0" { "0.0".to_owned() } else { text.replace('-', "−") }
    };
    match (above, up_to) {
        (Some(above), Some(up_to)) if rounded(above) == rounded(up_to) => format!("about {}", rounded(above)),
        (Some(above), Some(up_to)) => format!("{} to {}", rounded(above), rounded(up_to)),
        (Some(above), None) => format!("above {}", rounded(above)),
        (None, Some(up_to)) => format!("at most {}", rounded(up_to)),
        (None, None) => "any".to_owned(),
    }
}

/// A whole number with commas between groups of three digits.
fn grouped(number: f32) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn ordinal(number: f64) -> String {
    let ending = match (number % 100.0, number % 10.0) {
        (11.0..=13.0, _) => "th",
        (_, 1.0) => "st",
        (_, 2.0) => "nd",
        (_, 3.0) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learned::FEATURES;

    #[test]
    fn a_known_fact_is_told_before_a_missing_one_and_no_list_before_one_list() {
        let shape = Shape { edges: vec![0.0], scores: vec![3.0, 1.0, 2.0] };
        let fact = |key: &str, strength: f64, code: u8| StrongFact {
            strength,
            feature: Feature::with_key(key).unwrap(),
            shape: &shape,
            code,
        };
        let told = |facts: &[StrongFact<'_>]| strongest(facts).unwrap().feature.key;
        assert_eq!(told(&[fact("tomatometer", 3.0, MISSING), fact("metascore", 1.0, 2)]), "metascore");
        assert_eq!(told(&[fact("tomatometer", 3.0, MISSING), fact("metascore", -1.0, 2)]), "tomatometer");
        assert_eq!(told(&[fact("lists", 1.0, 1), fact("list_2", 2.0, 1)]), "lists");
        assert_eq!(told(&[fact("lists", 1.0, 2), fact("list_2", 2.0, 1)]), "list_2");
    }

    fn sentence(key: &str, above: Option<f32>, up_to: Option<f32>, is_for: bool) -> String {
        about(Feature::with_key(key).unwrap(), Range::Known(above, up_to), is_for)
    }

    fn about(feature: &'static Feature, range: Range, is_for: bool) -> String {
        let lists = ["Sight & Sound".to_owned()];
        let decade = Decade::starting(1990).unwrap();
        let context = ReasonContext { year: 1993, decade, language: Some("French"), lists: &lists };
        Fact { feature, range, context: &context, is_for }.sentence()
    }

    #[test]
    fn nothing_is_said_of_a_value_that_a_code_does_not_tell() {
        for feature in FEATURES {
            for is_for in [true, false] {
                let (unknown, known) =
                    (about(feature, Range::Missing, is_for), about(feature, Range::Known(None, None), is_for));
                let of_its_own = ["No award known", "No position on another list"].contains(&unknown.as_str());
                assert!(of_its_own || unknown.ends_with(": unknown"), "{}: {unknown}", feature.key);
                assert!(known.ends_with(": known"), "{}: {known}", feature.key);
            }
        }
        assert_eq!(about(Feature::with_key("french").unwrap(), Range::Known(None, None), true), "Language: known");
        assert_eq!(
            about(Feature::with_key("academy").unwrap(), Range::Known(Some(11.0), Some(12.0)), true),
            "Academy Awards: 12 (nominations, wins counted twice)"
        );
    }

    #[test]
    fn sentences_say_what_the_bin_says() {
        let rank = |rank: f32| Some(-rank.ln());
        for (key, above, up_to, is_for, text) in [
            ("quality_in_year", rank(2.0), None, true, "Best rated movie of 1993"),
            ("quality_in_year", rank(3.0), rank(2.0), true, "2nd best rated movie of 1993"),
            ("fame_in_language", rank(13.0), rank(4.0), true, "Among the 12 best known movies of the 1990s in French"),
            (
                "prestige_in_genre",
                None,
                rank(5.0),
                false,
                "Not among the 4 most honoured movies of the 1990s in one of its genres",
            ),
            ("cannes_top", Some(0.0), Some(1.0), true, "Palme d'Or: nominated"),
            ("cannes_top", Some(1.0), None, true, "Palme d'Or: won"),
            ("cannes_top", None, Some(0.0), false, "Palme d'Or: not nominated"),
            ("lists", Some(2.0), Some(3.0), true, "On 3 other lists"),
            ("lists", Some(3.0), None, true, "On at least 4 other lists"),
            ("lists", None, Some(0.0), false, "On no other list"),
            ("list_1", Some(0.0), None, true, "On Sight & Sound"),
            ("list_2", None, Some(0.0), false, "Not on another list"),
            ("imdb_votes", Some(24_999.0), None, true, "IMDb votes: at least 25,000"),
            (
                "imdb_votes_share",
                Some(0.97),
                None,
                true,
                "IMDb votes: above 97 % of the movies of the 1990s with a known value",
            ),
            ("metascore", Some(82.0), Some(87.0), true, "Metascore: 83 to 87"),
            (
                "director_best",
                Some(7400.0),
                None,
                true,
                "Best rating of the director's other movies, weighed by votes: above 7.4",
            ),
            ("academy", None, Some(0.0), false, "Academy Awards: none"),
            ("western", Some(0.0), None, true, "Genre: western"),
            ("english", None, Some(0.0), true, "Not in English"),
        ] {
            assert_eq!(sentence(key, above, up_to, is_for), text, "{key}");
        }
    }
}
