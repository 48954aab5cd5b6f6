//! Reference data: lists, genres, countries and the data origin.

use std::collections::HashMap;
use std::sync::Arc;

use super::ServiceError;
use super::cache_policy::{CacheLimits, estimated_size, share};
use crate::cache::{Cache, CacheContext, CacheName, DataSource, Loaded};
use crate::scoring::fold_title;
use crate::store::{Country, DataOrigin, Genre, ListName, ListSummary, Store};
use crate::versions::{Scope, Versions};

/// Estimated memory of a list with its counts per decade.
const SUMMARY_BYTES: usize = 1_000;

/// Estimated memory of the names of all lists, genres and countries.
const NAMES_BYTES: usize = 50_000;

/// Cached reference data.
#[derive(Debug)]
pub struct ReferenceData {
    store: Store,
    versions: Versions,
    limits: CacheLimits,
    names: Cache<(), Reference, ServiceError>,
    origin: Cache<(), DataOrigin, ServiceError>,
    summaries: Cache<(), Vec<ListSummary>, ServiceError>,
}

/// Names of lists, genres and countries. Resolves the genre names and country codes of a filter to the ids of the
/// database.
#[derive(Debug)]
pub struct Reference {
    /// All lists, sorted by key.
    pub lists: Vec<ListName>,
    /// All genres, sorted by name.
    pub genres: Vec<Genre>,
    /// All production countries, sorted by code.
    pub countries: Vec<Country>,
    /// Maps a country code in lower case to the id of the country.
    country_ids: HashMap<String, i64>,
}

impl Reference {
    /// Database ids of the genres with these names, ascending. Names are compared like titles, without case and
    /// accents; unknown ones are left out.
    #[must_use]
    pub fn genre_ids(&self, names: &[String]) -> Vec<u32> {
        let wanted: Vec<String> = names.iter().map(|name| fold_title(name)).collect();
        let found = self.genres.iter().filter(|genre| wanted.contains(&fold_title(&genre.name)));
        ids(found.map(|genre| genre.id))
    }

    /// Database ids of the countries with these codes, ascending. Case does not matter; unknown codes are left out.
    #[must_use]
    pub fn country_ids(&self, codes: &[String]) -> Vec<u32> {
        ids(codes.iter().filter_map(|code| self.country_ids.get(&code.to_lowercase()).copied()))
    }
}

/// Sorts the ids and removes duplicates. Leaves out ids that do not fit in a `u32`. No loaded movie can have such a genre
/// or country: the columns store these ids as `u32`, and loading a decade with a larger one fails.
fn ids(found: impl Iterator<Item = i64>) -> Vec<u32> {
    let mut ids: Vec<u32> = found.filter_map(|id| u32::try_from(id).ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl ReferenceData {
    pub(super) fn new(store: Store, cache_context: &CacheContext, limits: &CacheLimits) -> Self {
        let [names, origin, summaries] = share::REFERENCE.map(|share| limits.settings(CacheName::Profiles, share));
        Self {
            store,
            versions: cache_context.versions.clone(),
            limits: *limits,
            names: Cache::new(names, cache_context),
            origin: Cache::new(origin, cache_context),
            summaries: Cache::new(summaries, cache_context),
        }
    }

    /// All lists, with the number of their movies per decade.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn list_summaries(&self) -> Result<Arc<Vec<ListSummary>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            // The numbers depend on every list in every decade.
            let version_set = versions.set_of_all();
            let value = store.list_summaries().await?;
            let bytes = estimated_size(&value, value.len() * SUMMARY_BYTES);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        self.summaries.get((), load).await
    }

    /// Where the movies come from.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if it is not cached and cannot be loaded.
    pub async fn data_origin(&self) -> Result<DataOrigin, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            let version_set = versions.set_of([Scope::Reference]);
            let value = store.installation().await?.data_origin();
            let bytes = estimated_size(&value, 0);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        Ok(*self.origin.get((), load).await?)
    }

    /// The names of lists, genres and countries.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn names(&self) -> Result<Arc<Reference>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            let version_set = versions.set_of([Scope::Reference]);
            let countries = store.countries().await?;
            let country_ids = countries.iter().map(|(id, country)| (country.code.to_lowercase(), *id)).collect();
            let countries = countries.into_iter().map(|(_, country)| country).collect();
            let (lists, genres) = (store.list_names().await?, store.genres().await?);
            let value = Reference { lists, genres, countries, country_ids };
            let bytes = estimated_size(&value, NAMES_BYTES);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        self.names.get((), load).await
    }
}
