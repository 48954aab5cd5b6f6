//! Movies and their details, in batches.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use chrono::NaiveDate;

use super::ServiceError;
use super::cache_policy::{CacheLimits, estimated_size, share};
use crate::cache::{Cache, CacheContext, CacheName, DataSource, DependencyScope, Key, LoadStart, Loaded};
use crate::clock::Clock;
use crate::scoring::{Decade, MovieId};
use crate::store::{
    Biography, Country, Credit, Description, FestivalEntry, FilmographyPage, Genre, LiveScore, Metric, Movie, MovieKey,
    MovieSearch, Person, PersonId, PersonKey, PersonQuality, SearchText, Store, StoreError,
};
use crate::versions::{Scope, VersionSet, Versions};

/// Estimated memory of one item of a detail, including its text. An item is one genre, one metric or one credit.
const ITEM_BYTES: usize = 150;

/// Number of items that take about as much memory as the quality of a person, a JSON object of eight short numbers.
const QUALITY_ITEMS: usize = 6;

/// The same for the description of a movie and the biography of a person, whose texts have some hundred characters.
const TEXT_ITEMS: usize = 5;

/// Lookups of movies and their details. Results do not contain what does not exist.
#[derive(Debug)]
pub struct Movies {
    store: Store,
    versions: Versions,
    clock: Clock,
    limits: CacheLimits,
    /// `None` if the caching of results is disabled.
    details: Option<Details>,
}

/// Caches of movie details.
#[derive(Debug)]
struct Details {
    movies: Cache<MovieId, Option<Arc<Movie>>, ServiceError>,
    descriptions: DetailCache<Description>,
    directors: DetailCache<Vec<Person>>,
    genres: DetailCache<Vec<Genre>>,
    countries: DetailCache<Vec<Country>>,
    metrics: DetailCache<Vec<Metric>>,
    festivals: DetailCache<Vec<FestivalEntry>>,
    credits: DetailCache<Vec<Credit>>,
    people: Cache<DetailKey<PersonId>, Option<Arc<Biography>>, ServiceError>,
    qualities: Cache<DetailKey<PersonId>, Option<Arc<PersonQuality>>, ServiceError>,
}

type DetailCache<V> = Cache<DetailKey<MovieId>, Option<Arc<V>>, ServiceError>;

/// Key of a detail: a movie or a person, and a decade. A change of the data version of this decade makes the detail
/// stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DetailKey<Id> {
    /// The movie or the person.
    pub id: Id,
    /// The decade of the movie, or of the movie that a person is requested for. `None` for an undated movie, or a
    /// person that is requested without a movie: every change of the data makes such a detail stale.
    pub decade: Option<Decade>,
}

impl Key for MovieId {}
impl Key for DetailKey<MovieId> {}
impl Key for DetailKey<PersonId> {}

impl Movies {
    pub(super) fn new(store: Store, cache_context: &CacheContext, limits: &CacheLimits, cache_enabled: bool) -> Self {
        let [movies, descriptions, directors, genres, countries, metrics, festivals, credits, people, qualities] =
            share::DETAILS.map(|share| limits.settings(CacheName::Films, share));
        let details = || Details {
            movies: Cache::new(movies, cache_context),
            descriptions: Cache::new(descriptions, cache_context),
            directors: Cache::new(directors, cache_context),
            genres: Cache::new(genres, cache_context),
            countries: Cache::new(countries, cache_context),
            metrics: Cache::new(metrics, cache_context),
            festivals: Cache::new(festivals, cache_context),
            credits: Cache::new(credits, cache_context),
            people: Cache::new(people, cache_context),
            qualities: Cache::new(qualities, cache_context),
        };
        Self {
            store,
            versions: cache_context.versions.clone(),
            clock: cache_context.clock.clone(),
            limits: *limits,
            details: cache_enabled.then(details),
        }
    }

    /// Id of the movie with this key; `None` if there is none. Not cached: it is one lookup in an index, and the cache of
    /// responses serves equal requests.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn movie_id(&self, key: &MovieKey) -> Result<Option<MovieId>, ServiceError> {
        self.record_read();
        Ok(self.store.movie_id(key).await?)
    }

    /// Movies by id.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn movies(&self, keys: &[MovieId]) -> Result<HashMap<MovieId, Arc<Movie>>, ServiceError> {
        let Some(details) = &self.details else { return Ok(by_id(self.store.movies_by_id(keys).await?)) };
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = move |keys: Vec<MovieId>| {
            let (store, versions) = (store.clone(), versions.clone());
            async move {
                // The versions must be read before the movies, but only a loaded movie tells its decade. So all
                // versions are read, and each entry keeps the one that it depends on.
                let before = versions.set_of_all();
                let mut found = by_id(store.movies_by_id(&keys).await?);
                let entry = |id: MovieId| {
                    let movie = found.remove(&id);
                    let decade = movie.as_ref().and_then(|movie| movie.release_date).and_then(Decade::of);
                    // Two items stand for its own texts: title, ids, language and poster.
                    let bytes =
                        movie.as_ref().map_or(0, |movie| size_of::<Movie>() + (movie.lists.len() + 2) * ITEM_BYTES);
                    // An undated movie is in no decade: when it changes, the drain raises the version of the reference
                    // data. A negative entry depends on no version: it ends with its short TTL.
                    let scope = movie.as_ref().map(|_| decade.map_or(Scope::Reference, Scope::Scores));
                    (id, detail_entry(&limits, movie, before.only(scope), bytes))
                };
                Ok(keys.into_iter().map(entry).collect())
            }
        };
        details.movies.get_many(keys, load).await
    }

    /// Scores of movies of any import status, computed from the base tables. Not cached.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn live_scores(&self, ids: &[MovieId]) -> Result<HashMap<MovieId, LiveScore>, ServiceError> {
        self.record_read();
        Ok(self.store.live_scores(ids).await?.into_iter().collect())
    }

    /// What movies are about.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn descriptions_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Description>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.descriptions_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.descriptions), keys, load, |_| TEXT_ITEMS).await
    }

    /// Directors of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn directors_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Vec<Person>>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.directors_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.directors), keys, load, |many| many.len()).await
    }

    /// Genres of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn genres_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Vec<Genre>>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.genres_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.genres), keys, load, |many| many.len()).await
    }

    /// Production countries of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn countries_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Vec<Country>>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.countries_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.countries), keys, load, |many| many.len()).await
    }

    /// Metrics of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn metrics_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Vec<Metric>>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.metrics_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.metrics), keys, load, |many| many.len()).await
    }

    /// Festival nominations of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn festival_entries_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Vec<FestivalEntry>>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.festival_entries_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.festivals), keys, load, |many| many.len()).await
    }

    /// Credits of movies.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn credits_of(
        &self,
        keys: &[DetailKey<MovieId>],
    ) -> Result<HashMap<DetailKey<MovieId>, Arc<Vec<Credit>>>, ServiceError> {
        let load = |store: Store, ids: Vec<MovieId>| async move { Ok(shared(store.credits_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.credits), keys, load, |many| many.len()).await
    }

    /// People.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn people(
        &self,
        keys: &[DetailKey<PersonId>],
    ) -> Result<HashMap<DetailKey<PersonId>, Arc<Biography>>, ServiceError> {
        let load = |store: Store, ids: Vec<PersonId>| async move { Ok(shared(store.people_by_id(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.people), keys, load, |_| TEXT_ITEMS).await
    }

    /// Person quality.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and the database is unavailable.
    pub async fn qualities_of(
        &self,
        keys: &[DetailKey<PersonId>],
    ) -> Result<HashMap<DetailKey<PersonId>, Arc<PersonQuality>>, ServiceError> {
        let load = |store: Store, ids: Vec<PersonId>| async move { Ok(shared(store.qualities_of(&ids).await?)) };
        self.details(self.details.as_ref().map(|details| &details.qualities), keys, load, |_| QUALITY_ITEMS).await
    }

    /// Ids of movies whose folded title contains `folded`, each with this title; sorted by it, then by id. At most
    /// `limit`, beginning after `after`, the last movie of the previous page. Not cached: what is searched for seldom
    /// repeats, and the cache of responses serves equal requests.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn titled(
        &self,
        folded: &str,
        after: Option<&(String, MovieId)>,
        limit: usize,
    ) -> Result<Vec<(String, MovieId)>, ServiceError> {
        self.record_read();
        Ok(self.store.movies_by_title(folded, after, limit).await?)
    }

    /// Ids of movies that a search finds, each with the text of its place in the order. At most `limit`, beginning after
    /// `after`, the last movie of the previous page. Not cached, for the reason given at [`Movies::titled`].
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn search(
        &self,
        search: &MovieSearch,
        after: Option<&(String, MovieId)>,
        limit: usize,
    ) -> Result<Vec<(String, MovieId)>, ServiceError> {
        self.record_read();
        Ok(self.store.search_movies(search, after, limit).await?)
    }

    /// Ids of people whose name `text` finds, each with the text of its place in the order. At most `limit`, beginning after
    /// `after`, the last person of the previous page. Not cached, for the reason given at [`Movies::titled`].
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn search_people(
        &self,
        text: &SearchText,
        after: Option<&(String, PersonId)>,
        limit: usize,
    ) -> Result<Vec<(String, PersonId)>, ServiceError> {
        self.record_read();
        Ok(self.store.search_people(text, after, limit).await?)
    }

    /// Id of the person with this key; `None` if there is none. Not cached, for the reason given at [`Movies::movie_id`].
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn person_id(&self, key: &PersonKey) -> Result<Option<PersonId>, ServiceError> {
        self.record_read();
        Ok(self.store.person_id(key).await?)
    }

    /// The movies of people, by parts, with their release dates. Not cached: a person may have thousands.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn movies_of_people(
        &self,
        pages: &[FilmographyPage],
    ) -> Result<HashMap<FilmographyPage, Vec<(Option<NaiveDate>, MovieId)>>, ServiceError> {
        self.record_read();
        Ok(self.store.movies_of_people(pages).await?)
    }

    /// Ids of the movies with these `TMDb` and `IMDb` ids, in this order; `None` for an id that no movie has. Ids that a
    /// movie has had before count as for [`Movies::movie_id`].
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the database is unavailable.
    pub async fn movie_ids(&self, tmdb_ids: &[i32], imdb_ids: &[String]) -> Result<Vec<Option<MovieId>>, ServiceError> {
        self.record_read();
        Ok(self.store.movie_ids(tmdb_ids, imdb_ids).await?)
    }

    /// Returns cached details, and loads the others in one batch. `items` counts the items of a value, to estimate its
    /// size. Without a cache, loads all of them.
    async fn details<Id, V, F>(
        &self,
        cache: Option<&Cache<DetailKey<Id>, Option<V>, ServiceError>>,
        keys: &[DetailKey<Id>],
        load: impl Fn(Store, Vec<Id>) -> F + Clone + Send + Sync + 'static,
        items: impl Fn(&V) -> usize + Copy + Send + Sync + 'static,
    ) -> Result<HashMap<DetailKey<Id>, V>, ServiceError>
    where
        Id: Copy + Eq + Hash + Send + Sync + 'static,
        DetailKey<Id>: Key,
        V: Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<Id, V>, StoreError>> + Send + 'static,
    {
        let Some(cache) = cache else {
            let found = load(self.store.clone(), keys.iter().map(|key| key.id).collect()).await?;
            return Ok(keys.iter().filter_map(|key| Some((*key, found.get(&key.id)?.clone()))).collect());
        };
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = move |keys: Vec<DetailKey<Id>>| {
            let (store, versions, load) = (store.clone(), versions.clone(), load.clone());
            async move {
                // Read before the data, so that a change during the load makes the entry outdated.
                let version_set = |key: &DetailKey<Id>| match key.decade {
                    Some(decade) => versions.set_of([Scope::Scores(decade)]),
                    None => versions.set_of_all(),
                };
                let version_sets: Vec<VersionSet> = keys.iter().map(version_set).collect();
                let mut found = load(store, keys.iter().map(|key| key.id).collect()).await?;
                let entry = |(key, version_set): (DetailKey<Id>, VersionSet)| {
                    let value = found.remove(&key.id);
                    let bytes = value.as_ref().map_or(0, |value| items(value) * ITEM_BYTES);
                    (key, detail_entry(&limits, value, version_set, bytes))
                };
                Ok(keys.into_iter().zip(version_sets).map(entry).collect())
            }
        };
        cache.get_many(keys, load).await
    }

    /// Records a read of the database without a cache as a dependency, before the read. It may depend on any version.
    /// Its result may be that something does not exist, so it is valid no longer than a negative entry.
    fn record_read(&self) {
        if let Some(dependencies) = DependencyScope::current() {
            let validity = LoadStart::now(&self.clock, &self.versions).validity(self.limits.negative());
            dependencies.record(&self.versions.set_of_all(), validity, DataSource::Database);
        }
    }
}

/// The entry of a detail that owns `heap_bytes`. A detail that does not exist gets a negative entry.
fn detail_entry<V>(
    limits: &CacheLimits,
    value: Option<V>,
    version_set: VersionSet,
    heap_bytes: usize,
) -> Loaded<Option<V>> {
    let ttl = if value.is_some() { limits.profiles() } else { limits.negative() };
    let bytes = estimated_size(&value, heap_bytes);
    Loaded { value, version_set, ttl, bytes, source: DataSource::Database }
}

/// Wraps the values so that the cache and requests share them.
fn shared<Id: Eq + Hash, V>(found: HashMap<Id, V>) -> HashMap<Id, Arc<V>> {
    found.into_iter().map(|(id, value)| (id, Arc::new(value))).collect()
}

fn by_id(movies: Vec<Movie>) -> HashMap<MovieId, Arc<Movie>> {
    movies.into_iter().map(|movie| (movie.id, Arc::new(movie))).collect()
}
