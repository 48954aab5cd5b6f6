//! The catalogue as rows in batches, ordered so that every row follows the rows that it references.

use crate::store::generate::{Cell, CopyRows, Table};

use super::awards::{self, Ceremony, Nominee, ORGANIZATIONS};
use super::canon::{Canon, LISTS, Search};
use super::film::{Credit, Details, Film, World, credits, details};
use super::people::{People, Trade};
use super::words::{COUNTRIES, GENRES};
use super::{Phase, Progress};

/// Rows, and the progress after them.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Vec<CopyRows>,
    pub(super) progress: Progress,
}

/// The consumer of the batches stopped.
#[derive(Debug)]
pub(super) struct Stopped;

/// Passes the whole catalogue to `take`, which returns whether to continue. `size` is the number of movies or people
/// per batch; it does not change the rows.
pub(super) fn write(world: &World, size: u32, take: &mut impl FnMut(Batch) -> bool) -> Result<(), Stopped> {
    let mut pass = |rows, phase, done, total| {
        let progress = Progress { phase, done: u64::from(done), total: u64::from(total) };
        if take(Batch { rows, progress }) { Ok(()) } else { Err(Stopped) }
    };

    let mut search = Search::of(world);
    for (first, last) in batches(world.films, size) {
        (first..=last).for_each(|id| search.look_at(&Film::of(world, id)));
        pass(Vec::new(), Phase::Choosing, last, world.films)?;
    }
    let canon = search.finish();

    pass(reference_rows(&canon), Phase::People, 0, world.people.count())?;
    for (first, last) in batches(world.people.count(), size) {
        pass(vec![people_rows(world, first, last)], Phase::People, last, world.people.count())?;
    }

    let mut film_rows = MovieRows::default();
    for (first, last) in batches(world.films, size) {
        (first..=last).for_each(|id| film_rows.add(world, &canon, id));
        pass(film_rows.take(), Phase::Films, last, world.films)?;
    }

    pass(award_rows(world, &canon), Phase::Awards, 1, 1)
}

/// Splits 1..=`count` into ranges of `size`.
fn batches(count: u32, size: u32) -> impl Iterator<Item = (u32, u32)> {
    (1..=count).step_by(size as usize).map(move |first| (first, count.min(first.saturating_add(size - 1))))
}

/// Id of a row by its index; ids start at 1.
fn id(place: usize) -> Cell<'static> {
    whole(place + 1)
}

fn whole(number: usize) -> Cell<'static> {
    i64::try_from(number).map_or(Cell::Null, Cell::Int)
}

fn reference_rows(canon: &Canon) -> Vec<CopyRows> {
    let mut genres = CopyRows::of(Table::Genres);
    for (place, (tmdb_id, name, _)) in GENRES.into_iter().enumerate() {
        genres.push([id(place), tmdb_id.into(), name.into()]);
    }
    let mut countries = CopyRows::of(Table::ProductionCountries);
    for (place, (code, name)) in COUNTRIES.into_iter().enumerate() {
        countries.push([id(place), code.into(), name.into()]);
    }
    let mut lists = CopyRows::of(Table::MovieLists);
    for (place, (list, size)) in LISTS.iter().zip(canon.sizes).enumerate() {
        lists.push([
            id(place),
            list.key.into(),
            list.name.into(),
            list.source_type.into(),
            list.url.into(),
            list.category.into(),
            whole(size),
        ]);
    }
    vec![genres, countries, lists]
}

fn people_rows(world: &World, first: u32, last: u32) -> CopyRows {
    let mut people = CopyRows::of(Table::People);
    for id in first..=last {
        let name = world.people.name(id);
        people.push([id.into(), (3 * id).into(), name.as_str().into(), People::trade(id).department().into()]);
    }
    people
}

/// Rows about movies, and the last assigned ids.
struct MovieRows {
    movies: CopyRows,
    metrics: CopyRows,
    credits: CopyRows,
    genres: CopyRows,
    countries: CopyRows,
    last_metric: u32,
    last_credit: u32,
}

impl Default for MovieRows {
    fn default() -> Self {
        Self {
            movies: CopyRows::of(Table::Movies),
            metrics: CopyRows::of(Table::ExternalMetrics),
            credits: CopyRows::of(Table::MovieCredits),
            genres: CopyRows::of(Table::MovieGenres),
            countries: CopyRows::of(Table::MovieProductionCountries),
            last_metric: 0,
            last_credit: 0,
        }
    }
}

impl MovieRows {
    /// Takes the rows added since the last call.
    fn take(&mut self) -> Vec<CopyRows> {
        let rest = Self { last_metric: self.last_metric, last_credit: self.last_credit, ..Self::default() };
        let full = std::mem::replace(self, rest);
        vec![full.movies, full.metrics, full.credits, full.genres, full.countries]
    }

    fn add(&mut self, world: &World, canon: &Canon, id: u32) {
        let film = Film::of(world, id);
        let details = details(world, &film);
        self.add_movie(canon, &film, &details);
        for metric in &details.metrics {
            self.last_metric += 1;
            let value = Cell::Float(metric.value);
            self.metrics.push([self.last_metric.into(), id.into(), metric.source.into(), metric.kind.into(), value]);
        }
        for credit in credits(world, &film) {
            self.add_credit(id, credit);
        }
        for genre in details.genres {
            self.genres.push([id.into(), self::id(genre)]);
        }
        for country in details.countries {
            let place = COUNTRIES.iter().position(|(code, _)| *code == country);
            self.countries.push([id.into(), place.map_or(Cell::Null, self::id)]);
        }
    }

    fn add_movie(&mut self, canon: &Canon, film: &Film, details: &Details) {
        let imdb_id = details.imdb_number.map(|number| format!("tt{number:07}"));
        let release_date = film.is_dated.then(|| film.moment.date.to_string());
        let sources = canon.sources.get(&film.id).map_or_else(|| "{}".to_owned(), ToString::to_string);
        self.movies.push([
            film.id.into(),
            (2 * film.id).into(),
            imdb_id.as_deref().into(),
            details.title.as_str().into(),
            "Released".into(),
            film.language.code.into(),
            release_date.as_deref().into(),
            details.runtime.into(),
            format!("{{{}}}", film.country).as_str().into(),
            if film.is_full { "full" } else { "soft" }.into(),
            sources.as_str().into(),
        ]);
    }

    fn add_credit(&mut self, film: u32, credit: Credit) {
        self.last_credit += 1;
        let (credit_type, letter, job) = match credit.trade {
            Trade::Directing => ("crew", 'd', Some("Director")),
            Trade::Acting => ("cast", 'c', None),
        };
        self.credits.push([
            self.last_credit.into(),
            film.into(),
            credit.person.into(),
            format!("{film}-{letter}-{}", credit.person).as_str().into(),
            credit_type.into(),
            credit.trade.department().into(),
            job.into(),
            credit.order.into(),
        ]);
    }
}

/// All award rows in one batch, because awards do not grow with the catalogue.
fn award_rows(world: &World, canon: &Canon) -> Vec<CopyRows> {
    let mut organizations = CopyRows::of(Table::FestivalOrganizations);
    let mut categories = CopyRows::of(Table::FestivalCategories);
    let mut ceremonies = CopyRows::of(Table::FestivalCeremonies);
    let mut nominations = CopyRows::of(Table::FestivalNominations);

    let mut last_category = 0;
    // Per organization, the number of categories before its first.
    let mut categories_before = Vec::new();
    for (place, organization) in ORGANIZATIONS.iter().enumerate() {
        organizations.push([
            id(place),
            organization.name.into(),
            organization.abbreviation.into(),
            organization.country.into(),
            organization.first_year.into(),
        ]);
        categories_before.push(last_category);
        for category in organization.categories {
            let tracks_person =
                Cell::Bool(matches!(category.nominee, Nominee::Director | Nominee::Actor | Nominee::Writer));
            let category_type = category.nominee.category_type();
            categories.push([id(last_category), id(place), category.name.into(), tracks_person, category_type.into()]);
            last_category += 1;
        }
    }

    let mut last_nomination = 0;
    for (place, Ceremony { organization, year, nominations: given }) in awards::ceremonies(world, canon).enumerate() {
        let name = format!("{year} {}", ORGANIZATIONS[organization].abbreviation);
        ceremonies.push([id(place), id(organization), year.into(), name.as_str().into(), "generated".into()]);
        for nomination in given {
            last_nomination += 1;
            let details = nomination
                .name
                .map_or_else(|| "{}".to_owned(), |name| serde_json::json!({ "nominee_names": name }).to_string());
            nominations.push([
                Cell::Int(last_nomination),
                id(place),
                id(categories_before[organization] + nomination.category),
                nomination.film.into(),
                nomination.person.into(),
                Cell::Bool(nomination.won),
                details.as_str().into(),
            ]);
        }
    }
    vec![organizations, categories, ceremonies, nominations]
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn digest(seed: u64, size: u32) -> String {
        let mut tables = Table::ALL.map(|_| Sha256::new());
        let done = write(&World::of(seed, 600), size, &mut |batch| {
            for rows in batch.rows {
                tables[rows.table() as usize].update(rows.as_bytes());
            }
            true
        });
        assert!(done.is_ok());
        let whole = tables.into_iter().fold(Sha256::new(), |all, table| all.chain_update(table.finalize()));
        whole.finalize().iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    #[test]
    fn seed_gives_the_same_catalogue_on_every_machine_and_release() {
        // Changes only when the generated data changes intentionally.
        insta::assert_snapshot!(digest(1, 500), @"5a33b2fdb3490307");
    }

    #[test]
    fn batch_size_does_not_change_the_rows() {
        assert_eq!(digest(1, 7), digest(1, 10_000));
    }

    #[test]
    fn seeds_give_different_catalogues() {
        assert_ne!(digest(1, 500), digest(2, 500));
    }

    #[test]
    fn generation_stops_with_its_consumer() {
        assert!(write(&World::of(1, 600), 100, &mut |_| false).is_err());
    }

    #[test]
    fn batches_cover_the_whole_range() {
        assert_eq!(batches(5, 2).collect::<Vec<_>>(), [(1, 2), (3, 4), (5, 5)]);
    }
}
