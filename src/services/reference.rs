//! Reference data: lists and their movies, genres, countries, sources of metrics and the data origin.

use std::collections::HashMap;
use std::sync::Arc;

use super::ServiceError;
use super::cache_policy::{CacheLimits, estimated_size, share};
use crate::cache::{Cache, CacheContext, CacheName, DataSource, Key, Loaded};
use crate::clock::Clock;
use crate::scoring::{CriteriaWithData, Decade, fold_title};
use crate::store::{Country, DataOrigin, Genre, ListMember, ListName, ListSummary, MetricSource, Store};
use crate::versions::{Scope, Versions};

/// Estimated memory of a list with its counts per decade.
const SUMMARY_BYTES: usize = 1_000;

/// Estimated memory of a source with its name.
const SOURCE_BYTES: usize = 100;

/// Estimated memory of the names of all lists, genres and countries.
const NAMES_BYTES: usize = 50_000;

/// Estimated memory of a movie of a list.
const MEMBER_BYTES: usize = 250;

/// Cached reference data.
#[derive(Debug)]
pub struct ReferenceData {
    store: Store,
    /// The target lists of the setting.
    configured: Vec<String>,
    versions: Versions,
    clock: Clock,
    limits: CacheLimits,
    names: Cache<(), Reference, ServiceError>,
    origin: Cache<(), DataOrigin, ServiceError>,
    summaries: Cache<(), Vec<ListSummary>, ServiceError>,
    /// By key of the list.
    members: Cache<String, Vec<OrderedMember>, ServiceError>,
    sources: Cache<(), Vec<MetricSource>, ServiceError>,
}

impl Key for String {}

/// A movie of a list, with the text by which the list is ordered.
#[derive(Debug)]
pub struct OrderedMember {
    /// Position and folded title. Movies without a position come last.
    pub order: String,
    /// The movie.
    pub member: ListMember,
}

impl From<ListMember> for OrderedMember {
    fn from(member: ListMember) -> Self {
        // As text, positions are in the order of their numbers: the sign bit is inverted, so that negative ones come first.
        let position =
            member.membership.position.map(|position| format!("{:08x}", position.cast_unsigned() ^ (1 << 31)));
        // `x` comes after every hexadecimal digit.
        let order = format!("{} {}", position.as_deref().unwrap_or("x"), fold_title(&member.title));
        Self { order, member }
    }
}

/// Names of lists, genres and countries, and which criteria have data. Resolves the genre names and country codes of a
/// filter to the ids of the database.
#[derive(Debug)]
pub struct Reference {
    /// All lists, sorted by key.
    pub lists: Vec<ListName>,
    /// All genres, sorted by name.
    pub genres: Vec<Genre>,
    /// All production countries, sorted by code.
    pub countries: Vec<Country>,
    /// Which criteria have data, as of the snapshot.
    pub criteria: CriteriaWithData,
    /// Key of the list that is meant if none is named: the first target list of the setting that has movies, otherwise another
    /// target list.
    pub default_list: String,
    /// The decade that is meant if none is named: the latest one that has begun and has fully imported movies.
    pub default_decade: Decade,
    /// Maps a country code in lower case to the id of the country.
    country_ids: HashMap<String, i64>,
}

impl Reference {
    /// Database id of the genre with this name, which is compared like a title, without case and accents; `None` if
    /// there is none.
    #[must_use]
    pub fn genre_id(&self, name: &str) -> Option<i64> {
        let wanted = fold_title(name);
        self.genres.iter().find(|genre| fold_title(&genre.name) == wanted).map(|genre| genre.id)
    }

    /// Database id of the country with this code, without regard to case; `None` if there is none.
    #[must_use]
    pub fn country_id(&self, code: &str) -> Option<i64> {
        self.country_ids.get(&code.to_lowercase()).copied()
    }
}

/// The default list among `lists`, which contain `configured`, the target lists of the setting, in its order.
fn default_list(lists: &[ListName], configured: &[String]) -> String {
    let of_setting = configured.iter().filter_map(|key| lists.iter().find(|list| list.key == *key));
    let mut targets = of_setting.chain(lists.iter().filter(|list| list.is_target));
    // Without any movies on them, the first one.
    let first = targets.clone().next();
    targets.find(|list| list.is_filled_target).or(first).map(|list| list.key.clone()).unwrap_or_default()
}

impl ReferenceData {
    pub(super) fn new(
        store: Store,
        configured: Vec<String>,
        cache_context: &CacheContext,
        limits: &CacheLimits,
    ) -> Self {
        let [names, origin, summaries, members, sources] =
            share::REFERENCE.map(|share| limits.settings(CacheName::Profiles, share));
        Self {
            store,
            configured,
            versions: cache_context.versions.clone(),
            clock: cache_context.clock.clone(),
            limits: *limits,
            names: Cache::new(names, cache_context),
            origin: Cache::new(origin, cache_context),
            summaries: Cache::new(summaries, cache_context),
            members: Cache::new(members, cache_context),
            sources: Cache::new(sources, cache_context),
        }
    }

    /// The target lists of the setting, which stay target lists until it is changed.
    #[must_use]
    pub fn configured_targets(&self) -> &[String] {
        &self.configured
    }

    /// Keys of all target lists: those of the setting, and those chosen at run time.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn target_lists(&self) -> Result<Vec<String>, ServiceError> {
        let names = self.names().await?;
        Ok(names.lists.iter().filter(|list| list.is_target).map(|list| list.key.clone()).collect())
    }

    /// The movies of a list in the order of the list: by position, then by title, then by id.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn list_members(&self, list: String) -> Result<Arc<Vec<OrderedMember>>, ServiceError> {
        let (store, versions, limits, key) = (self.store.clone(), self.versions.clone(), self.limits, list.clone());
        let load = async move {
            // The movies may be of any decade, or undated.
            let version_set = versions.set_of_all();
            let members = store.list_members(&key).await?;
            let mut value: Vec<_> = members.into_iter().map(OrderedMember::from).collect();
            value.sort_unstable_by(|a, b| (&a.order, a.member.id).cmp(&(&b.order, b.member.id)));
            let bytes = estimated_size(&value, value.len() * MEMBER_BYTES);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        self.members.get(list, load).await
    }

    /// The number of movies of each list, per decade.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn list_summaries(&self) -> Result<Arc<Vec<ListSummary>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let configured = self.configured.clone();
        let load = async move {
            // The numbers depend on every list in every decade.
            let version_set = versions.set_of_all();
            let value = store.list_summaries(&configured).await?;
            let bytes = estimated_size(&value, value.len() * SUMMARY_BYTES);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        self.summaries.get((), load).await
    }

    /// Sources of metrics as of the snapshot, those of the most movies first.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn metric_sources(&self) -> Result<Arc<Vec<MetricSource>>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let load = async move {
            let version_set = versions.set_of([Scope::Snapshot]);
            let value = store.metric_sources().await?;
            let bytes = estimated_size(&value, value.len() * SOURCE_BYTES);
            Ok(Loaded { value, version_set, ttl: limits.profiles(), bytes, source: DataSource::Database })
        };
        self.sources.get((), load).await
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

    /// The names of lists, genres and countries, and which criteria have data.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if they are not cached and cannot be loaded.
    pub async fn names(&self) -> Result<Arc<Reference>, ServiceError> {
        let (store, versions, limits) = (self.store.clone(), self.versions.clone(), self.limits);
        let clock = self.clock.clone();
        let configured = self.configured.clone();
        let load = async move {
            let version_set = versions.set_of([Scope::Reference]);
            // A snapshot that changes the criteria raises the version of the reference data.
            let (countries, criteria, latest) = store.countries_criteria_and_latest(clock.now().date_naive()).await?;
            let country_ids = countries.iter().map(|(id, country)| (country.code.to_lowercase(), *id)).collect();
            let countries = countries.into_iter().map(|(_, country)| country).collect();
            let (lists, genres) = (store.list_names(&configured).await?, store.genres().await?);
            let default_list = default_list(&lists, &configured);
            let default_decade = latest.and_then(Decade::of).unwrap_or(Decade::CURRENT);
            let value = Reference { lists, genres, countries, criteria, default_list, default_decade, country_ids };
            let bytes = estimated_size(&value, NAMES_BYTES);
            // The first movies of a database give it a default decade, and raise no version of the reference data.
            let ttl = if latest.is_some() { limits.profiles() } else { limits.negative() };
            Ok(Loaded { value, version_set, ttl, bytes, source: DataSource::Database })
        };
        self.names.get((), load).await
    }
}
