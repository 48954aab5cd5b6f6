//! Learned rankings of generated movies: what is stored, served and printed. These are laws, which hold whatever the movies
//! are; how good a ranking is depends on the data.

use std::collections::{BTreeMap, HashMap};

use cinegraph::cache::CacheContext;
use cinegraph::clock::Clock;
use cinegraph::config::{Config, Overrides};
use cinegraph::scoring::learned::{LearnedRanking, Settings, TrainingReport, Variant, probability};
use cinegraph::scoring::{Decade, MovieId};
use cinegraph::services::learned::{self, ModelState, RankedBy};
use cinegraph::services::predictions::ScoredMovie;
use cinegraph::services::{ServiceError, Services};
use cinegraph::store::{ModelCodes, ModelStatus, ModelVersion};
use cinegraph::versions::Versions;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use super::cli::{json, printed, run, stderr_of};
use crate::support::{Movie, TARGET, TestService, url};

/// Enough for a list that a model learns, and few enough for a training in a second.
const MOVIES: u32 = 1_500;

const LISTS: Variant = Variant::WithLists;

/// Nine tenths of the foreign movies among the most voted third of their decade: neither votes nor the formula find them.
const LEARNABLE: &str = "id % 10 > 0 AND original_language <> 'en' AND id IN (
    SELECT movie_id FROM (
        SELECT e.movie_id, ntile(3) OVER (PARTITION BY cinegraph.decade(m.release_date) ORDER BY e.value DESC) AS third
        FROM external_metrics AS e JOIN movies AS m ON m.id = e.movie_id
        WHERE e.source = 'imdb' AND e.metric_type = 'rating_votes') AS voted
    WHERE third = 1)";

/// Nothing tells these from others.
const RANDOM: &str = "id % 7 = 0";

const IN_1990S: &str = "import_status = 'full' AND cinegraph.decade(release_date) = 1990";

/// Generated movies, of which the target list has those that a model can learn.
pub(crate) async fn learnable(pool: PgPool) -> TestService {
    let service = TestService::on(pool).await;
    service.fill(MOVIES).await;
    put_on_list(&service, LEARNABLE).await;
    service
}

/// Puts the movies that satisfy a condition on the target list, instead of others.
async fn put_on_list(service: &TestService, condition: &str) {
    execute(
        service,
        &format!(
            "UPDATE movies SET canonical_sources = (coalesce(canonical_sources, '{{}}') - '{TARGET}')
                 || CASE WHEN {condition} THEN '{{\"{TARGET}\": {{\"included\": true}}}}'::jsonb ELSE '{{}}' END"
        ),
    )
    .await;
    service.refresh_scores().await;
}

async fn execute(service: &TestService, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&service.pool).await.unwrap();
}

async fn number(service: &TestService, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&service.pool).await.unwrap()
}

/// Trains the ranking with other lists in few, large rounds.
pub(crate) async fn train(service: &TestService, seed: u64) -> ModelVersion {
    attempt(service, TARGET, LISTS, seed).await.unwrap()
}

async fn attempt(service: &TestService, list: &str, variant: Variant, seed: u64) -> Result<ModelVersion, ServiceError> {
    let settings = Settings { rounds: 150, learning_rate: 0.2, seed, ..Settings::default() };
    learned::train(&service.store, list, variant, settings, &mut |_| ()).await
}

/// The use cases with empty caches.
fn services(service: &TestService) -> Services {
    let config = Config::from_layers(None, [], &Overrides::default()).unwrap();
    let metrics = &service.metrics;
    let (versions, clock) = (Versions::default(), Clock::system());
    let cache_context = CacheContext { versions, clock, metrics: metrics.caches.clone(), redis: None };
    Services::new(&service.store, &cache_context, &config, &metrics.breakers)
}

async fn state(service: &TestService) -> ModelState {
    (*services(service).learned.state(TARGET, LISTS).await.unwrap().unwrap()).clone()
}

/// The movies of a decade as the served model ranks them.
async fn ranked(service: &TestService, decade: Decade) -> Vec<ScoredMovie> {
    let services = services(service);
    let model = services.learned.served(TARGET, LISTS).await.unwrap();
    assert!(model.is_some(), "no model is served");
    let by = RankedBy { model, ..services.select_profile(None).await.unwrap().ranked_by() };
    services.predictions.all(TARGET, decade, &by).await.unwrap()
}

/// What is stored of a version: its model, and the codes of all decades.
async fn stored(service: &TestService, version: &ModelVersion) -> (Vec<u8>, Vec<ModelCodes>) {
    let bytes = service.store.model(version.id).await.unwrap().unwrap();
    let decades: Vec<i32> =
        sqlx::query_scalar("SELECT decade FROM cinegraph.model_codes WHERE version_id = $1 ORDER BY decade")
            .bind(version.id)
            .fetch_all(&service.pool)
            .await
            .unwrap();
    let mut codes = vec![];
    for decade in decades {
        codes.push(codes_of(service, version, decade).await);
    }
    (bytes, codes)
}

async fn codes_of(service: &TestService, version: &ModelVersion, decade: i32) -> ModelCodes {
    let decade = Decade::starting(decade).unwrap();
    service.store.model_codes(version.id, decade).await.unwrap().unwrap()
}

/// The scores of a decade's movies before they are calibrated.
async fn uncalibrated(service: &TestService, version: &ModelVersion, decade: i32) -> Vec<f64> {
    let ranking = LearnedRanking::from_bytes(&service.store.model(version.id).await.unwrap().unwrap()).unwrap();
    let ModelCodes { decade, codes, .. } = codes_of(service, version, decade).await;
    let (_, platt, _) = version.report.validation.decades.iter().find(|(own, _, _)| *own == decade).unwrap();
    ranking.for_decade(decade).scores(&codes).iter().map(|score| (score - platt.offset) / platt.slope).collect()
}

#[sqlx::test(migrations = false)]
async fn trainings_repeat_to_the_bit_and_are_blind_to_the_own_decade(pool: PgPool) {
    let service = learnable(pool).await;
    let first = train(&service, 1).await;
    assert_eq!((first.status, &first.report.refusal), (ModelStatus::Accepted, &None));
    let (bytes, codes) = stored(&service, &first).await;
    assert!(codes.len() > 10, "{} decades", codes.len());

    let again = train(&service, 1).await;
    assert_eq!(stored(&service, &again).await, (bytes.clone(), codes));
    assert_eq!(again.report, TrainingReport { seconds: again.report.seconds, ..first.report });
    let other = train(&service, 2).await;
    assert_ne!(stored(&service, &other).await.0, bytes);

    // One movie of the 1990s less.
    let again = train(&service, 1).await;
    let before = [1980, 1990].map(|decade| uncalibrated(&service, &again, decade));
    let [eighties, nineties] = before;
    let (eighties, nineties) = (eighties.await, nineties.await);
    let codes = codes_of(&service, &again, 1990).await;
    let movie = format!("SELECT min(id) FROM movies WHERE canonical_sources ? '{TARGET}' AND {IN_1990S}");
    execute(
        &service,
        &format!("UPDATE movies SET canonical_sources = canonical_sources - '{TARGET}' WHERE id = ({movie})"),
    )
    .await;
    let without = train(&service, 1).await;
    assert_eq!(without.report.members + 1, again.report.members);
    assert_eq!(codes_of(&service, &without, 1990).await, codes);
    let near = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(near(&uncalibrated(&service, &without, 1990).await, &nineties), "a label of the decade changed its scores");
    assert!(!near(&uncalibrated(&service, &without, 1980).await, &eighties), "the label changed nothing");
}

#[sqlx::test(migrations = false)]
async fn a_refused_training_leaves_the_accepted_version_served_and_versions_roll_back(pool: PgPool) {
    let service = learnable(pool.clone()).await;
    let url = url(&pool);
    let rolled_back = || run(&url, &["model", "rollback"]);
    let fails = |message: &str| {
        let output = rolled_back();
        assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
        assert!(stderr_of(&output).contains(message), "{}", stderr_of(&output));
    };
    let none = format!("\"{TARGET}\" has no two accepted versions of this ranking");
    fails(&none);
    let nineties = Decade::starting(1990).unwrap();
    let first = train(&service, 1).await;
    fails(&none);
    let by_first = ranked(&service, nineties).await;

    // A list that cannot be learned.
    put_on_list(&service, RANDOM).await;
    let refused = train(&service, 1).await;
    let reason = refused.report.refusal.clone().unwrap();
    assert!(reason.contains("which is not more than"), "{reason}");
    assert_eq!((refused.status, service.store.model(refused.id).await.unwrap()), (ModelStatus::Refused, None));
    let known = state(&service).await;
    assert_eq!((known.served.unwrap().id, known.latest), (first.id, refused.clone()));
    let shown = printed(&url, &["model", "show"]);
    let [served, latest] =
        [format!("Version {}, trained ", first.id), format!("Version {} was refused: {reason}.", refused.id)];
    assert!(shown.starts_with(&served) && shown.contains(&latest), "{shown}");
    let shown = json(&url, &["model", "show", "--json"]);
    let [served, latest] = [first.id, refused.id].map(|id| json!(id));
    assert_eq!([&shown["served"], &shown["shown"], &shown["latest"]], [&served, &served, &latest]);
    assert_eq!([&shown["status"], &shown["refusal"]], [&json!("refused"), &json!(reason)]);

    put_on_list(&service, LEARNABLE).await;
    let second = train(&service, 2).await;
    assert_eq!(state(&service).await.served.unwrap().id, second.id);
    let by_second = ranked(&service, nineties).await;
    assert_ne!(scores(&by_second), scores(&by_first));

    let output = rolled_back();
    let text = format!("Version {} is withdrawn; version {} is served until the next training.\n", second.id, first.id);
    assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{}", stderr_of(&output));
    assert_eq!(scores(&ranked(&service, nineties).await), scores(&by_first));
    let known = state(&service).await;
    assert_eq!(
        (known.served.unwrap().id, known.latest.id, known.latest.status),
        (first.id, second.id, ModelStatus::Withdrawn)
    );
    let shown = printed(&url, &["model", "show"]);
    assert!(shown.contains(&format!("Version {} was rolled back.", second.id)), "{shown}");
    fails(&none);
    assert_eq!(state(&service).await.served.unwrap().id, first.id);
    assert_eq!(number(&service, "SELECT count(*) FROM cinegraph.model_versions WHERE status = 'withdrawn'").await, 1);
}

fn scores(movies: &[ScoredMovie]) -> Vec<(MovieId, Option<f64>)> {
    movies.iter().map(|movie| (movie.id, movie.learned.as_ref().map(|learned| learned.log_odds))).collect()
}

#[sqlx::test(migrations = false)]
async fn old_versions_are_removed(pool: PgPool) {
    let service = learnable(pool).await;
    let version = train(&service, 1).await;
    let (bytes, codes) = stored(&service, &version).await;
    let (read_at, model) = (service.store.database_time().await.unwrap(), (&*bytes, &*codes));
    let count = async |status: &str| {
        number(&service, &format!("SELECT count(*) FROM cinegraph.model_versions WHERE status = '{status}'")).await
    };
    let (mut accepted, mut others) = (vec![version.id], vec![]);
    for number in 0..13 {
        let refused = service.store.add_model(TARGET, LISTS, read_at, &version.report, None).await.unwrap();
        others.push(refused.id);
        if number % 4 == 0 {
            accepted
                .push(service.store.add_model(TARGET, LISTS, read_at, &version.report, Some(model)).await.unwrap().id);
        }
    }
    // A ranking of its own.
    service.store.add_model(TARGET, Variant::WithoutLists, read_at, &version.report, None).await.unwrap();
    assert_eq!((count("accepted").await, count("refused").await), (2, 11));
    let kept: Vec<_> = service.store.model_versions(Some(TARGET)).await.unwrap().into_iter().collect();
    let kept = |status| {
        let of_it = kept.iter().filter(move |one| one.variant == LISTS && one.status == status);
        of_it.map(|one| one.id).rev().collect::<Vec<_>>()
    };
    assert_eq!(kept(ModelStatus::Accepted), accepted[accepted.len() - 2..]);
    assert_eq!(kept(ModelStatus::Refused), others[others.len() - 10..]);
    let with_codes = number(&service, "SELECT max(version_id) FROM cinegraph.model_codes").await;
    let versions = number(&service, "SELECT count(DISTINCT version_id) FROM cinegraph.model_codes").await;
    assert_eq!((Some(&with_codes), versions), (accepted.last(), 1));
    assert_eq!(learned::refresh_codes(&service.store).await.unwrap(), 0);

    // What another training has replaced is not withdrawn.
    let [before, served] = [0, 1].map(|at| ModelVersion { id: accepted[at], ..version.clone() });
    assert!(!service.store.roll_model_back(&served, &before).await.unwrap());
    assert_eq!(count("accepted").await, 2);
}

/// A line of `cinegraph model show --csv`.
#[derive(Debug, serde::Deserialize)]
struct Line {
    movie: i64,
    decade: i32,
    listed: bool,
    score: Option<f64>,
    probability: Option<f64>,
}

/// Log loss, Brier score, and the mean difference of probability and share listed in 15 bins of equal width.
fn calibration(lines: &[&Line]) -> [f64; 3] {
    let (mut log_loss, mut brier, mut count) = (0.0, 0.0, 0.0);
    let mut bins: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for line in lines {
        let Some(p) = line.probability else { continue };
        assert!((p - probability(line.score.unwrap())).abs() < 1e-15, "{line:?}");
        let label = f64::from(u8::from(line.listed));
        count += 1.0;
        log_loss -= if line.listed { p.ln() } else { (-p).ln_1p() };
        brier += (p - label) * (p - label);
        let bin = (0..15).rev().find(|bin| p * 15.0 >= f64::from(*bin)).unwrap();
        let sums = bins.entry(bin).or_default();
        *sums = (sums.0 + p, sums.1 + label);
    }
    let ece: f64 = bins.values().map(|(probabilities, listed)| (probabilities - listed).abs()).sum();
    [log_loss / count, brier / count, ece / count]
}

#[sqlx::test(migrations = false)]
async fn commands_print_the_scores_that_the_report_was_made_of(pool: PgPool) {
    let service = learnable(pool.clone()).await;
    let url = url(&pool);
    // A listed movie that no ranking contains.
    let listed = format!("SELECT max(id) FROM movies WHERE canonical_sources ? '{TARGET}' AND {IN_1990S}");
    execute(&service, &format!("UPDATE movies SET import_status = 'soft' WHERE id = ({listed})")).await;
    service.refresh_scores().await;
    let output = run(&url, &["model", "train", "--list", "criterion"]);
    let error = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("make it a target list, and run `cinegraph refresh snapshot`"), "{error}");
    let untrained = stderr_of(&run(&url, &["model", "show"]));
    assert!(untrained.contains(&format!("run `cinegraph model train --list {TARGET}`")), "{untrained}");

    let trained = printed(&url, &["model", "train", "--ranking", "learned", "--seed", "3"]);
    assert!(trained.contains("(learned) is served: it finds "), "{trained}");
    let csv = printed(&url, &["model", "show", "--csv"]);
    let lines: Vec<Line> = csv::Reader::from_reader(csv.as_bytes()).deserialize().map(Result::unwrap).collect();
    let shown = json(&url, &["model", "show", "--json"]);
    let report: TrainingReport = serde_json::from_value(shown["report"].clone()).unwrap();
    let validated = json(&url, &["validate", "--ranking", "learned", "--json"]);

    let tmdb_ids: Vec<(i64, i32)> =
        sqlx::query_as("SELECT id, tmdb_id FROM movies").fetch_all(&service.pool).await.unwrap();
    let tmdb_ids: HashMap<i64, i32> = tmdb_ids.into_iter().collect();
    let mut unhittable = 0;
    for (decade, _, performance) in &report.validation.decades {
        let own: Vec<&Line> = lines.iter().filter(|line| line.decade == decade.year()).collect();
        let mut best: Vec<&Line> = own.iter().copied().filter(|line| line.score.is_some()).collect();
        best.sort_by(|a, b| b.score.unwrap().total_cmp(&a.score.unwrap()).then(a.movie.cmp(&b.movie)));
        let n = own.iter().filter(|line| line.listed).count();
        unhittable += own.len() - best.len();
        let hits = |top: usize| best.iter().take(top).filter(|line| line.listed).count();
        let found = [n, (3 * n).div_ceil(2), 2 * n, n / 2].map(hits);
        let reported = [performance.at_n, performance.at_1_5_n, performance.at_2_n, performance.top_half];
        assert_eq!(found, reported.map(|accuracy| accuracy.hits), "{decade}");
        assert_eq!((n, best.len()), (performance.at_n.listed, performance.population), "{decade}");
        let measured = calibration(&own);
        for (own, reported) in measured.iter().zip([performance.log_loss, performance.brier, performance.ece]) {
            assert!((own - reported).abs() < 1e-9, "{decade}: {own} and {reported}");
        }
        let rows = validated["decades"].as_array().unwrap();
        let row = rows.iter().find(|row| row["decade"] == json!(decade.year())).unwrap();
        let interval = performance.at_n.interval().map(|one| json!({ "low": one.low, "high": one.high }));
        let expected = json!({
            "hits": performance.at_n.hits, "listed": n, "population": best.len(), "unhittable": own.len() - best.len(),
            "interval": interval,
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&row[key], value, "{decade} {key}");
        }

        // Predictions are in this order, and never on the list.
        let decade = decade.year().to_string();
        let predict = ["predict", "--ranking", "learned", "--json", "--first", "9999", "--decade", &decade];
        for (option, listed) in [(&[][..], false), (&["--confirmed"], true)] {
            // Fails if there are none, and prints that all the same.
            let predicted: Value = serde_json::from_slice(&run(&url, &[&predict, option].concat()).stdout).unwrap();
            let predicted = predicted["nodes"].as_array().unwrap().iter();
            let predicted: Vec<_> = predicted.map(|row| row["movie"]["tmdbId"].clone()).collect();
            let of_it = best.iter().filter(|line| line.listed == listed);
            assert_eq!(predicted, of_it.map(|line| json!(tmdb_ids[&line.movie])).collect::<Vec<_>>(), "{decade}");
        }
    }
    assert_eq!(unhittable, 1);
    let pooled = &report.validation.pooled;
    let all: Vec<&Line> = lines.iter().collect();
    for (own, reported) in calibration(&all).iter().zip([pooled.log_loss, pooled.brier, pooled.ece]) {
        assert!((own - reported).abs() < 1e-9, "{own} and {reported}");
    }
    let overall = &validated["overall"];
    assert_eq!([&overall["hits"], &overall["listed"]], [&json!(pooled.at_n.hits), &json!(pooled.at_n.listed)]);
}

#[sqlx::test(migrations = false)]
async fn a_damaged_model_is_not_served(pool: PgPool) {
    let service = learnable(pool.clone()).await;
    let url = url(&pool);
    let [first, second] = [train(&service, 1).await, train(&service, 2).await];
    let damage = async |version: &ModelVersion| {
        let bytes = "set_byte(model, 500, 255 - get_byte(model, 500))";
        let sql = format!("UPDATE cinegraph.model_versions SET model = {bytes} WHERE id = {}", version.id);
        execute(&service, &sql).await;
    };
    damage(&first).await;
    let output = run(&url, &["model", "rollback"]);
    assert!(stderr_of(&output).contains("the version before cannot be served"), "{}", stderr_of(&output));
    assert_eq!(state(&service).await.served.unwrap().id, second.id);

    damage(&second).await;
    assert!(services(&service).learned.served(TARGET, LISTS).await.unwrap().is_none());
    for command in [&["predict"][..], &["validate"], &["model", "show", "--csv"]] {
        let ranking: &[&str] = if command[0] == "model" { &[] } else { &["--ranking", "learned"] };
        let output = run(&url, &[command, ranking].concat());
        let error = stderr_of(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {error}");
        assert!(error.contains("stored model not usable"), "no warning in the log of {command:?}: {error}");
        assert!(error.contains("its stored model is damaged or of another release"), "{command:?}: {error}");
    }
    let shown = printed(&url, &["model", "show"]);
    assert!(shown.contains("It is not served: its stored model is damaged"), "{shown}");
    assert_eq!(json(&url, &["model", "show", "--json"])["served"], Value::Null);
    assert!(!json(&url, &["predict", "--decade", "1990", "--json"])["nodes"].as_array().unwrap().is_empty());

    let third = train(&service, 3).await;
    assert_eq!(services(&service).learned.served(TARGET, LISTS).await.unwrap().unwrap().version, third.id);
}

#[sqlx::test(migrations = false)]
async fn changed_lists_and_new_movies_outdate_codes(pool: PgPool) {
    let service = learnable(pool.clone()).await;
    let version = train(&service, 1).await;
    let raised = async || {
        number(
            &service,
            "SELECT version FROM cinegraph.data_versions WHERE scope = 'model' AND list_key = '1001_movies'",
        )
        .await
    };
    let refreshed = async || learned::refresh_codes(&service.store).await.unwrap();
    assert_eq!((refreshed().await, raised().await), (0, 1));

    let unlisted = format!("SELECT min(id) FROM movies WHERE NOT canonical_sources ? 'criterion' AND {IN_1990S}");
    let before = codes_of(&service, &version, 1990).await;
    execute(
        &service,
        &format!("UPDATE movies SET canonical_sources = canonical_sources || '{{\"criterion\": {{}}}}' WHERE id = ({unlisted})"),
    )
    .await;
    service.refresh_scores().await;
    assert_eq!((refreshed().await, raised().await), (1, 2));
    assert_ne!(codes_of(&service, &version, 1990).await, before);
    assert_eq!((refreshed().await, raised().await), (0, 2));

    let nineties = Decade::starting(1990).unwrap();
    let new = Movie::new("New").released("1994-05-01").rated(9.0, 9.0).insert(&pool).await;
    service.refresh_scores().await;
    let is_ranked = async || ranked(&service, nineties).await.iter().any(|movie| movie.id == MovieId(new));
    assert!(!is_ranked().await, "the model has not scored it");
    assert_eq!((refreshed().await, raised().await), (1, 3));
    assert!(is_ranked().await);

    // Codes of movies that were read before the last change, however late they are stored.
    let (_, codes) = stored(&service, &version).await;
    let before = version.trained_at - chrono::TimeDelta::hours(1);
    service.store.replace_model_codes(&version, &codes, before).await.unwrap();
    assert_eq!(refreshed().await, 1);
}

#[sqlx::test(migrations = false)]
async fn strange_and_missing_data_are_no_error(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(600).await;
    let trained = async |what: &str| {
        service.refresh_scores().await;
        for variant in [LISTS, Variant::WithoutLists] {
            let version = attempt(&service, TARGET, variant, 1).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            // A report with a number that JSON does not have could not be read again.
            let stored = service.store.model_versions(Some(TARGET)).await.unwrap();
            assert_eq!(stored.first(), Some(&version), "{what}");
        }
    };
    execute(
        &service,
        "TRUNCATE festival_nominations, festival_categories, festival_ceremonies, festival_organizations",
    )
    .await;
    trained("no awards").await;
    execute(
        &service,
        "UPDATE external_metrics SET value = CASE id % 7
             WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN -value - 1 WHEN 4 THEN 1e300
             WHEN 5 THEN NULL ELSE value END,
             fetched_at = CASE WHEN id % 5 = 0 THEN 'infinity' ELSE fetched_at END",
    )
    .await;
    trained("numbers that are none").await;
    execute(&service, "DELETE FROM external_metrics").await;
    trained("no metrics").await;
    execute(&service, &format!("UPDATE movies SET canonical_sources = '{{}}' WHERE canonical_sources ? '{TARGET}'"))
        .await;
    trained("an empty list").await;
    execute(&service, "UPDATE movies SET import_status = 'soft'").await;
    trained("no movies").await;
    let refusals = service.store.model_versions(Some(TARGET)).await.unwrap();
    assert!(refusals.iter().all(|version| version.report.refusal.is_some()), "one was accepted");
}

#[sqlx::test(migrations = false)]
async fn the_migration_adds_and_may_be_repeated(pool: PgPool) {
    let service = TestService::on(pool).await;
    service.fill(300).await;
    let version = train(&service, 1).await;
    let state = "SELECT md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM (
        SELECT scope || list_key || decade || ':' || version AS row FROM cinegraph.data_versions
        UNION ALL SELECT table_schema || table_name || column_name || data_type FROM information_schema.columns
                  WHERE table_schema IN ('public', 'cinegraph')
        UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
        UNION ALL SELECT id || report::text FROM cinegraph.model_versions) AS everything";
    let digest = async || sqlx::query_scalar::<_, String>(state).fetch_one(&service.pool).await.unwrap();
    let before = digest().await;
    let migration = include_str!("../../migrations/20261129000000_learned_models.sql");
    sqlx::raw_sql(migration).execute(&service.pool).await.unwrap();
    assert_eq!(digest().await, before);
    assert_eq!(service.store.model_versions(None).await.unwrap(), [version]);
}
