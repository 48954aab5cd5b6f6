//! The catalogue as rows in batches, ordered so that every row follows the rows that it references.

use std::ops::ControlFlow;

use super::awards::{self, Ceremony, Nominee, ORGANIZATIONS};
use super::catalogue::Catalogue;
use super::copy_rows::{Cell, CopyRows};
use super::lists::{LISTS, Selection, Selector};
use super::movie::{Credit, Details, Movie, credits, details};
use super::people::{Department, People};
use super::tables::Table;
use super::words::{COUNTRIES, GENRES};
use super::{Batch, Part};

/// Passes the whole catalogue to `sink`. `size` is the number of movies or people per batch; it does not change the
/// rows.
pub(super) fn write(
    catalogue: &Catalogue,
    size: u32,
    sink: &mut dyn FnMut(Batch) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut pass = |rows, part, done, total| sink(Batch { part, done, total, rows });

    let mut selector = Selector::of(catalogue);
    // Lists need a pass of their own, because a movie's row holds the lists that it is on.
    for (first, last) in batches(catalogue.movies, size) {
        (first..=last).for_each(|id| selector.consider(&Movie::of(catalogue, id)));
        pass(Vec::new(), Part::Lists, last, catalogue.movies)?;
    }
    let selection = selector.finish();

    pass(reference_rows(&selection), Part::People, 0, catalogue.people.count())?;
    for (first, last) in batches(catalogue.people.count(), size) {
        pass(vec![people_rows(catalogue, first, last)], Part::People, last, catalogue.people.count())?;
    }

    let mut movie_rows = MovieRows::default();
    for (first, last) in batches(catalogue.movies, size) {
        (first..=last).for_each(|id| movie_rows.add(catalogue, &selection, id));
        pass(movie_rows.take(), Part::Movies, last, catalogue.movies)?;
    }

    pass(award_rows(catalogue, &selection), Part::Awards, 1, 1)
}

/// Splits 1..=`count` into ranges of at most `size` ids, given by their first and last id.
fn batches(count: u32, size: u32) -> impl Iterator<Item = (u32, u32)> {
    (1..=count).step_by(size as usize).map(move |first| (first, count.min(first.saturating_add(size - 1))))
}

/// Id of the row at `position`. Positions count from 0, ids from 1.
fn id(position: usize) -> Cell<'static> {
    whole(position + 1)
}

fn whole(number: usize) -> Cell<'static> {
    i64::try_from(number).map_or(Cell::Null, Cell::Int)
}

/// The rows of genres, countries and lists.
fn reference_rows(selection: &Selection) -> Vec<CopyRows> {
    let mut genres = CopyRows::of(Table::Genres);
    for (position, (tmdb_id, name, _)) in GENRES.into_iter().enumerate() {
        genres.push([id(position), tmdb_id.into(), name.into()]);
    }
    let mut countries = CopyRows::of(Table::ProductionCountries);
    for (position, (code, name)) in COUNTRIES.into_iter().enumerate() {
        countries.push([id(position), code.into(), name.into()]);
    }
    let mut lists = CopyRows::of(Table::MovieLists);
    for (position, (list, size)) in LISTS.iter().zip(selection.sizes).enumerate() {
        lists.push([
            id(position),
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

fn people_rows(catalogue: &Catalogue, first: u32, last: u32) -> CopyRows {
    let mut people = CopyRows::of(Table::People);
    for id in first..=last {
        // As in real data, the ids of TMDb differ from ours: 3 × the id for people, 2 × the id for movies.
        let name = catalogue.people.name(id);
        people.push([id.into(), (3 * id).into(), name.as_str().into(), People::department(id).name().into()]);
    }
    people
}

/// Rows about movies that no batch has yet, and the last ids assigned so far.
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
    /// Takes the rows added since the last call. Ids continue, because they are unique across batches.
    fn take(&mut self) -> Vec<CopyRows> {
        let emptied = Self { last_metric: self.last_metric, last_credit: self.last_credit, ..Self::default() };
        let taken = std::mem::replace(self, emptied);
        vec![taken.movies, taken.metrics, taken.credits, taken.genres, taken.countries]
    }

    /// Adds the rows of one movie to all tables.
    fn add(&mut self, catalogue: &Catalogue, selection: &Selection, id: u32) {
        let movie = Movie::of(catalogue, id);
        let details = details(catalogue, &movie);
        self.add_movie(selection, &movie, &details);
        for metric in &details.metrics {
            self.last_metric += 1;
            let value = Cell::Float(metric.value);
            self.metrics.push([self.last_metric.into(), id.into(), metric.source.into(), metric.kind.into(), value]);
        }
        for credit in credits(catalogue, &movie) {
            self.add_credit(id, credit);
        }
        for genre in details.genres {
            self.genres.push([id.into(), self::id(genre)]);
        }
        for country in details.countries {
            let position = COUNTRIES.iter().position(|(code, _)| *code == country);
            self.countries.push([id.into(), position.map_or(Cell::Null, self::id)]);
        }
    }

    fn add_movie(&mut self, selection: &Selection, movie: &Movie, details: &Details) {
        // Differs from our id for the reason given in `people_rows`.
        let tmdb_id = 2 * movie.id;
        let imdb_id = details.imdb_number.map(|number| format!("tt{number:07}"));
        let release_date = movie.is_dated.then(|| movie.release.date.to_string());
        // An array literal of PostgreSQL.
        let origin_country = format!("{{{}}}", movie.country);
        let import_status = if movie.is_full { "full" } else { "soft" };
        // JSON.
        let canonical_sources = selection.sources.get(&movie.id).map_or_else(|| "{}".to_owned(), ToString::to_string);
        // In the order of `Table::value_columns`.
        self.movies.push([
            movie.id.into(),
            tmdb_id.into(),
            imdb_id.as_deref().into(),
            details.title.as_str().into(),
            "Released".into(),
            movie.language.code.into(),
            release_date.as_deref().into(),
            details.runtime.into(),
            origin_country.as_str().into(),
            import_status.into(),
            canonical_sources.as_str().into(),
        ]);
    }

    fn add_credit(&mut self, movie: u32, credit: Credit) {
        self.last_credit += 1;
        let (credit_type, kind_letter, job) = match credit.department {
            Department::Directing => ("crew", 'd', Some("Director")),
            Department::Acting => ("cast", 'c', None),
        };
        // The letter of the department keeps the id unique if a person both directs a movie and acts in it.
        let credit_id = format!("{movie}-{kind_letter}-{}", credit.person);
        self.credits.push([
            self.last_credit.into(),
            movie.into(),
            credit.person.into(),
            credit_id.as_str().into(),
            credit_type.into(),
            credit.department.name().into(),
            job.into(),
            credit.order.into(),
        ]);
    }
}

/// All award rows. They fit in one batch, because awards do not grow with the catalogue.
fn award_rows(catalogue: &Catalogue, selection: &Selection) -> Vec<CopyRows> {
    let mut organizations = CopyRows::of(Table::FestivalOrganizations);
    let mut categories = CopyRows::of(Table::FestivalCategories);
    let mut ceremonies = CopyRows::of(Table::FestivalCeremonies);
    let mut nominations = CopyRows::of(Table::FestivalNominations);

    let mut last_category = 0;
    // For each organization, the number of categories of the organizations before it.
    let mut categories_before = Vec::new();
    for (position, organization) in ORGANIZATIONS.iter().enumerate() {
        organizations.push([
            id(position),
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
            categories.push([
                id(last_category),
                id(position),
                category.name.into(),
                tracks_person,
                category_type.into(),
            ]);
            last_category += 1;
        }
    }

    let mut last_nomination = 0;
    for (position, Ceremony { organization, year, nominations: nominated }) in
        awards::ceremonies(catalogue, selection).enumerate()
    {
        let name = format!("{year} {}", ORGANIZATIONS[organization].abbreviation);
        ceremonies.push([id(position), id(organization), year.into(), name.as_str().into(), "generated".into()]);
        for nomination in nominated {
            last_nomination += 1;
            let details = nomination
                .name
                .map_or_else(|| "{}".to_owned(), |name| serde_json::json!({ "nominee_names": name }).to_string());
            nominations.push([
                Cell::Int(last_nomination),
                id(position),
                id(categories_before[organization] + nomination.category),
                nomination.movie.into(),
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
        let written = write(&Catalogue::of(seed, 600), size, &mut |batch| {
            for rows in batch.rows {
                tables[rows.table() as usize].update(rows.as_bytes());
            }
            ControlFlow::Continue(())
        });
        assert!(written.is_continue());
        let whole = tables.into_iter().fold(Sha256::new(), |all, table| all.chain_update(table.finalize()));
        whole.finalize().iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    #[test]
    fn seed_gives_the_same_catalogue_on_every_machine_and_release() {
        // Changes only when the generated data changes intentionally.
        assert_eq!(digest(1, 500), "5a33b2fdb3490307");
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
        let mut batches = 0;
        let stopped = write(&Catalogue::of(1, 600), 100, &mut |_| {
            batches += 1;
            ControlFlow::Break(())
        });
        assert_eq!((stopped, batches), (ControlFlow::Break(()), 1));
    }

    #[test]
    fn batches_cover_the_whole_range() {
        assert_eq!(batches(5, 2).collect::<Vec<_>>(), [(1, 2), (3, 4), (5, 5)]);
    }
}
