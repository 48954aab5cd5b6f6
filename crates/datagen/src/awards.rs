//! Generated awards: organizations, ceremonies and nominees.
//!
//! All juries choose from the same few movies of a year, the contenders, so that nominations cluster.

use std::collections::BTreeMap;

use super::catalogue::Catalogue;
use super::lists::Selection;
use super::movie::{Credit, Movie, credits};
use super::people::{Department, person_name};
use super::seeded_rng::{SeededRng, Stream};
use super::timeline::LAST_YEAR;

/// An organization that gives awards every year.
#[derive(Debug)]
pub(super) struct Organization {
    pub(super) abbreviation: &'static str,
    pub(super) name: &'static str,
    pub(super) country: &'static str,
    /// Year of its first ceremony.
    pub(super) first_year: i32,
    /// Years from release to ceremony: 1 for academies, which honour the previous year; 0 for festivals, which show new
    /// movies.
    delay: i32,
    preference: Preference,
    /// If set, only movies in this language can be nominated.
    language: Option<&'static str>,
    /// Whether nominations record the names of persons.
    names_nominees: bool,
    pub(super) categories: &'static [Category],
}

/// How a jury chooses among the contenders of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preference {
    /// The best contenders are chosen most often.
    BestContenders,
    /// All contenders are equally likely.
    AnyContender,
}

/// An award category.
#[derive(Debug)]
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) nominee: Nominee,
    /// Maximum number of nominees. 1 where the organization publishes only the winner.
    size: u32,
}

/// Who or what is nominated in a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nominee {
    Movie,
    Director,
    Actor,
    /// The director, or a writer, who has no credit because the catalogue has credits of directors and actors only.
    Writer,
    /// Crew members, who have no credits either.
    Crew,
}

impl Nominee {
    /// Value of `festival_categories.category_type`.
    pub(super) fn category_type(self) -> &'static str {
        match self {
            Self::Movie => "film",
            Self::Director | Self::Actor | Self::Writer => "person",
            Self::Crew => "technical",
        }
    }
}

const fn movie(name: &'static str, size: u32) -> Category {
    Category { name, nominee: Nominee::Movie, size }
}
const fn director(name: &'static str, size: u32) -> Category {
    Category { name, nominee: Nominee::Director, size }
}
const fn actor(name: &'static str, size: u32) -> Category {
    Category { name, nominee: Nominee::Actor, size }
}
const fn writer(name: &'static str, size: u32) -> Category {
    Category { name, nominee: Nominee::Writer, size }
}
const fn crew(name: &'static str, size: u32) -> Category {
    Category { name, nominee: Nominee::Crew, size }
}

/// Real organizations with some of their categories. Index + 1 is the id in the database.
pub(super) const ORGANIZATIONS: [Organization; 11] = [
    Organization {
        abbreviation: "AMPAS",
        name: "Academy of Motion Picture Arts and Sciences",
        country: "US",
        first_year: 1929,
        delay: 1,
        preference: Preference::BestContenders,
        language: None,
        names_nominees: true,
        categories: &[
            movie("BEST PICTURE", 6),
            director("DIRECTING", 5),
            actor("ACTOR IN A LEADING ROLE", 5),
            actor("ACTRESS IN A LEADING ROLE", 5),
            actor("ACTOR IN A SUPPORTING ROLE", 5),
            actor("ACTRESS IN A SUPPORTING ROLE", 5),
            writer("WRITING (Original Screenplay)", 5),
            writer("WRITING (Adapted Screenplay)", 5),
            crew("CINEMATOGRAPHY", 5),
            crew("FILM EDITING", 5),
            crew("MUSIC (Original Score)", 5),
            crew("ART DIRECTION", 5),
            crew("COSTUME DESIGN", 5),
        ],
    },
    Organization {
        abbreviation: "VIFF",
        name: "Venice International Film Festival",
        country: "IT",
        first_year: 1932,
        delay: 0,
        preference: Preference::AnyContender,
        language: None,
        names_nominees: false,
        categories: &[movie("golden lion", 9), movie("special jury prize", 1), actor("volpi cup: best actor", 1)],
    },
    Organization {
        abbreviation: "HFPA",
        name: "Hollywood Foreign Press Association",
        country: "US",
        first_year: 1944,
        delay: 1,
        preference: Preference::BestContenders,
        language: None,
        names_nominees: false,
        categories: &[
            movie("golden globe: best motion picture - drama", 5),
            movie("golden globe: best motion picture - comedy or musical", 5),
            director("golden globe: best director - motion picture", 5),
            actor("golden globe: best actor", 5),
            actor("golden globe: best actress", 5),
            writer("golden globe: best screenplay - motion picture", 5),
            crew("golden globe: best original score - motion picture", 5),
        ],
    },
    Organization {
        abbreviation: "CFF",
        name: "Cannes Film Festival",
        country: "FR",
        first_year: 1946,
        delay: 0,
        preference: Preference::AnyContender,
        language: None,
        names_nominees: false,
        categories: &[
            movie("palme d'or", 12),
            movie("grand prize of the jury", 1),
            director("best director", 1),
            actor("best actress", 1),
        ],
    },
    Organization {
        abbreviation: "BAFTA",
        name: "British Academy of Film and Television Arts",
        country: "GB",
        first_year: 1949,
        delay: 1,
        preference: Preference::BestContenders,
        language: None,
        names_nominees: false,
        categories: &[
            movie("bafta film award: best film", 5),
            director("david lean award for direction", 4),
            actor("bafta film award: best actor", 4),
            actor("bafta film award: best actress", 4),
            writer("bafta film award: best screenplay", 4),
            crew("bafta film award: best cinematography", 5),
            crew("bafta film award: best editing", 4),
            crew("bafta film award: best sound", 4),
        ],
    },
    Organization {
        abbreviation: "BIFF",
        name: "Berlin International Film Festival",
        country: "DE",
        first_year: 1951,
        delay: 0,
        preference: Preference::AnyContender,
        language: None,
        names_nominees: false,
        categories: &[movie("golden berlin bear", 7), director("silver berlin bear: best director", 1)],
    },
    Organization {
        abbreviation: "CESAR",
        name: "Académie des Arts et Techniques du Cinéma",
        country: "FR",
        first_year: 1976,
        delay: 1,
        preference: Preference::BestContenders,
        language: Some("fr"),
        names_nominees: false,
        categories: &[
            movie("césar: best film", 5),
            director("césar: best director", 5),
            actor("césar: best actress", 5),
            crew("césar: best cinematography", 5),
        ],
    },
    Organization {
        abbreviation: "TIFF",
        name: "Toronto International Film Festival",
        country: "CA",
        first_year: 1978,
        delay: 0,
        preference: Preference::AnyContender,
        language: None,
        names_nominees: false,
        categories: &[movie("people's choice award", 1), movie("platform prize", 1)],
    },
    Organization {
        abbreviation: "SFF",
        name: "Sundance Film Festival",
        country: "US",
        first_year: 1985,
        delay: 0,
        preference: Preference::AnyContender,
        language: None,
        names_nominees: false,
        categories: &[movie("grand jury prize: dramatic", 4), movie("audience award: dramatic", 1)],
    },
    Organization {
        abbreviation: "FISA",
        name: "Film Independent Spirit Awards",
        country: "US",
        first_year: 1986,
        delay: 1,
        preference: Preference::AnyContender,
        language: None,
        names_nominees: false,
        categories: &[
            movie("independent spirit award: best feature", 5),
            director("independent spirit award: best director", 5),
            actor("independent spirit award: best male lead", 5),
            writer("independent spirit award: best screenplay", 5),
        ],
    },
    Organization {
        abbreviation: "CCA",
        name: "Critics Choice Association",
        country: "US",
        first_year: 1996,
        delay: 1,
        preference: Preference::BestContenders,
        language: None,
        names_nominees: false,
        categories: &[
            movie("critics choice award: best picture", 10),
            director("critics choice award: best director", 5),
            actor("critics choice award: best actor", 6),
            actor("critics choice award: best actress", 6),
            crew("critics choice award: best cinematography", 5),
            crew("critics choice award: best visual effects", 5),
        ],
    },
];

/// Contenders of a year from which on every category is awarded. With fewer, a jury omits categories in proportion, so
/// that a small catalogue has few nominations, too.
const FULL_FIELD: f64 = 20.0;
/// Maximum draws per nominee. More than 1, because a draw may repeat an earlier nominee; bounded, because there may be
/// fewer distinct nominees than the category has places.
const DRAWS_PER_NOMINEE: u32 = 3;
/// Share of writers' nominations that go to the director, who then wrote the movie as well.
const WRITING_DIRECTORS: f64 = 0.3;

/// One ceremony.
#[derive(Debug)]
pub(super) struct Ceremony {
    /// Index in [`ORGANIZATIONS`].
    pub(super) organization: usize,
    pub(super) year: i32,
    pub(super) nominations: Vec<Nomination>,
}

#[derive(Debug)]
pub(super) struct Nomination {
    /// Index among the organization's categories.
    pub(super) category: usize,
    pub(super) movie: u32,
    /// Recorded name of the nominee. `None` if a movie or its crew is nominated, or if the organization records no
    /// names.
    pub(super) name: Option<String>,
    /// The credited person whom the name identifies.
    pub(super) person: Option<u32>,
    pub(super) won: bool,
}

/// A movie that a jury may choose.
struct Contender {
    movie: Movie,
    credits: Vec<Credit>,
}

/// All ceremonies with nominations, by release year of the movies.
pub(super) fn ceremonies(catalogue: &Catalogue, selection: &Selection) -> impl Iterator<Item = Ceremony> {
    selection.contenders.iter().flat_map(move |(released, movies)| {
        let contenders: Vec<Contender> = movies.iter().map(|id| contender(catalogue, *id)).collect();
        ORGANIZATIONS.iter().enumerate().filter_map(move |(index, organization)| {
            let year = released + organization.delay;
            let is_held = (organization.first_year..=LAST_YEAR).contains(&year);
            let hold = || ceremony(catalogue, index, year, &contenders);
            is_held.then(hold).filter(|ceremony| !ceremony.nominations.is_empty())
        })
    })
}

fn contender(catalogue: &Catalogue, id: u32) -> Contender {
    let movie = Movie::of(catalogue, id);
    let credits = credits(catalogue, &movie);
    Contender { movie, credits }
}

fn ceremony(catalogue: &Catalogue, organization: usize, year: i32, contenders: &[Contender]) -> Ceremony {
    let jury = &ORGANIZATIONS[organization];
    // Unique for each ceremony, since years have four digits.
    let number = organization as u64 * 10_000 + u64::from(year.unsigned_abs());
    let mut rng = SeededRng::of(catalogue.seed, Stream::Ceremony, number);
    let is_eligible = |movie: &Movie| jury.language.is_none_or(|code| code == movie.language.code);
    let field: Vec<&Contender> = contenders.iter().filter(|contender| is_eligible(&contender.movie)).collect();
    let awarded_share = f64::from(u32::try_from(contenders.len()).unwrap_or(u32::MAX)) / FULL_FIELD;
    let mut nominations = Vec::new();
    for (index, category) in jury.categories.iter().enumerate() {
        if !field.is_empty() && rng.chance(awarded_share) {
            nominations.extend(shortlist(catalogue, &mut rng, jury, index, category, &field));
        }
    }
    Ceremony { organization, year, nominations }
}

/// Nominees of a category, including the winner. `field` holds the eligible contenders, best first.
fn shortlist(
    catalogue: &Catalogue,
    rng: &mut SeededRng,
    jury: &Organization,
    index: usize,
    category: &Category,
    field: &[&Contender],
) -> Vec<Nomination> {
    let movies = u32::try_from(field.len()).unwrap_or(u32::MAX);
    // Keyed by position in `field` and by name, so that nominations are distinct, and sorted with the best movies
    // first. The value is the person.
    let mut chosen: BTreeMap<(u32, Option<String>), Option<u32>> = BTreeMap::new();
    for _ in 0..category.size * DRAWS_PER_NOMINEE {
        if chosen.len() >= category.size as usize {
            break;
        }
        let position = match jury.preference {
            Preference::BestContenders => {
                // Two draws in succession prefer the first movies more than one draw would: a tenth of the nominated
                // movies gets a third of all nominations.
                let last = rng.toward_first(movies);
                rng.below(last + 1)
            }
            Preference::AnyContender => rng.below(movies),
        };
        let contender = field[position as usize];
        if let Some(name) = nominee(catalogue, rng, category.nominee, contender) {
            let name = Some(name).filter(|name| jury.names_nominees && !name.is_empty());
            let person = name.as_deref().and_then(|name| credited(catalogue, contender, name));
            chosen.insert((position, name), person);
        }
    }
    // Two nominees are drawn, and the better one wins, so that good movies win more often but not always.
    // Without a nominee, for example because no contender has a credited director, `below` returns 0 and nobody wins.
    let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    let winner = rng.below(count).min(rng.below(count));
    let nominated = (0..).zip(chosen).map(|(rank, ((position, name), person))| Nomination {
        category: index,
        movie: field[position as usize].movie.id,
        name,
        person,
        won: rank == winner,
    });
    nominated.collect()
}

/// Name of the person nominated for a movie; empty if the movie itself or its crew is nominated. `None` if the movie
/// has no credited person of this kind, and so cannot be nominated.
fn nominee(catalogue: &Catalogue, rng: &mut SeededRng, kind: Nominee, contender: &Contender) -> Option<String> {
    let director = contender.movie.director.map(|person| catalogue.people.name(person));
    let uncredited = |rng: &mut SeededRng| person_name(rng, contender.movie.language);
    match kind {
        Nominee::Movie | Nominee::Crew => Some(String::new()),
        Nominee::Director => director,
        Nominee::Writer if rng.chance(WRITING_DIRECTORS) => director,
        Nominee::Writer => Some(uncredited(rng)),
        Nominee::Actor => {
            let cast: Vec<u32> =
                contender.credits.iter().filter(|c| c.department == Department::Acting).map(|c| c.person).collect();
            (!cast.is_empty()).then(|| catalogue.people.name(*rng.pick(&cast)))
        }
    }
}

/// The person with this name among the credits of a movie. `None` if there is none or more than one: the import links a
/// nominee only if the name identifies one person, too.
fn credited(catalogue: &Catalogue, contender: &Contender, name: &str) -> Option<u32> {
    let mut people: Vec<u32> = contender.credits.iter().map(|credit| credit.person).collect();
    people.sort_unstable();
    people.dedup();
    people.retain(|person| catalogue.people.name(*person) == name);
    match people[..] {
        [person] => Some(person),
        _ => None,
    }
}
