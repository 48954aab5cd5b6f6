//! The people of the generated catalogue: who they are, and who was at work when a film was made.
//!
//! People of one language come in generations of equal size, by the time of their first film. Within a generation few
//! get most of the work. So a person is a number, and nothing needs to be remembered of a million of them.

use chrono::{Days, NaiveDate};

use super::dice::{SeededRng, Stream};
use super::timeline::Timeline;
use super::words::{LANGUAGES, Language};

/// People who start at about the same time in one language.
const GENERATION: u32 = 50;
/// The first of a generation direct; the others act.
const DIRECTORS: u32 = 10;
/// Nobody works longer.
const CAREER_DAYS: f64 = 40.0 * 365.25;

/// What somebody is hired for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trade {
    Directing,
    Acting,
}

impl Trade {
    /// TMDb's department.
    pub(super) fn department(self) -> &'static str {
        match self {
            Self::Directing => "Directing",
            Self::Acting => "Acting",
        }
    }
}

/// Everybody, by id from 1.
#[derive(Debug)]
pub(super) struct People {
    seed: u64,
    timeline: Timeline,
    /// Per language: ids before its first person, and its generations.
    languages: [(u32, u32); LANGUAGES.len()],
}

impl People {
    /// About as many people as films.
    pub(super) fn of(seed: u64, films: u32, timeline: Timeline) -> Self {
        let mut before = 0;
        let languages = LANGUAGES.each_ref().map(|language| {
            let generations = (films / 100 * language.share / GENERATION).max(1);
            let first = before;
            before += generations * GENERATION;
            (first, generations)
        });
        Self { seed, timeline, languages }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.languages.iter().map(|(_, generations)| generations * GENERATION).sum()
    }

    /// Somebody of a trade who may have been at work on a film of this date; famous people come often.
    pub(super) fn hire(&self, dice: &mut SeededRng, trade: Trade, language: &Language, date: NaiveDate) -> u32 {
        let at_home = dice.chance(0.92);
        let language = if at_home { language } else { dice.pick_by(&LANGUAGES, |language| language.share) };
        let (before, generations) = self.languages[index_of(language)];
        let generation = part_of(self.debut(dice, date), generations);
        let place = match trade {
            Trade::Directing => dice.toward_first(DIRECTORS),
            Trade::Acting => DIRECTORS + dice.toward_first(GENERATION - DIRECTORS),
        };
        before + generation * GENERATION + place + 1
    }

    /// When somebody at work on this date had started, as a share of film history. The young are the most.
    fn debut(&self, dice: &mut SeededRng, date: NaiveDate) -> f64 {
        let luck = dice.unit();
        let debut = date.checked_sub_days(Days::new(whole(CAREER_DAYS * luck * luck)));
        debut.and_then(|day| self.timeline.share_before(day)).unwrap_or_else(|| {
            // In the first years nobody has a long career behind them.
            dice.unit() * self.timeline.share_before(date).unwrap_or(0.0)
        })
    }

    /// What somebody is known for.
    pub(super) fn trade(id: u32) -> Trade {
        if (id - 1) % GENERATION < DIRECTORS { Trade::Directing } else { Trade::Acting }
    }

    /// How good somebody is: about 0, deviation 1. Those who get the most work tend to deserve it.
    pub(super) fn talent(&self, id: u32) -> f64 {
        let place = f64::from((id - 1) % GENERATION % DIRECTORS);
        self.dice(id).normal() + 0.5 - place / f64::from(DIRECTORS)
    }

    /// What somebody is called. Two people may share a name, rarely.
    pub(super) fn name(&self, id: u32) -> String {
        let mut dice = self.dice(id);
        dice.normal();
        person_name(&mut dice, self.language(id))
    }

    fn language(&self, id: u32) -> &'static Language {
        let index = self.languages.partition_point(|(before, _)| *before < id).saturating_sub(1);
        &LANGUAGES[index]
    }

    fn dice(&self, id: u32) -> SeededRng {
        SeededRng::of(self.seed, Stream::Person, u64::from(id))
    }
}

/// Some person's name in a language.
pub(super) fn person_name(dice: &mut SeededRng, language: &Language) -> String {
    let given = dice.pick(language.given);
    let family = family_name(dice, language);
    if dice.chance(0.25) {
        let second = dice.pick(language.given).chars().next().unwrap_or('A');
        return format!("{given} {second}. {family}");
    }
    format!("{given} {family}")
}

/// Some family's name in a language.
pub(super) fn family_name(dice: &mut SeededRng, language: &Language) -> String {
    let (start, end) = (dice.pick(language.starts), dice.pick(language.ends));
    format!("{start}{end}")
}

fn index_of(language: &Language) -> usize {
    LANGUAGES.iter().position(|other| other.code == language.code).unwrap_or(0)
}

/// Which of `parts` equal parts of 0..1 `share` lies in.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
fn part_of(share: f64, parts: u32) -> u32 {
    ((share * f64::from(parts)) as u32).min(parts - 1)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below a century of days")]
fn whole(days: f64) -> u64 {
    days as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> People {
        People::of(7, 20_000, Timeline::of(20_000))
    }

    #[test]
    fn everybody_hired_exists_and_has_the_trade() {
        let people = people();
        let mut dice = SeededRng::of(7, Stream::Credits, 1);
        for place in (0..20_000).step_by(40) {
            let date = Timeline::of(20_000).moment(place).date;
            for trade in [Trade::Directing, Trade::Acting] {
                for language in &LANGUAGES {
                    let id = people.hire(&mut dice, trade, language, date);
                    assert!((1..=people.count()).contains(&id));
                    assert_eq!(People::trade(id), trade);
                }
            }
        }
    }

    #[test]
    fn a_person_keeps_name_and_talent() {
        let people = people();
        assert_eq!(people.name(77), people.name(77));
        assert!((people.talent(77) - people.talent(77)).abs() < f64::EPSILON);
    }

    #[test]
    fn a_small_catalogue_still_has_people_of_every_language() {
        assert!(People::of(7, 1, Timeline::of(1)).count() >= GENERATION);
    }
}
