//! `/model`: the model card of a learned ranking.

use std::sync::Arc;

use askama::Template;
use async_graphql::Executor;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Map;

use super::chrome::{Chrome, Tab};
use super::context::{PageContext, html};
use super::learned::{LearnedKind, group_name};
use super::model_charts::{CalibrationBin, Dot, FeatureBin, StepChart, calibration_dots, count, reach};
use super::numbers::{Interval, or_dash, percent, signed};
use super::queries::run_query;
use crate::http::state::HttpState;

const MODEL: &str = include_str!("queries/model.graphql");

/// Number of features that the card shows.
const FEATURES_SHOWN: usize = 20;

#[derive(Deserialize)]
struct ModelData {
    model: Option<Card>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    served: bool,
    refusal: Option<String>,
    version_number: i64,
    trained_at: String,
    training_seconds: f64,
    seed: String,
    movies: usize,
    members: usize,
    random_hits: f64,
    other_lists: Vec<String>,
    validation: Performance,
    decades: Vec<Performance>,
    temporal: Option<Performance>,
    baselines: Vec<Baseline>,
    leak_check: LeakCheck,
    calibration: Vec<CalibrationBin>,
    features: Option<Vec<Feature>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Performance {
    decade: Option<i32>,
    listed: usize,
    hits: usize,
    recall: Option<f64>,
    interval: Option<Interval>,
    recall_at_one_and_a_half: Option<f64>,
    precision_at_half: Option<f64>,
    pr_auc: f64,
    log_loss: f64,
    brier: f64,
    expected_calibration_error: f64,
}

#[derive(Deserialize)]
struct Baseline {
    kind: String,
    recall: Option<f64>,
    interval: Option<Interval>,
}

#[derive(Deserialize)]
struct LeakCheck {
    collection: Option<f64>,
    votes: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feature {
    name: String,
    group: String,
    monotone: bool,
    missing_points: f64,
    bins: Vec<FeatureBin>,
}

/// A ranking in the comparison: its name, how many listed movies it finds, and the bar of this share.
struct Compared {
    name: &'static str,
    recall: String,
    interval: String,
    width: String,
}

/// A feature on the card.
struct FeatureRow {
    name: String,
    group: &'static str,
    monotone: bool,
    chart: StepChart,
    lowest: String,
    highest: String,
    missing: String,
}

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage {
    page: Chrome,
    kind: LearnedKind,
    /// `None` if the ranking was never trained.
    card: Option<Card>,
}

/// `GET /model`.
pub(super) async fn get<E: Executor>(State(state): State<Arc<HttpState<E>>>, RawQuery(query): RawQuery) -> Response {
    let context = PageContext::load(&state, query.as_deref(), Tab::None).await;
    let kind = context.page.query.learned().unwrap_or(LearnedKind::WithLists);
    let result = async {
        let list = context.query()?.list().to_owned();
        let variables = [("list".to_owned(), list.into()), ("ranking".to_owned(), kind.api().into())];
        run_query::<ModelData, E>(&state.pipeline, MODEL, Map::from_iter(variables)).await
    };
    match result.await {
        Ok(result) => {
            let view = ModelPage { page: context.page, kind, card: result.data.model };
            html(StatusCode::OK, state.posters.as_ref(), &view)
        }
        Err(problem) => context.fail(problem),
    }
}

impl ModelPage {
    /// Links to the cards of both learned rankings: address, label, whether it is this one.
    fn cards(&self) -> Vec<(String, &'static str, bool)> {
        let card = |kind: LearnedKind| (self.page.model_link(kind), kind.label(), kind == self.kind);
        LearnedKind::ALL.map(card).into()
    }

    /// Names of the other lists that are inputs.
    fn other_lists(&self, card: &Card) -> Vec<String> {
        let lists = &self.page.frame.lists;
        let name = |key: &String| lists.iter().find(|list| list.key == *key).map_or(key, |list| &list.name).clone();
        card.other_lists.iter().map(name).collect()
    }

    /// The strongest features, drawn on one scale so that their strengths can be compared.
    fn features(&self, card: &Card) -> Vec<FeatureRow> {
        let shown = || card.features.iter().flatten().take(FEATURES_SHOWN);
        let points = shown().flat_map(|feature| feature.bins.iter().map(|bin| bin.points));
        let (lowest, highest) =
            points.fold((0.0, 0.0), |(low, high): (f64, f64), points| (low.min(points), high.max(points)));
        let row = |feature: &Feature| FeatureRow {
            name: self.feature_name(feature),
            group: group_name(&feature.group),
            monotone: feature.monotone,
            chart: StepChart::new(&feature.bins, lowest, highest),
            lowest: or_dash(feature.bins.first().map(|bin| signed(bin.points))),
            highest: or_dash(feature.bins.last().map(|bin| signed(bin.points))),
            missing: signed(feature.missing_points),
        };
        shown().map(row).collect()
    }

    /// The name of a feature, with the name of a list in the place of its key.
    fn feature_name(&self, feature: &Feature) -> String {
        let lists = &self.page.frame.lists;
        let list = feature.name.strip_prefix("on ").and_then(|key| lists.iter().find(|list| list.key == key));
        list.map_or_else(|| feature.name.clone(), |list| format!("on {}", list.name))
    }
}

impl Card {
    fn recall_of(&self, kind: &str) -> String {
        percent(self.baselines.iter().find(|baseline| baseline.kind == kind).and_then(|baseline| baseline.recall))
    }

    fn by_formula(&self) -> String {
        self.recall_of("BEST_PROFILE")
    }

    fn by_votes(&self) -> String {
        self.recall_of("VOTES")
    }

    /// This ranking and those that need no training.
    fn compared(&self) -> Vec<Compared> {
        let compared = |name, recall: Option<f64>, interval: Option<Interval>| Compared {
            name,
            recall: percent(recall),
            interval: or_dash(interval.map(Interval::text)),
            width: reach(recall),
        };
        let baseline = |baseline: &Baseline| {
            let name = match baseline.kind.as_str() {
                "BEST_PROFILE" => "Best profile of the formula",
                "VOTES" => "Sorting by votes",
                _ => "By votes and rating",
            };
            compared(name, baseline.recall, baseline.interval)
        };
        let own = compared("This learned ranking", self.validation.recall, self.validation.interval);
        let random = (self.validation.listed > 0).then(|| self.random_hits / count(self.validation.listed));
        let others = self.baselines.iter().map(baseline).chain([compared("Random order", random, None)]);
        [own].into_iter().chain(others).collect()
    }

    fn dots(&self) -> Vec<Dot> {
        calibration_dots(&self.calibration)
    }

    fn trained_day(&self) -> &str {
        self.trained_at.split('T').next().unwrap_or_default()
    }

    fn training_time(&self) -> String {
        format!("{:.0} s", self.training_seconds)
    }
}

impl Performance {
    fn recall(&self) -> String {
        percent(self.recall)
    }

    fn interval(&self) -> String {
        or_dash(self.interval.map(Interval::text))
    }

    /// Start and width of the confidence interval on a chart of width 100.
    fn interval_bar(&self) -> Option<(String, String)> {
        let interval = self.interval?;
        Some((reach(Some(interval.low)), reach(Some(interval.high - interval.low))))
    }

    fn recall_at(&self) -> Option<String> {
        self.recall.map(|recall| reach(Some(recall)))
    }

    fn wider_recall(&self) -> String {
        percent(self.recall_at_one_and_a_half)
    }

    fn precision(&self) -> String {
        percent(self.precision_at_half)
    }

    /// By how many percentage points the probabilities are off.
    fn calibration_error(&self) -> String {
        format!("{:.1}", self.expected_calibration_error * 100.0)
    }

    /// Measures of the whole order and of all probabilities.
    fn measures(&self) -> String {
        let Self { pr_auc, log_loss, brier, .. } = self;
        format!("Area under precision and recall {pr_auc:.3}, log loss {log_loss:.3}, Brier score {brier:.3}")
    }
}

impl LeakCheck {
    fn collection(&self) -> String {
        or_dash(self.collection.map(|auc| format!("{auc:.2}")))
    }

    fn votes(&self) -> String {
        or_dash(self.votes.map(|auc| format!("{auc:.2}")))
    }
}
