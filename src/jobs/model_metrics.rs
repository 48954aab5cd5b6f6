//! Metrics of learned rankings.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::services::learned::RankingKind;
use crate::store::{ModelSummary, ModelVersion};
use crate::telemetry::{Recorder, catalogue, number};

/// The learned rankings of a list, with their label values.
const RANKINGS: [(RankingKind, &str); 2] =
    [(RankingKind::Learned, "learned"), (RankingKind::LearnedWithoutLists, "learned_without_lists")];

/// Metrics of learned rankings. Clones share their instruments.
#[derive(Debug, Clone)]
pub struct ModelMetrics {
    recorder: Recorder,
    /// Lists with series. There are few: a database has at most ten target lists.
    lists: Arc<Mutex<BTreeSet<String>>>,
}

impl ModelMetrics {
    /// No series yet: the target lists are in the database.
    #[must_use]
    pub fn new(recorder: &Recorder) -> Self {
        Self { recorder: recorder.clone(), lists: Arc::default() }
    }

    /// Sets the gauges of the rankings of `target_lists`: 0 for those that were never trained. Series cannot be removed, so
    /// those of former target lists are set to 0.
    pub fn update(&self, target_lists: &[String], summaries: &[ModelSummary], now: DateTime<Utc>) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.extend(target_lists.iter().cloned());
        for list in lists.iter() {
            for (kind, ranking) in RANKINGS {
                let is_of = |latest: &ModelVersion| latest.list == *list && Some(latest.variant) == kind.variant();
                let summary = summaries.iter().find(|summary| is_of(&summary.latest) && target_lists.contains(list));
                self.set(list, ranking, summary, now);
            }
        }
    }

    fn set(&self, list: &str, ranking: &str, summary: Option<&ModelSummary>, now: DateTime<Utc>) {
        let of_report = |value: fn(&ModelSummary) -> Option<f64>| summary.and_then(value).unwrap_or_default();
        let served = summary.and_then(|summary| summary.served);
        // 0 for a time in the future, which the database may report if its clock is ahead.
        let age = served.map(|at| (now - at).to_std().unwrap_or_default().as_secs_f64());
        let values = [
            (&catalogue::MODEL_AGE, age.unwrap_or_default()),
            (&catalogue::MODEL_SERVED, f64::from(u8::from(served.is_some()))),
            (&catalogue::MODEL_REFUSALS, summary.map_or(0.0, |summary| number(summary.refusals))),
            (&catalogue::MODEL_TRAINING, of_report(|of| Some(of.latest.report.seconds))),
            (&catalogue::MODEL_RECALL, of_report(|of| of.latest.report.validation.pooled.at_n.share())),
            (&catalogue::MODEL_LOG_LOSS, of_report(|of| Some(of.latest.report.validation.pooled.log_loss))),
            (&catalogue::MODEL_ECE, of_report(|of| Some(of.latest.report.validation.pooled.ece))),
            (&catalogue::MODEL_LEAK_AUC, of_report(leak)),
        ];
        for (metric, value) in values {
            self.recorder.gauge(metric, &[list, ranking]).set(value);
        }
    }
}

/// The higher one of the two areas of the leak check; `None` if neither could be measured.
fn leak(summary: &ModelSummary) -> Option<f64> {
    let leak = summary.latest.report.leak;
    leak.collection.into_iter().chain(leak.votes).reduce(f64::max)
}
