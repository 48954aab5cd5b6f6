//! People of the generated catalogue, and who of them was active when a movie was made.
//!
//! The people of a language are divided into generations of equal size, ordered by debut. Within a generation few
//! people get most of the work. All attributes of a person are computed from the id, so no person needs to be stored.
//!
//! Ids are consecutive: the generations of the first language, then those of the next one. The position within a
//! generation decides the department, and how much work the person gets.

use chrono::{Days, NaiveDate};

use super::seeded_rng::{SeededRng, Stream};
use super::timeline::Timeline;
use super::words::{LANGUAGES, Language};

/// Number of people in a generation: people of one language with about the same debut.
const GENERATION: u32 = 50;
/// Number of directors in a generation, who have its first positions. The others are actors.
const DIRECTORS: u32 = 10;
/// Maximum length of a career, a choice.
const CAREER_DAYS: f64 = 40.0 * 365.25;

/// Department of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Department {
    Directing,
    Acting,
}

impl Department {
    /// Name of the department in TMDb.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Directing => "Directing",
            Self::Acting => "Acting",
        }
    }
}

/// All people, with ids from 1.
#[derive(Debug)]
pub(super) struct People {
    seed: u64,
    timeline: Timeline,
    /// For each language in the order of [`LANGUAGES`]: the number of people of the languages before it, and the number
    /// of its generations.
    languages: Vec<(u32, u32)>,
}

impl People {
    /// Creates about as many people as there are movies, and at least one generation for each language.
    pub(super) fn of(seed: u64, movies: u32, timeline: Timeline) -> Self {
        let mut before = 0;
        let languages = LANGUAGES.iter().map(|language| {
            let generations = (movies / 100 * language.share / GENERATION).max(1);
            let first = before;
            before += generations * GENERATION;
            (first, generations)
        });
        let languages = languages.collect();
        Self { seed, timeline, languages }
    }

    /// Number of people.
    pub(super) fn count(&self) -> u32 {
        self.languages.iter().map(|(_, generations)| generations * GENERATION).sum()
    }

    /// A random person of a department whose career includes `date`. Mostly (92 %) of the movie's language; people with
    /// low positions in their generation are drawn far more often.
    pub(super) fn pick_person(
        &self,
        rng: &mut SeededRng,
        department: Department,
        language: &Language,
        date: NaiveDate,
    ) -> u32 {
        let works_at_home = rng.chance(0.92);
        let language = if works_at_home { language } else { rng.pick_by(&LANGUAGES, |language| language.share) };
        let (before, generations) = self.languages[index_of(language)];
        let generation = part_of(self.debut(rng, date), generations);
        let position = match department {
            Department::Directing => rng.toward_first(DIRECTORS),
            Department::Acting => DIRECTORS + rng.toward_first(GENERATION - DIRECTORS),
        };
        before + generation * GENERATION + position + 1
    }

    /// Debut of a random person active on this date, expressed as the share of all movies that were released before the
    /// debut (0 to 1), so that generations are equally busy. Recent debuts are most frequent.
    fn debut(&self, rng: &mut SeededRng, date: NaiveDate) -> f64 {
        let draw = rng.uniform();
        let debut = date.checked_sub_days(Days::new(whole(CAREER_DAYS * draw * draw)));
        debut.and_then(|day| self.timeline.share_before(day)).unwrap_or_else(|| {
            // The debut would be before the first movie: draws one between the first movie and `date` instead.
            rng.uniform() * self.timeline.share_before(date).unwrap_or(0.0)
        })
    }

    /// Department of a person.
    pub(super) fn department(id: u32) -> Department {
        if (id - 1) % GENERATION < DIRECTORS { Department::Directing } else { Department::Acting }
    }

    /// Talent of a director, with mean about 0 and standard deviation about 1. Directors with more work, that is, with
    /// lower positions in their generation, are slightly more talented.
    pub(super) fn talent(&self, id: u32) -> f64 {
        // For directors the second remainder changes nothing; for actors it keeps the value below 1.
        let position = f64::from((id - 1) % GENERATION % DIRECTORS);
        self.rng(id).normal() + 0.5 - position / f64::from(DIRECTORS)
    }

    /// Name of a person. Rarely, two people share a name.
    pub(super) fn name(&self, id: u32) -> String {
        let mut rng = self.rng(id);
        // Skips the numbers that `talent` draws from the same stream, so that name and talent are independent.
        rng.normal();
        person_name(&mut rng, self.language(id))
    }

    fn language(&self, id: u32) -> &'static Language {
        let index = self.languages.partition_point(|(before, _)| *before < id).saturating_sub(1);
        &LANGUAGES[index]
    }

    fn rng(&self, id: u32) -> SeededRng {
        SeededRng::of(self.seed, Stream::Person, u64::from(id))
    }
}

/// Random person name in a language. A quarter has a middle initial.
pub(super) fn person_name(rng: &mut SeededRng, language: &Language) -> String {
    let given = rng.pick(&language.given);
    let family = family_name(rng, language);
    if rng.chance(0.25) {
        let second = rng.pick(&language.given).chars().next().unwrap_or('A');
        return format!("{given} {second}. {family}");
    }
    format!("{given} {family}")
}

/// Random family name in a language.
pub(super) fn family_name(rng: &mut SeededRng, language: &Language) -> String {
    let (start, end) = (rng.pick(&language.starts), rng.pick(&language.ends));
    format!("{start}{end}")
}

fn index_of(language: &Language) -> usize {
    LANGUAGES.iter().position(|other| other.code == language.code).unwrap_or(0)
}

/// Divides the range from 0 to 1 into `parts` equal intervals, and returns the index of the interval that contains
/// `share`. The last interval includes 1.
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
    fn picked_people_exist_and_work_in_the_department() {
        let people = people();
        let mut rng = SeededRng::of(7, Stream::Credits, 1);
        for position in (0..20_000).step_by(40) {
            let date = Timeline::of(20_000).release(position).date;
            for department in [Department::Directing, Department::Acting] {
                for language in LANGUAGES.iter() {
                    let id = people.pick_person(&mut rng, department, language, date);
                    assert!((1..=people.count()).contains(&id));
                    assert_eq!(People::department(id), department);
                }
            }
        }
    }

    #[test]
    fn name_and_talent_are_stable() {
        let people = people();
        assert_eq!(people.name(77), people.name(77));
        assert!((people.talent(77) - people.talent(77)).abs() < f64::EPSILON);
    }

    #[test]
    fn smallest_catalogue_has_people_of_every_language() {
        assert!(People::of(7, 1, Timeline::of(1)).count() >= GENERATION);
    }
}
