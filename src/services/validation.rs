//! Validation: how well the ranking would have found the listed movies of earlier decades.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::cache_policy::{CacheLimits, estimated_size, share};
use super::learned::{LearnedRankings, ServedModel};
use super::{ReferenceData, ServiceError};
use crate::cache::{Cache, CacheContext, CacheName, DataSource, DependencyScope, Key, Loaded, SharedValue};
use crate::scoring::{
    Basis, Decade, DecadeReport, FORMULA_VERSION, Place, RankBand, SnapshotColumns, Standing, Totals, Weights,
    pooled_decade,
};
use crate::store::{Profile, Store};
use crate::versions::{Scope, VersionSet, Versions};

/// Estimated memory of a movie in the columns of the snapshot, both bases together.
const COLUMN_BYTES: usize = 110;

/// Validates rankings on the snapshot, whose columns are loaded when a decade is first requested.
#[derive(Debug, Clone)]
pub struct Validation {
    store: Store,
    reference: Arc<ReferenceData>,
    learned: LearnedRankings,
    versions: Versions,
    limits: CacheLimits,
    snapshots: Cache<(), SnapshotInfo, ServiceError>,
    /// By list and decade. The caches of the snapshot and of its columns are also used if the caching of results is
    /// disabled, since every report is computed from them.
    columns: Cache<(String, Decade), SnapshotColumns, ServiceError>,
    /// `None` if the caching of results is disabled.
    reports: Option<Cache<ReportKey, DecadeReport, ServiceError>>,
}

impl Key for (String, Decade) {}

impl SharedValue for DecadeReport {
    const LAYOUT: [u8; 4] = [80, 231, 39, 140];
}

/// Cache key of a report. The weights are compared by their bits, since `f64` is not `Eq`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReportKey {
    list: String,
    decade: Decade,
    weights: [u64; 5],
    /// Version of the learned ranking; `None` for the formula.
    model: Option<i64>,
    basis: Basis,
    custom: bool,
}

impl Key for ReportKey {
    fn is_custom(&self) -> bool {
        self.custom
    }

    fn shared(&self) -> Option<String> {
        let Self { list, decade, weights, model, basis, .. } = self;
        let model = model.map_or_else(String::new, |version| format!(":model {version}"));
        let weights = weights.map(|share| format!("{share:x}")).join("-");
        (!self.custom).then(|| {
            format!("cinegraph:{FORMULA_VERSION}:validation:{basis:?}:{}:{weights}{model}:{list}", decade.year())
        })
    }
}

/// Weights to test, and whether they are custom.
#[derive(Debug, Clone)]
pub struct TestedWeights {
    /// The weights.
    pub weights: Weights,
    /// Whether the weights are custom, that is, equal to no profile's.
    pub custom: bool,
    /// The learned ranking to test instead of the weights. Its scores are blind: the model that scores a decade never saw
    /// the decade's labels.
    pub model: Option<ServedModel>,
}

/// The current snapshot and its decades.
#[derive(Debug)]
struct SnapshotInfo {
    taken_at: DateTime<Utc>,
    /// The lists for which the snapshot has blind scores.
    target_lists: Vec<String>,
    /// All decades with movies before the current one, ascending.
    decades: Vec<Decade>,
}

/// Result of validating all decades.
#[derive(Debug, Clone)]
pub struct Report {
    /// All decades with movies before the current one, ascending.
    pub decades: Vec<Arc<DecadeReport>>,
    /// When the snapshot was taken.
    pub snapshot_at: DateTime<Utc>,
}

impl Report {
    /// Totals over the decades that count in the overall accuracy.
    #[must_use]
    pub fn overall(&self) -> Totals {
        Totals::pooled(self.pooled().map(DecadeReport::totals))
    }

    /// Hit rates by rank over the decades that count in the overall accuracy.
    #[must_use]
    pub fn rank_bands(&self) -> Vec<RankBand> {
        RankBand::of(self.pooled())
    }

    fn pooled(&self) -> impl Iterator<Item = &DecadeReport> {
        self.decades.iter().map(AsRef::as_ref).filter(|report| pooled_decade(report.decade))
    }
}

/// How often movies of each rank were on the list in the decades other than that of a candidate.
#[derive(Debug, Clone)]
pub struct HitRates {
    own: Arc<DecadeReport>,
    others: Vec<RankBand>,
}

impl HitRates {
    /// The band of a candidate, given by its standing and its rank among the candidates of its decade; `None` if no other
    /// decade with listed movies has so many movies.
    #[must_use]
    pub fn of(&self, candidate: &Standing, rank: usize) -> Option<RankBand> {
        let rank = self.own.rank_among_all(candidate, rank);
        self.others.iter().copied().find(|band| band.contains(rank) && band.movies > 0)
    }
}

/// Validation result of one profile.
#[derive(Debug, Clone)]
pub struct ProfileReport {
    /// The profile.
    pub profile: Arc<Profile>,
    /// The weights that were tested: those of the profile, without the criteria that have no data.
    pub weights: Weights,
    /// The result.
    pub report: Report,
}

impl Validation {
    pub(super) fn new(
        store: Store,
        reference: Arc<ReferenceData>,
        learned: LearnedRankings,
        cache_context: &CacheContext,
        limits: &CacheLimits,
        cache_enabled: bool,
    ) -> Self {
        Self {
            store,
            reference,
            learned,
            versions: cache_context.versions.clone(),
            limits: *limits,
            snapshots: Cache::new(limits.settings(CacheName::Columns, share::SNAPSHOT), cache_context),
            columns: Cache::new(limits.settings(CacheName::Columns, share::SNAPSHOT_COLUMNS), cache_context),
            reports: cache_enabled
                .then(|| Cache::shared(limits.settings(CacheName::Validation, share::VALIDATIONS), cache_context)),
        }
    }

    /// Number of cached entries that depend on `scope`; all entries if it is `None`.
    pub(super) fn count_entries(&self, scope: Option<&Scope>) -> usize {
        let depends = |version_set: &VersionSet| scope.is_none_or(|scope| version_set.version(scope).is_some());
        self.columns.count(depends) + self.reports.as_ref().map_or(0, |reports| reports.count(depends))
    }

    /// Validates every decade before the current one.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for the blind basis of a list that is not a target list, [`ServiceError::NotReady`] if
    /// no snapshot was taken yet with the current formula or with this target list, [`ServiceError::Store`] if it cannot
    /// be loaded.
    pub async fn of_all(&self, list: &str, weights: TestedWeights, basis: Basis) -> Result<Report, ServiceError> {
        let snapshot = self.snapshot().await?;
        let mut decades = Vec::with_capacity(snapshot.decades.len());
        for decade in &snapshot.decades {
            decades.push(Box::pin(self.report(&snapshot, list, *decade, weights.clone(), basis)).await?);
            // The report of a decade takes some milliseconds, and may complete without waiting. Without this, other
            // tasks of the same runtime worker would have to wait for all decades.
            tokio::task::yield_now().await;
        }
        Ok(Report { decades, snapshot_at: snapshot.taken_at })
    }

    /// Validates one decade, which may be the current one.
    ///
    /// # Errors
    /// As [`Validation::of_all`].
    pub async fn of_decade(
        &self,
        list: &str,
        decade: Decade,
        weights: TestedWeights,
        basis: Basis,
    ) -> Result<Arc<DecadeReport>, ServiceError> {
        let snapshot = self.snapshot().await?;
        self.report(&snapshot, list, decade, weights, basis).await
    }

    /// How often movies of each rank were on the list: blind, in all decades that count in the overall accuracy and have
    /// listed movies, but for `decade`, whose candidates are asked about. `None` while the list has no blind scores, and for
    /// a decade before all of these.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the snapshot cannot be loaded.
    pub async fn hit_rates(
        &self,
        list: &str,
        decade: Decade,
        weights: TestedWeights,
    ) -> Result<Option<HitRates>, ServiceError> {
        let found = async {
            let own = self.of_decade(list, decade, weights.clone(), Basis::Blind).await?;
            let report = self.of_all(list, weights, Basis::Blind).await?;
            // Of the first decades of cinema, lists choose hardly any movies, whatever their rank.
            if report.pooled().all(|other| decade < other.decade) {
                return Ok(None);
            }
            let others = report.pooled().filter(|other| other.decade != decade && other.has_listed());
            Ok(Some(HitRates { own, others: RankBand::of(others) }))
        };
        match found.await {
            Err(ServiceError::NotReady(_) | ServiceError::Invalid { .. }) => Ok(None),
            found => found,
        }
    }

    /// Validates several profiles and sorts them: best overall accuracy first, ties by name.
    ///
    /// # Errors
    /// As [`Validation::of_all`].
    pub async fn compare(
        &self,
        list: &str,
        profiles: Vec<Arc<Profile>>,
        basis: Basis,
    ) -> Result<Vec<ProfileReport>, ServiceError> {
        let mut compared = Vec::with_capacity(profiles.len());
        let criteria = self.reference.names().await?.criteria;
        for profile in profiles {
            let weights = profile.weights.among(criteria);
            let report = self.of_all(list, TestedWeights { weights, custom: false, model: None }, basis).await?;
            compared.push(ProfileReport { profile, weights, report });
        }
        // Accuracies are 0 to 1, so a profile without one sorts last.
        let accuracy = |one: &ProfileReport| one.report.overall().accuracy.share().unwrap_or(-1.0);
        compared.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)).then_with(|| a.profile.name.cmp(&b.profile.name)));
        Ok(compared)
    }

    /// The report of one decade, from the cache or computed from the columns of the snapshot.
    async fn report(
        &self,
        snapshot: &SnapshotInfo,
        list: &str,
        decade: Decade,
        weights: TestedWeights,
        basis: Basis,
    ) -> Result<Arc<DecadeReport>, ServiceError> {
        // The columns hold published scores and the blind scores of one target list. For published scores, any target
        // list will do.
        let target_lists = &snapshot.target_lists;
        let snapshot_list = match basis {
            Basis::AsPublished => target_lists.iter().find(|key| *key == list).or(target_lists.first()),
            Basis::Blind => target_lists.iter().find(|key| *key == list),
        };
        let Some(snapshot_list) = snapshot_list else {
            return Err(Box::pin(self.without_snapshot(target_lists, list)).await?);
        };
        let (this, snapshot_list, list) = (self.clone(), snapshot_list.clone(), list.to_owned());
        let TestedWeights { weights, custom, model } = weights;
        let key = ReportKey {
            list: list.clone(),
            decade,
            weights: weights.shares().map(f64::to_bits),
            model: model.as_ref().map(|model| model.version),
            basis,
            custom,
        };
        let compute = async move |this: &Self, list: &str| {
            let columns = this.decade(snapshot_list, list.to_owned(), decade).await?;
            let Some(model) = model else { return Ok(DecadeReport::of(decade, &columns, list, weights, basis)) };
            let ranked = columns.scores(basis);
            let Some(learned) = this.learned.columns(&model, decade).await? else {
                return Ok(DecadeReport::of(decade, &columns, list, weights, basis));
            };
            let learned = learned.by_rows_of(model.version, ranked);
            // A movie that the model has not scored yet comes last.
            let values: Vec<f64> = (0..ranked.len()).map(|row| learned.log_odds(row).unwrap_or(f64::MIN)).collect();
            Ok::<_, ServiceError>(DecadeReport::by_values(decade, &columns, list, &values))
        };
        let Some(reports) = &self.reports else { return compute(self, &list).await.map(Arc::new) };
        let load = async move {
            let version_set =
                this.versions.set_of([Scope::List(list.clone(), decade), Scope::Weights(weights.fingerprint())]);
            let value = compute(&this, &list).await?;
            let places = value.hits.len() + value.missed.len() + value.false_positives.len();
            let bytes = estimated_size(&value, (places + value.unhittable.len()) * size_of::<Place>());
            // The cache replaces this source by the slower one that reading the columns recorded.
            Ok(Loaded { value, version_set, ttl: this.limits.past(), bytes, source: DataSource::CacheFresh })
        };
        reports.get(key, load).await
    }

    /// Why there are no scores for the basis of a validation of `list`. `target_lists` are those of the snapshot.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the target lists cannot be loaded.
    async fn without_snapshot(&self, target_lists: &[String], list: &str) -> Result<ServiceError, ServiceError> {
        if target_lists.is_empty() {
            return Ok(ServiceError::NotReady(
                "the validation snapshot contains no list: the operator must name one in target_lists and run `cinegraph \
                 refresh snapshot`",
            ));
        }
        if self.reference.target_lists().await?.iter().any(|target| target == list) {
            return Ok(ServiceError::NotReady(
                "the blind scores of this target list are being computed; the query `status { targets { key state } }` \
                 shows the progress. Retry later, or use the basis AS_PUBLISHED",
            ));
        }
        let known = target_lists.join(", ");
        let problem = format!(
            "blind scores exist only for {known}: use AS_PUBLISHED for {list}, or make it a target list by setTargetList"
        );
        Ok(ServiceError::invalid("basis", problem))
    }

    /// The columns of a decade in the snapshot: published scores, blind scores of the target list `snapshot_list`, and
    /// which movies are on `list`.
    async fn decade(
        &self,
        snapshot_list: String,
        list: String,
        decade: Decade,
    ) -> Result<Arc<SnapshotColumns>, ServiceError> {
        let this = self.clone();
        // `snapshot_list` need not be part of the key, because it follows from the list and the snapshot.
        let key = (list.clone(), decade);
        let load = async move {
            let version_set = this.versions.set_of([Scope::Snapshot]);
            let value = this.store.snapshot_columns(&snapshot_list, &list, decade).await?;
            let bytes = estimated_size(&value, value.scores(Basis::Blind).len() * COLUMN_BYTES);
            Ok(Loaded { value, version_set, ttl: this.limits.past(), bytes, source: DataSource::Database })
        };
        let columns = self.columns.get(key, load).await?;
        if let Some(dependencies) = DependencyScope::current() {
            dependencies.record_source(DataSource::Memory);
        }
        Ok(columns)
    }

    /// The current snapshot.
    ///
    /// # Errors
    /// [`ServiceError::NotReady`] if there is none for the current formula, [`ServiceError::Store`] if it cannot be
    /// loaded.
    async fn snapshot(&self) -> Result<Arc<SnapshotInfo>, ServiceError> {
        let this = self.clone();
        let load = async move {
            let version_set = this.versions.set_of([Scope::Snapshot]);
            let snapshot = this.store.snapshot().await?;
            let snapshot = snapshot.filter(|snapshot| snapshot.formula_version == FORMULA_VERSION).ok_or(
                ServiceError::NotReady(
                    "there is no validation snapshot for the current scoring formula yet: the operator must run `cinegraph \
                     refresh all`",
                ),
            )?;
            let decades = this.store.decades_with_movies(Decade::CURRENT).await?;
            let value = SnapshotInfo {
                taken_at: snapshot.taken_at,
                target_lists: snapshot.target_lists,
                decades: decades.into_iter().filter_map(|year| Decade::starting(year).ok()).collect(),
            };
            let bytes = estimated_size(&value, 0);
            Ok(Loaded { value, version_set, ttl: this.limits.past(), bytes, source: DataSource::Database })
        };
        self.snapshots.get((), load).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::layout_of;
    use crate::scoring::{MovieId, Place, Standing};

    #[test]
    fn the_layout_of_reports_in_redis_is_that_of_their_type() {
        let standing = Standing { score: 100.0, id: MovieId(i64::MAX) };
        let place = Place { row: usize::MAX, standing, rank: usize::MAX };
        let report = DecadeReport {
            decade: Decade::starting(1990).unwrap(),
            population: usize::MAX,
            hits: vec![place],
            missed: vec![place],
            false_positives: vec![place],
            unhittable: vec![MovieId(i64::MAX)],
            baseline_hits: [Some(usize::MAX); 3],
        };
        assert_eq!(layout_of(&report), DecadeReport::LAYOUT, "the type has changed: store the new layout in LAYOUT");
    }
}
