//! The movies as inputs of learned rankings, decade by decade.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::scoring::learned::{
    DecadeInputs, ListSize, MovieInputs, OnList, OtherWorks, PersonWorks, Work, is_ordered_by_merit, other_lists,
    work_quality,
};
use crate::scoring::{Decade, MovieId};
use crate::services::ServiceError;
use crate::store::{LearningCredit, LearningMovie, PersonId, Store};

/// First billed actors whose other works count.
const CAST: usize = 5;

/// A person in one role: works as a director and as an actor are counted apart.
type Credited = (PersonId, bool);

/// All fully imported movies, and who made them. It takes about 500 bytes a movie.
#[derive(Debug)]
pub(super) struct Catalogue {
    /// When it was read, by the database's clock.
    read_at: DateTime<Utc>,
    /// Sorted by id.
    movies: Vec<LearningMovie>,
    /// The people of each movie: its directors, and the first billed actors.
    people: Vec<Vec<Credited>>,
    /// Rows of the movies of each decade.
    decades: BTreeMap<Decade, Vec<usize>>,
}

/// What the inputs of a movie need of other movies, for one choice of lists.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    catalogue: &'a Catalogue,
    lists: Vec<String>,
    /// Whether the positions of each list count.
    by_merit: Vec<bool>,
    works: Vec<Work>,
    people: HashMap<Credited, PersonWorks>,
    /// Only works before this year count; all if it is `None`.
    before: Option<i32>,
}

impl Catalogue {
    /// Reads all movies and credits.
    pub(super) async fn read(store: &Store) -> Result<Self, ServiceError> {
        let read_at = store.database_time().await?;
        let movies = store.learning_movies().await?;
        Ok(Self::of(read_at, movies, store.learning_credits().await?))
    }

    /// A catalogue of these movies, sorted by id, and their credits, the cast in order of billing.
    fn of(read_at: DateTime<Utc>, movies: Vec<LearningMovie>, credits: Vec<LearningCredit>) -> Self {
        let mut people = vec![Vec::new(); movies.len()];
        for credit in credits {
            // A credit of a movie that was imported since has no row.
            let row = movies.binary_search_by_key(&credit.movie, |movie| movie.inputs.id);
            let Ok(of_movie) = row.map(|row| &mut people[row]) else { continue };
            let credited = (credit.person, credit.is_cast);
            let cast = of_movie.iter().filter(|(_, is_cast)| *is_cast).count();
            if (!credit.is_cast || cast < CAST) && !of_movie.contains(&credited) {
                of_movie.push(credited);
            }
        }
        let mut decades: BTreeMap<Decade, Vec<usize>> = BTreeMap::new();
        for (row, movie) in movies.iter().enumerate() {
            if let Ok(decade) = Decade::starting(movie.inputs.year - movie.inputs.year.rem_euclid(10)) {
                decades.entry(decade).or_default().push(row);
            }
        }
        Self { read_at, movies, people, decades }
    }

    /// When it was read, by the database's clock: later changes may be missing.
    pub(super) fn read_at(&self) -> DateTime<Utc> {
        self.read_at
    }

    /// Decades with movies, ascending.
    pub(super) fn decades(&self) -> impl Iterator<Item = Decade> {
        self.decades.keys().copied()
    }

    /// Number of movies of a decade.
    pub(super) fn size_of(&self, decade: Decade) -> usize {
        self.decades.get(&decade).map_or(0, Vec::len)
    }

    /// Fully imported movies of a list.
    pub(super) fn members(&self, list: &str) -> HashSet<MovieId> {
        let is_on = |movie: &&LearningMovie| movie.lists.iter().any(|(key, _)| key == list);
        self.movies.iter().filter(is_on).map(|movie| movie.inputs.id).collect()
    }

    /// Keys of the lists that may be inputs for a target list.
    pub(super) fn other_lists(&self, target: &str) -> Vec<String> {
        let members = self.members(target);
        let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for movie in &self.movies {
            for (key, _) in &movie.lists {
                let (all, shared) = sizes.entry(key).or_default();
                *all += 1;
                *shared += usize::from(members.contains(&movie.inputs.id));
            }
        }
        let size = |(key, (members, shared)): (&str, (usize, usize))| ListSize { key: key.to_owned(), members, shared };
        other_lists(target, members.len(), sizes.into_iter().map(size).collect())
    }

    /// Prepares the inputs with these lists. If `before` is given, people's works from that year on are not counted.
    pub(super) fn inputs(&self, lists: Vec<String>, before: Option<i32>) -> Inputs<'_> {
        let by_merit = lists.iter().map(|list| self.is_by_merit(list)).collect();
        let mut inputs = Inputs { catalogue: self, lists, by_merit, works: vec![], people: HashMap::new(), before };
        let work = |movie: &LearningMovie| Work { lists: inputs.count_lists(movie), ..movie.inputs.work() };
        inputs.works = self.movies.iter().map(work).collect();
        let mut people: HashMap<Credited, PersonWorks> = HashMap::new();
        for (row, credited) in self.people.iter().enumerate().filter(|(row, _)| inputs.counts(*row)) {
            for one in credited {
                people.entry(*one).or_default().add(inputs.works[row]);
            }
        }
        Inputs { people, ..inputs }
    }

    fn is_by_merit(&self, list: &str) -> bool {
        let entry = |movie: &LearningMovie| {
            let (_, position) = movie.lists.iter().find(|(key, _)| key == list)?;
            Some(((*position)?, work_quality(movie.inputs.imdb, movie.inputs.tmdb)?))
        };
        is_ordered_by_merit(&self.movies.iter().filter_map(entry).collect::<Vec<_>>())
    }
}

impl Inputs<'_> {
    /// Keys of the lists that are inputs.
    pub(super) fn lists(&self) -> &[String] {
        &self.lists
    }

    /// The inputs of a decade's movies, by ascending id.
    pub(super) fn of(&self, decade: Decade) -> DecadeInputs {
        let rows = self.catalogue.decades.get(&decade).into_iter().flatten();
        DecadeInputs { decade, lists: self.lists.clone(), movies: rows.map(|row| self.movie(*row)).collect() }
    }

    fn movie(&self, row: usize) -> MovieInputs {
        let movie = &self.catalogue.movies[row];
        let mut inputs = movie.inputs.clone();
        inputs.lists = self.on_lists(movie).collect();
        inputs.directors = self.other_works(row, false);
        inputs.cast = self.other_works(row, true);
        inputs
    }

    fn on_lists<'a>(&'a self, movie: &'a LearningMovie) -> impl Iterator<Item = OnList> {
        movie.lists.iter().filter_map(|(key, position)| {
            let list = self.lists.iter().position(|list| list == key)?;
            let position = position.filter(|_| self.by_merit[list]);
            Some(OnList { list: u8::try_from(list).ok()?, position })
        })
    }

    fn count_lists(&self, movie: &LearningMovie) -> u32 {
        u32::try_from(self.on_lists(movie).count()).unwrap_or(u32::MAX)
    }

    /// Whether the movie counts as a work of its people.
    fn counts(&self, row: usize) -> bool {
        self.before.is_none_or(|before| self.catalogue.movies[row].inputs.year < before)
    }

    /// Other works of the movie's directors, or of its cast.
    fn other_works(&self, row: usize, cast: bool) -> Option<OtherWorks> {
        let of_role = self.catalogue.people[row].iter().filter(|(_, is_cast)| *is_cast == cast);
        let works = of_role.map(|credited| {
            let all = self.people.get(credited).copied().unwrap_or_default();
            if self.counts(row) { all.without(self.works[row]) } else { all.all() }
        });
        works.reduce(OtherWorks::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::learned::{MovieInputs, Rating};

    const TARGET: &str = "target";

    fn movie(id: i64, year: i32, rating: f32, lists: &[(&str, u32)]) -> LearningMovie {
        let mut inputs = MovieInputs::unknown(MovieId(id), year);
        inputs.imdb = Rating { average: Some(rating), votes: Some(100_000.0) };
        LearningMovie { inputs, lists: lists.iter().map(|(key, at)| ((*key).to_owned(), Some(*at))).collect() }
    }

    fn credit(movie: i64, person: i64, is_cast: bool) -> LearningCredit {
        LearningCredit { movie: MovieId(movie), person: PersonId(person), is_cast }
    }

    fn catalogue(movies: Vec<LearningMovie>, credits: Vec<LearningCredit>) -> Catalogue {
        Catalogue::of(DateTime::UNIX_EPOCH, movies, credits)
    }

    fn decade(year: i32) -> Decade {
        Decade::starting(year).unwrap()
    }

    #[test]
    fn a_movie_is_not_among_the_other_works_of_its_people() {
        let movies = vec![movie(1, 1994, 9.0, &[]), movie(2, 1985, 7.0, &[]), movie(3, 2004, 5.0, &[])];
        // Person 7 directs all three, and acts in the first; a credit of a movie that is not there is left out.
        let mut credits: Vec<_> = (1..=4).map(|movie| credit(movie, 7, false)).collect();
        credits.push(credit(1, 7, true));
        let catalogue = catalogue(movies, credits);
        let directors = |inputs: &Inputs<'_>, year| inputs.of(decade(year)).movies[0].directors.unwrap();
        let all = catalogue.inputs(vec![], None);
        assert_eq!(directors(&all, 1990).works, 2);
        let own = all.of(decade(1990)).movies[0].clone();
        assert_eq!(own.cast.unwrap().works, 0, "works as a director and as an actor are counted apart");
        assert!(directors(&all, 1990).best < directors(&all, 1980).best, "its own rating counts elsewhere alone");
        // As of 2000, a later movie is not among its director's works, and has nothing to take out.
        let early = catalogue.inputs(vec![], Some(2000));
        assert_eq!([1980, 1990, 2000].map(|year| directors(&early, year).works), [1, 1, 2]);
    }

    #[test]
    fn only_the_first_billed_actors_count() {
        let mut movies = vec![movie(1, 1994, 7.0, &[])];
        movies.extend((2..=8).map(|id| movie(id, 1980 + i32::try_from(id).unwrap(), 7.0, &[])));
        // Seven actors, each with one other movie.
        let billed = (1..=7).map(|person| credit(1, person, true));
        let others = (1..=7).map(|person| credit(person + 1, person, true));
        let catalogue = catalogue(movies, billed.chain(others).collect());
        let inputs = catalogue.inputs(vec![], None);
        assert_eq!(inputs.of(decade(1990)).movies[0].cast.unwrap().works, u32::try_from(CAST).unwrap());
    }

    #[test]
    fn the_target_list_is_no_input_and_positions_count_only_where_they_say_something() {
        // The best movies are first on one list; the other one is in the order of their ids.
        let movies = (1..=60_u16).map(|id| {
            let (best, any) = (u32::from(61 - id), u32::from(id));
            let lists = [("merit", best), ("spine", any), (TARGET, any)];
            let lists = &lists[..if id % 6 == 0 { 3 } else { 2 }];
            movie(id.into(), 1990 + i32::from(id % 10), 4.0 + f32::from(id) / 20.0, lists)
        });
        let catalogue = catalogue(movies.collect(), vec![]);
        assert_eq!(catalogue.members(TARGET).len(), 10);
        let lists = catalogue.other_lists(TARGET);
        assert_eq!(lists, ["merit", "spine"]);
        let of_decade = catalogue.inputs(lists, None).of(decade(1990));
        let positions = |list: u8| {
            let on = of_decade.movies.iter().flat_map(|movie| &movie.lists).filter(move |on| on.list == list);
            on.map(|on| on.position).collect::<Vec<_>>()
        };
        assert_eq!(positions(0), (1..=60).rev().map(Some).collect::<Vec<_>>());
        assert_eq!(positions(1), [None; 60]);
    }
}
