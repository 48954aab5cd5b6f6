//! Validation: how well the same ranking would have found the listed films of earlier decades.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::ServiceError;
use crate::cache::VersionedCache;
use crate::scoring::{Basis, Decade, DecadeReport, FORMULA_VERSION, SnapshotColumns, Totals, Weights, pooled_decade};
use crate::store::{Profile, Scope, Store, Versions};

/// Backtests over the snapshot, which is loaded decade by decade when first asked for.
#[derive(Debug)]
pub struct Validation {
    store: Store,
    versions: Versions,
    target_lists: Vec<String>,
    snapshots: VersionedCache<(), Taken>,
    columns: VersionedCache<(String, Decade), SnapshotColumns>,
}

/// The snapshot in force, and the decades that it covers.
#[derive(Debug)]
struct Taken {
    at: DateTime<Utc>,
    target_lists: Vec<String>,
    decades: Vec<Decade>,
}

/// What a validation of all decades found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Each decade before the current one that has a film, ascending.
    pub decades: Vec<DecadeReport>,
    /// When the snapshot was taken that it read.
    pub snapshot_at: DateTime<Utc>,
}

impl Report {
    /// Pooled over the decades that count.
    #[must_use]
    pub fn overall(&self) -> Totals {
        Totals::pooled(self.decades.iter().filter(|report| pooled_decade(report.decade)).map(DecadeReport::totals))
    }
}

/// What one profile would have found.
#[derive(Debug, Clone)]
pub struct ProfileReport {
    /// Which profile.
    pub profile: Arc<Profile>,
    /// What it found.
    pub report: Report,
}

impl Validation {
    pub(super) fn new(store: Store, versions: Versions, target_lists: Vec<String>) -> Self {
        Self { store, versions, target_lists, snapshots: VersionedCache::default(), columns: VersionedCache::default() }
    }

    /// Validates every decade before the current one.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the blind basis of another list than the target lists is asked for,
    /// [`ServiceError::NotReady`] where no snapshot was taken yet, [`ServiceError::Store`] when it cannot be loaded.
    pub async fn of_all(&self, list: &str, weights: Weights, basis: Basis) -> Result<Report, ServiceError> {
        let taken = self.snapshot().await?;
        let mut decades = Vec::with_capacity(taken.decades.len());
        for decade in &taken.decades {
            decades.push(self.report(&taken, list, *decade, weights, basis).await?);
            // A decade takes some milliseconds, all of them too long to keep a worker of the runtime from others.
            tokio::task::yield_now().await;
        }
        Ok(Report { decades, snapshot_at: taken.at })
    }

    /// Validates one decade, the current one too.
    ///
    /// # Errors
    /// As [`Validation::of_all`].
    pub async fn of_decade(
        &self,
        list: &str,
        decade: Decade,
        weights: Weights,
        basis: Basis,
    ) -> Result<DecadeReport, ServiceError> {
        let taken = self.snapshot().await?;
        self.report(&taken, list, decade, weights, basis).await
    }

    /// Validates under several profiles and sorts them: best overall accuracy first, ties by name.
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
        for profile in profiles {
            let report = self.of_all(list, profile.weights, basis).await?;
            compared.push(ProfileReport { profile, report });
        }
        let accuracy = |one: &ProfileReport| one.report.overall().accuracy.share().unwrap_or(-1.0);
        compared.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)).then_with(|| a.profile.name.cmp(&b.profile.name)));
        Ok(compared)
    }

    async fn report(
        &self,
        taken: &Taken,
        list: &str,
        decade: Decade,
        weights: Weights,
        basis: Basis,
    ) -> Result<DecadeReport, ServiceError> {
        // The published scores are the same whichever target list's blind ones stand beside them.
        let snapshot_list = match basis {
            Basis::AsPublished => taken.target_lists.iter().find(|key| *key == list).or(taken.target_lists.first()),
            Basis::Blind => taken.target_lists.iter().find(|key| *key == list),
        };
        let snapshot_list = snapshot_list.ok_or_else(|| {
            let known = self.target_lists.join(", ");
            ServiceError::invalid("basis", format!("BLIND is computed for {known}; use AS_PUBLISHED for {list}"))
        })?;
        let load = || self.store.snapshot_columns(snapshot_list, list, decade);
        let version = self.versions.of(&Scope::Snapshot);
        let columns = self.columns.get((list.to_owned(), decade), version, load).await?;
        Ok(DecadeReport::of(decade, &columns, list, weights, basis))
    }

    async fn snapshot(&self) -> Result<Arc<Taken>, ServiceError> {
        let load = || async {
            let snapshot = self.store.snapshot().await?;
            let snapshot = snapshot.filter(|snapshot| snapshot.formula_version == FORMULA_VERSION).ok_or(
                ServiceError::NotReady(
                    "no validation snapshot of this formula was taken yet: run `cinegraph refresh all`",
                ),
            )?;
            let decades = self.store.decades_with_movies(Decade::CURRENT).await?;
            Ok(Taken {
                at: snapshot.taken_at,
                target_lists: snapshot.target_lists,
                decades: decades.into_iter().filter_map(|year| Decade::starting(year).ok()).collect(),
            })
        };
        self.snapshots.get((), self.versions.of(&Scope::Snapshot), load).await
    }
}
