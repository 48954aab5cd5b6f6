//! Clients of both instances, and a host application that writes to its own tables.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::sync::RwLock;
use tokio::time::{sleep, timeout};

use super::client::{Client, Reply};
use super::faults::Number;
use super::journal::{Invariant, Journal};
use super::judge::{Judge, Witness};
use super::subscriber::{Ranking, follow};

/// Time limit of the host application's statements.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client invalidates everything with every so many mutations: rarely, because it also removes what is wrong.
const INVALIDATION: u64 = 20;

/// Name of the profile that one client changes.
pub(super) fn profile(number: Number) -> String {
    format!("Chaos {number}")
}

/// The list that subscribers follow.
pub(super) const TOP: &str = "{ predictions(decade: 2020, first: 50) { dataVersion nodes { id rank score } } }";

/// All profiles: descriptions are the counts of their writers.
const PROFILES: &str = "{ profiles { name description weights { popularOpinion criticalAcclaim } updatedAt } }";

/// A ranking under the profile of each writer.
const RANKINGS: [&str; 2] = [
    "{ predictions(profile: \"Chaos 0\", decade: 2010, first: 5) { dataVersion nodes { rank breakdown { weight } } } }",
    "{ predictions(profile: \"Chaos 1\", decade: 2020, first: 5) { dataVersion nodes { rank breakdown { weight } } } }",
];

/// What readers send, and what is compared with fresh computations.
pub(super) const QUERIES: [&str; 13] = [
    TOP,
    PROFILES,
    RANKINGS[0],
    RANKINGS[1],
    "{ predictions(decade: 1990) { totalCount dataVersion nodes { rank score likelihood movie { title year } } } }",
    "{ predictions(decade: 2010, first: 10) { dataVersion nodes { rank score coverage movie { title } } } }",
    "{ predictions(decade: 1990, filter: { genres: [\"Drama\"], minScore: 20 }) { totalCount dataVersion nodes { rank } } }",
    "{ predictions(decade: 2010, weights: { popularOpinion: 3, criticalAcclaim: 1, industryRecognition: 1,
       culturalImpact: 1, peopleQuality: 2 }) { totalCount dataVersion nodes { rank score } } }",
    "{ confirmedAdditions(decade: 2010) { totalCount dataVersion nodes { score movie { title } } } }",
    "{ decadeValidation(decade: 1990) { listed hits accuracy missedFilms(first: 5) { nodes { rank score } } } }",
    "{ profileComparison { profiles { profile { name } overall { accuracy } } } }",
    "{ lists { key name } genres { name } }",
    "{ movies(titleContains: \"gilded\", first: 10) { nodes { title year } } }",
];

/// What all actors of a run share.
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) judge: Judge,
    pub(super) addresses: [SocketAddr; 2],
    /// How often each instance has been started.
    pub(super) starts: [AtomicU32; 2],
    /// URL of the present primary.
    pub(super) database: Mutex<String>,
    /// Held for reading by whoever changes something, for writing when all is quiet.
    pub(super) changes: RwLock<()>,
    pub(super) token: String,
    /// The list that the subscriber of each instance has now: rank and score by prediction.
    pub(super) followed: [Mutex<Ranking>; 2],
}

impl Shared {
    pub(super) fn witness(&self, instance: Number) -> Witness {
        (instance, self.starts[instance].load(Ordering::SeqCst))
    }

    /// A connection to the primary, with a time limit for each statement.
    pub(super) async fn connect(&self) -> Option<PgConnection> {
        let url = self.database.lock().unwrap().clone();
        let mut connection = timeout(PATIENCE, PgConnection::connect(&url)).await.ok()?.ok()?;
        let limit = "SET statement_timeout = '5s'";
        timeout(PATIENCE, sqlx::query(limit).execute(&mut connection)).await.ok()?.ok()?;
        Some(connection)
    }

    /// Starts those who read; they end with the runtime of the test.
    pub(super) fn start_readers(self: &Arc<Self>, seed: u64) {
        for number in 0..4 {
            tokio::spawn(read(Arc::clone(self), number, random(seed, number)));
        }
        tokio::spawn(follow(Arc::clone(self), 0));
        tokio::spawn(follow(Arc::clone(self), 1));
        tokio::spawn(watch_versions(Arc::clone(self)));
    }

    /// Starts those who change something; they end with the runtime of the test.
    pub(super) fn start_writers(self: &Arc<Self>, seed: u64) {
        tokio::spawn(mutate(Arc::clone(self), 0, random(seed, 4)));
        tokio::spawn(mutate(Arc::clone(self), 1, random(seed, 5)));
        tokio::spawn(write(Arc::clone(self), random(seed, 6)));
    }
}

/// The decisions of one actor.
fn random(seed: u64, actor: Number) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(1 + actor as u64);
    random
}

/// Reads random queries of one instance.
async fn read(shared: Arc<Shared>, number: Number, mut random: ChaCha8Rng) {
    let instance = number % 2;
    let mut client = Client::of(shared.addresses[instance]);
    loop {
        let query = QUERIES[random.random_range(0..QUERIES.len())];
        let by = shared.witness(instance);
        if let Ok(reply) = client.query(query).await
            && by == shared.witness(instance)
        {
            judge(&shared, number, by, query, &reply);
        }
        sleep(Duration::from_millis(random.random_range(20..200))).await;
    }
}

/// Reports all that a response says.
fn judge(shared: &Shared, client: Number, by: Witness, query: &'static str, reply: &Reply) {
    let Shared { journal, judge, .. } = shared;
    judge.age_read(journal, by, reply);
    let counts = [0, 1].map(|number| count_in(&reply.data, number, query));
    judge.decade_read(journal, (client, by), (query, counts[0].or(counts[1])), reply);
    for (number, count) in counts.into_iter().enumerate() {
        if let Some(count) = count {
            judge.profile_read(journal, by, number, count, reply);
        }
    }
}

/// The count of a profile in a response: its description, or the ratio of its first two weights.
fn count_in(data: &Value, number: Number, query: &str) -> Option<u64> {
    let name = profile(number);
    if let Some(profiles) = data["profiles"].as_array() {
        return profiles.iter().find(|profile| profile["name"] == *name)?["description"].as_str()?.parse().ok();
    }
    let weights = &data["predictions"]["nodes"][0]["breakdown"];
    let [first, second] = [0, 1].map(|place| weights[place]["weight"].as_f64());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
    let ratio = (first? / second?).round() as u64;
    query.contains(&name).then_some(ratio)
}

/// Changes one profile again and again, on either instance, and looks for the change on both.
async fn mutate(shared: Arc<Shared>, number: Number, mut random: ChaCha8Rng) {
    let mut clients = shared.addresses.map(Client::of);
    // Identity and last change of the profile, as this client knows them.
    let mut known: Option<(String, String)> = None;
    for count in 1.. {
        let change = shared.changes.read().await;
        let instance = random.random_range(0..2);
        if count % INVALIDATION == 0 {
            invalidate(&shared, instance, &mut clients[instance]).await;
        }
        known = write_profile(&shared, instance, &mut clients[instance], known, number, count).await;
        if known.is_some() {
            for seen_by in [instance, 1 - instance] {
                see_profile(&shared, seen_by, &mut clients[seen_by], number, count).await;
            }
        }
        drop(change);
        sleep(Duration::from_millis(random.random_range(200..800))).await;
    }
}

async fn invalidate(shared: &Shared, instance: Number, client: &mut Client) {
    const ALL: &str = "mutation { invalidateCache(scope: { all: true }) { all } }";
    let (by, sent) = (shared.witness(instance), Instant::now());
    if client.execute(ALL, Value::Null, &shared.token).await.is_ok() {
        shared.judge.invalidated(sent, by);
    }
}

/// Writes the count to the profile; returns its identity and last change if that is certain. `expectedUpdatedAt` keeps a
/// mutation without a response from taking effect after a later one.
async fn write_profile(
    shared: &Shared,
    instance: Number,
    client: &mut Client,
    known: Option<(String, String)>,
    number: Number,
    count: u64,
) -> Option<(String, String)> {
    const UPDATE: &str = "mutation ($id: ID!, $input: ProfileInput!, $expected: DateTime) {
        updateProfile(id: $id, input: $input, expectedUpdatedAt: $expected) { id updatedAt } }";
    let identity =
        |profile: &Value| Some((profile["id"].as_str()?.to_owned(), profile["updatedAt"].as_str()?.to_owned()));
    let known = match known {
        Some(known) => known,
        None => {
            let reply = client.query("{ profiles { id name updatedAt } }").await.ok()?;
            let profiles = reply.data["profiles"].as_array()?;
            identity(profiles.iter().find(|found| found["name"] == *profile(number))?)?
        }
    };
    let input = input(number, count);
    let (by, sent) = (shared.witness(instance), Instant::now());
    let variables = json!({ "id": known.0, "input": input, "expected": known.1 });
    let reply = client.execute(UPDATE, variables, &shared.token).await.ok()?;
    shared.judge.profile_written(sent, by, number, count);
    identity(&reply.data["updateProfile"])
}

/// A profile that shows the count in its description and in its weights.
pub(super) fn input(number: Number, count: u64) -> Value {
    let weights = json!({ "popularOpinion": count, "criticalAcclaim": 1, "industryRecognition": 1, "culturalImpact": 1,
                          "peopleQuality": 1 });
    json!({ "name": profile(number), "description": count.to_string(), "weights": weights })
}

/// Reads the profile, and its ranking, until they show the count, for somewhat longer than is promised.
async fn see_profile(shared: &Shared, instance: Number, client: &mut Client, number: Number, count: u64) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        let mut seen = 0;
        for query in [PROFILES, RANKINGS[number]] {
            let by = shared.witness(instance);
            if let Ok(reply) = client.query(query).await
                && by == shared.witness(instance)
            {
                judge(shared, 4 + number, by, query, &reply);
                seen += u32::from(count_in(&reply.data, number, query) == Some(count));
            }
        }
        if seen == 2 {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What the host application does to its tables; `$1` is a random number.
const WRITES: [&str; 6] = [
    "UPDATE external_metrics SET value = value * 0.9 + $1 % 10 / 10.0
     WHERE id = (SELECT id FROM external_metrics WHERE metric_type = 'rating_average'
                 ORDER BY id OFFSET $1 % 3000 LIMIT 1)",
    "UPDATE movies SET canonical_sources = CASE WHEN canonical_sources ? '1001_movies'
         THEN canonical_sources - '1001_movies' ELSE canonical_sources || '{\"1001_movies\": {\"included\": true}}' END
     WHERE id = (SELECT id FROM movies WHERE release_date >= '1990-01-01' ORDER BY id OFFSET $1 % 700 LIMIT 1)",
    "UPDATE movies SET release_date = release_date + ($1 % 4000 - 2000)::integer
     WHERE id = (SELECT id FROM movies WHERE release_date BETWEEN '1985-01-01' AND '2015-01-01'
                 ORDER BY id OFFSET $1 % 700 LIMIT 1)",
    "UPDATE movies SET title = 'Gilded ' || $1 WHERE id = (SELECT id FROM movies ORDER BY id OFFSET $1 % 2000 LIMIT 1)",
    "UPDATE person_metrics SET score = $1 % 100
     WHERE id = (SELECT id FROM person_metrics WHERE metric_type = 'quality_score' ORDER BY id OFFSET $1 % 500 LIMIT 1)",
    "UPDATE movies SET import_status = CASE import_status WHEN 'full' THEN 'soft' ELSE 'full' END
     WHERE id = (SELECT id FROM movies WHERE release_date >= '2020-01-01' ORDER BY id OFFSET $1 % 180 LIMIT 1)",
];

/// The host application. Its writes never fail because of Cinegraph, whatever state that is in.
async fn write(shared: Arc<Shared>, mut random: ChaCha8Rng) {
    let mut connection = None;
    loop {
        let change = shared.changes.read().await;
        if connection.is_none() {
            connection = shared.connect().await;
        }
        if let Some(open) = &mut connection {
            let statement = WRITES[random.random_range(0..WRITES.len())];
            let number = random.random_range(0..1_000_000_i64);
            let written = timeout(PATIENCE, sqlx::query(statement).bind(number).execute(open)).await;
            if let Ok(Err(sqlx::Error::Database(error))) = &written
                // Class 57: the server is shutting down, or it was suspended for longer than the time limit.
                && error.code().is_some_and(|code| !code.starts_with("57"))
            {
                shared.journal.broken(Invariant::HostWrites, format_args!("{error}: {statement}"));
            }
            connection = connection.filter(|_| matches!(written, Ok(Ok(_))));
        }
        drop(change);
        sleep(Duration::from_millis(random.random_range(50..250))).await;
    }
}

/// Tells the judge what the database has.
async fn watch_versions(shared: Arc<Shared>) {
    const VERSIONS: &str = "SELECT decade::bigint, version FROM cinegraph.data_versions WHERE scope = 'scores'";
    const INTERVAL: Duration = Duration::from_millis(250);
    loop {
        let url = shared.database.lock().unwrap().clone();
        let mut connection = shared.connect().await;
        while let Some(open) = connection.as_mut().filter(|_| url == *shared.database.lock().unwrap()) {
            let began = Instant::now();
            match timeout(PATIENCE, sqlx::query_as(VERSIONS).fetch_all(open)).await {
                Ok(Ok(versions)) => shared.judge.database_has(began, versions.into_iter().collect()),
                _ => connection = None,
            }
            sleep(INTERVAL).await;
        }
        sleep(INTERVAL).await;
    }
}
