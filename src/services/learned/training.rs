//! Training a list's learned rankings, judging them, and storing the result.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::catalogue::{Catalogue, Inputs};
use super::codes::codes;
use super::low_priority::{self, Report};
use crate::scoring::learned::{
    Baselines, DecadeFeatures, Interrupted, LeakCheck, LearnedModel, LearnedRanking, ScoredDecade, Settings,
    TrainingReport, TrainingSet, Validation, Variant,
};
use crate::scoring::{Accuracy, Decade, MovieId, pooled_decade};
use crate::services::{ServiceError, default_profile};
use crate::store::{ModelCodes, ModelVersion, Store};

/// First year that the temporal validation predicts, from a model of the years before.
const TEMPORAL_SPLIT: i32 = 2000;

/// Progress of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingProgress {
    /// Key of the target list.
    pub list: String,
    /// Whether other lists are inputs.
    pub variant: Variant,
    /// Share that is done, 0 to 1.
    pub done: f64,
}

/// What the trainings of a list have in common besides the movies.
struct Target {
    list: String,
    /// The decades that count in the validation, ascending.
    decades: Vec<Decade>,
    /// Listed movies that are not fully imported, by decade.
    unhittable: HashMap<Decade, usize>,
    best_profile: Accuracy,
}

/// One training.
struct Task {
    target: Arc<Target>,
    variant: Variant,
    settings: Settings,
}

/// A trained ranking with its report, and the codes of all movies.
struct Trained {
    report: TrainingReport,
    ranking: LearnedRanking,
    codes: Vec<ModelCodes>,
}

/// Trains both variants for each of these target lists. A list that the snapshot does not contain yet is left out; the
/// training after the next snapshot has it. Returns the new versions.
///
/// # Errors
/// [`ServiceError::Store`] if the database is unavailable. The versions that were trained before stay.
pub async fn train_all(
    store: &Store,
    target_lists: &[String],
    progress: &mut (dyn FnMut(TrainingProgress) + Send),
) -> Result<Vec<ModelVersion>, ServiceError> {
    let snapshot = store.snapshot().await?.map(|snapshot| snapshot.target_lists).unwrap_or_default();
    let ready: Vec<_> = target_lists.iter().filter(|list| snapshot.contains(list)).collect();
    if ready.is_empty() {
        return Ok(vec![]);
    }
    let catalogue = Arc::new(Catalogue::read(store).await?);
    let mut versions = vec![];
    for list in ready {
        let target = Arc::new(Target::read(store, &catalogue, list).await?);
        for variant in Variant::ALL {
            let task = Task { target: Arc::clone(&target), variant, settings: Settings::default() };
            versions.push(train_on(store, &catalogue, task, progress).await?);
        }
    }
    Ok(versions)
}

/// Trains one ranking.
///
/// # Errors
/// [`ServiceError::NotReady`] if the snapshot does not contain the list; [`ServiceError::Store`] if the database is
/// unavailable. Nothing is stored then.
pub async fn train(
    store: &Store,
    list: &str,
    variant: Variant,
    settings: Settings,
    progress: &mut (dyn FnMut(TrainingProgress) + Send),
) -> Result<ModelVersion, ServiceError> {
    if !store.snapshot().await?.is_some_and(|snapshot| snapshot.target_lists.iter().any(|key| key == list)) {
        return Err(ServiceError::NotReady(
            "the validation snapshot does not contain this list: make it a target list, and run `cinegraph refresh snapshot`",
        ));
    }
    let catalogue = Arc::new(Catalogue::read(store).await?);
    let target = Arc::new(Target::read(store, &catalogue, list).await?);
    train_on(store, &catalogue, Task { target, variant, settings }, progress).await
}

async fn train_on(
    store: &Store,
    catalogue: &Arc<Catalogue>,
    task: Task,
    progress: &mut (dyn FnMut(TrainingProgress) + Send),
) -> Result<ModelVersion, ServiceError> {
    let (target, variant, shared) = (Arc::clone(&task.target), task.variant, Arc::clone(catalogue));
    let list = target.list.as_str();
    let mut report = |done| progress(TrainingProgress { list: list.to_owned(), variant, done });
    let trained = low_priority::run(move |report| task.run(&shared, report), &mut report).await;
    // It is interrupted only with this future, so the error can only mean that it panicked.
    let Trained { report, ranking, codes } =
        trained.map_err(|Interrupted| ServiceError::NotReady("the training ended unexpectedly; see the log"))?;
    let model = match &report.refusal {
        None => Some(ranking.to_bytes().map_err(|error| {
            tracing::error!(%error, list, "the trained model cannot be stored");
            ServiceError::NotReady("the trained model cannot be stored; see the log")
        })?),
        Some(_) => None,
    };
    let stored = model.as_deref().map(|model| (model, codes.as_slice()));
    let version = store.add_model(list, variant, catalogue.read_at(), &report, stored).await?;
    log(&version);
    Ok(version)
}

fn log(version: &ModelVersion) {
    let ModelVersion { id, list, variant, report, .. } = version;
    let found = report.validation.pooled.at_n;
    let (hits, listed, seconds) = (found.hits, found.listed, report.seconds);
    match &report.refusal {
        None => tracing::info!(version = id, list, ?variant, hits, listed, seconds, "learned ranking trained"),
        // No fault: most lists of movies are not learnable. An alert tells of a list that was.
        Some(reason) => tracing::info!(
            version = id,
            list,
            ?variant,
            hits,
            listed,
            seconds,
            reason,
            "learned ranking refused; what was served before is still served"
        ),
    }
}

impl Target {
    async fn read(store: &Store, catalogue: &Catalogue, list: &str) -> Result<Self, ServiceError> {
        let decades: Vec<Decade> = catalogue.decades().filter(|decade| pooled_decade(*decade)).collect();
        let mut unhittable = HashMap::new();
        for decade in &decades {
            unhittable.insert(*decade, store.unhittable_movies(list, *decade).await?.len());
        }
        let best = default_profile::most_accurate(store, list, &decades).await?;
        let best_profile = best.map_or_else(Accuracy::default, |(_, accuracy)| accuracy);
        Ok(Self { list: list.to_owned(), decades, unhittable, best_profile })
    }

    fn unhittable_in(&self, decade: Decade) -> usize {
        self.unhittable.get(&decade).copied().unwrap_or_default()
    }
}

impl Task {
    fn run(self, catalogue: &Catalogue, report: Report<'_>) -> Result<Trained, Interrupted> {
        let started = Instant::now();
        let Target { list, decades, best_profile, .. } = &*self.target;
        let members = catalogue.members(list);
        let lists = match self.variant {
            Variant::WithLists => catalogue.other_lists(list),
            Variant::WithoutLists => vec![],
        };
        let inputs = catalogue.inputs(lists, None);
        // A fit for each decade and one for all, the leak check, which is about as much, and the temporal validation.
        let steps = share(2 * decades.len() + 2);
        let mut baselines = Baselines::new(*best_profile);
        let set = self.training_set(catalogue, &inputs, &members, &mut baselines);

        let all = set.fit(|_| true, &self.settings, &mut |done| report(done / steps))?;
        let mut models: Vec<(Decade, LearnedModel)> = vec![];
        for (own, fitted) in decades.iter().zip(1..) {
            let at = |done: f64| (share(fitted) + done) / steps;
            models.push((*own, set.fit(|decade| decade != *own, &self.settings, &mut |done| report(at(done)))?));
        }
        drop(set);

        let mut scored = vec![];
        let mut leak = LeakCheck::default();
        for (decade, model) in &models {
            let of_decade = inputs.of(*decade);
            let features = DecadeFeatures::of(&of_decade);
            let scores = model.scores(&model.codes(&features));
            let one = ScoredDecade::of(&features, &scores, &members, self.target.unhittable_in(*decade));
            leak.add(&features, &one);
            scored.push(one);
        }
        let checked = 1.0 + share(decades.len());
        let leak = leak.check(&self.settings, &mut |done| report((checked + done * share(decades.len())) / steps))?;
        let temporal = self.temporal(catalogue, &inputs, &members, &mut |done| report((steps - 1.0 + done) / steps))?;

        let validation = Validation::leave_one_decade_out(&scored);
        let ranking = LearnedRanking::new(inputs.lists().to_vec(), self.settings, all, models, &validation);
        let codes = codes(catalogue, &inputs, &ranking, report)?;
        let random = |decade: &ScoredDecade| {
            let listed = decade.movies.iter().filter(|movie| movie.listed).count();
            share(listed) * share(listed + decade.unhittable) / share(decade.movies.len().max(1))
        };
        let training_report = TrainingReport {
            seed: self.settings.seed,
            seconds: started.elapsed().as_secs_f64(),
            movies: scored.iter().map(|decade| decade.movies.len()).sum(),
            members: scored.iter().flat_map(|decade| &decade.movies).filter(|movie| movie.listed).count(),
            lists: inputs.lists().to_vec(),
            random_hits: scored.iter().map(random).sum(),
            validation,
            temporal,
            baselines,
            leak,
            refusal: None,
        };
        Ok(Trained { report: training_report.judged(), ranking, codes })
    }

    /// The rows of all decades; also counts the hits of the baselines.
    fn training_set(
        &self,
        catalogue: &Catalogue,
        inputs: &Inputs<'_>,
        members: &HashSet<MovieId>,
        baselines: &mut Baselines,
    ) -> TrainingSet {
        let mut set = self.empty_set(catalogue, members);
        for decade in &self.target.decades {
            let of_decade = inputs.of(*decade);
            baselines.add(&of_decade, members, self.target.unhittable_in(*decade));
            set.add(&DecadeFeatures::of(&of_decade), members);
        }
        set
    }

    fn empty_set(&self, catalogue: &Catalogue, members: &HashSet<MovieId>) -> TrainingSet {
        let movies = self.target.decades.iter().map(|decade| catalogue.size_of(*decade)).sum();
        TrainingSet::new(self.variant, members.len(), movies)
    }

    /// How a model of the decades before [`TEMPORAL_SPLIT`] ranks those from then on.
    fn temporal(
        &self,
        catalogue: &Catalogue,
        inputs: &Inputs<'_>,
        members: &HashSet<MovieId>,
        report: Report<'_>,
    ) -> Result<Option<Validation>, Interrupted> {
        let inputs = catalogue.inputs(inputs.lists().to_vec(), Some(TEMPORAL_SPLIT));
        let is_earlier = |decade: Decade| decade.year() < TEMPORAL_SPLIT;
        let (earlier, later): (Vec<Decade>, Vec<Decade>) =
            self.target.decades.iter().partition(|decade| is_earlier(**decade));
        let mut set = self.empty_set(catalogue, members);
        let mut learned_from = 0;
        for decade in earlier {
            let of_decade = inputs.of(decade);
            learned_from += of_decade.movies.iter().filter(|movie| members.contains(&movie.id)).count();
            set.add(&DecadeFeatures::of(&of_decade), members);
        }
        let model = set.fit(is_earlier, &self.settings, report)?;
        let mut scored = vec![];
        for decade in later {
            let of_decade = inputs.of(decade);
            let features = DecadeFeatures::of(&of_decade);
            let scores = model.scores(&model.codes(&features));
            scored.push(ScoredDecade::of(&features, &scores, members, self.target.unhittable_in(decade)));
        }
        let validation = Validation::uncalibrated(&scored);
        Ok((learned_from > 0 && validation.pooled.members > 0).then_some(validation))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of movies")]
fn share(count: usize) -> f64 {
    count as f64
}
