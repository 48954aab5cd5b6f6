//! A client that only applies the updates of `predictionUpdates` ends with the list that `predictions` returns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cinegraph::services::drain::Drain;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;

use crate::support::{Movie, Socket, TestService, until};

/// Movies at the start.
const MOVIES: u32 = 60;

/// Most movies that there ever are.
const MOVIES_MAX: u32 = 90;

/// What a client follows: the arguments of the list, and how many of its movies.
const LISTS: [(&str, usize); 6] = [
    ("decade: 1990", 1),
    ("decade: 1990", 7),
    ("decade: 1990, profile: \"Cult Classic\"", 25),
    ("decade: 1990, list: \"other\"", 100),
    ("decade: 2000", 10),
    ("decade: 1950", 5),
];

/// Writes of a host application; `:id` is a movie, `:n` a number from 0 to 9.
const WRITES: [&str; 9] = [
    "UPDATE external_metrics SET value = :n + 0.5 WHERE movie_id = :id AND metric_type = 'rating_average'",
    "UPDATE external_metrics SET value = value * 0.9 WHERE movie_id % 10 = :n",
    "UPDATE movies SET canonical_sources = '{\"1001_movies\": {}}' WHERE id = :id",
    "UPDATE movies SET canonical_sources = '{\"other\": {}, \"more\": {}}' WHERE id = :id",
    "UPDATE movies SET canonical_sources = '{}' WHERE id IN (:id, :id + 1)",
    "UPDATE movies SET release_date = make_date(1988 + 2 * :n, 6, 1) WHERE id = :id",
    "UPDATE movies SET import_status = CASE WHEN :n > 4 THEN 'full' ELSE 'soft' END WHERE id = :id",
    "INSERT INTO movies (tmdb_id, title, release_date, import_status, inserted_at, updated_at)
     SELECT max(tmdb_id) + 1, 'New', '1994-01-01', 'full', now(), now() FROM movies HAVING count(*) < 90",
    "DELETE FROM movies WHERE id = :id AND :n = 0",
];

/// A movie's rank and score by its id.
type List = BTreeMap<String, (u64, String)>;

/// A client: its list, and what was wrong with the updates that it got.
#[derive(Default)]
struct Client {
    list: List,
    wrong: Vec<String>,
}

impl Client {
    /// Applies an update as docs/API.md describes it.
    fn apply(&mut self, update: &Value) {
        let prediction = &update["prediction"];
        let id = prediction["id"].as_str().unwrap().to_owned();
        let before = match update["kind"].as_str().unwrap() {
            "LEFT" => self.list.remove(&id),
            _ => self.list.insert(id, (prediction["rank"].as_u64().unwrap(), prediction["score"].to_string())),
        };
        // No update may be missing, repeated, or about another list than the one before it.
        let expected = update["previousRank"].as_u64();
        if before.as_ref().map(|(rank, _)| *rank) != expected || (update["kind"] == "ENTERED") != before.is_none() {
            self.wrong.push(format!("{before:?} before {update}"));
        }
    }
}

/// Follows a list until `stop`, over a new connection after a random number of updates.
async fn follow(
    address: SocketAddr,
    arguments: String,
    client: Arc<Mutex<Client>>,
    mut random: ChaCha8Rng,
    stop: CancellationToken,
) {
    let query = format!(
        "subscription {{ predictionUpdates({arguments}, initial: true) {{ kind previousRank dataVersion prediction {{ id rank score }} }} }}"
    );
    loop {
        let mut socket = Socket::open(address).await;
        client.lock().unwrap().list.clear();
        socket.subscribe("1", &query).await;
        // The longest list, which is sent first, has to fit.
        for _ in 0..random.random_range(MOVIES_MAX..3 * MOVIES_MAX) {
            let Some(message) = stop.run_until_cancelled(socket.message()).await else { return };
            client.lock().unwrap().apply(&message["payload"]["data"]["predictionUpdates"]);
        }
    }
}

/// The list as `predictions` returns it.
async fn predictions(service: &TestService, arguments: &str, top: usize) -> List {
    let query = format!("{{ predictions({arguments}, first: {top}) {{ nodes {{ id rank score }} }} }}");
    let nodes = service.data(&query).await["predictions"]["nodes"].take();
    let entry = |node: &Value| {
        (node["id"].as_str().unwrap().to_owned(), (node["rank"].as_u64().unwrap(), node["score"].to_string()))
    };
    nodes.as_array().unwrap().iter().map(entry).collect()
}

/// Writes at random while the drain runs.
async fn write(service: &TestService, random: &mut ChaCha8Rng) {
    let mut drain = Drain::of(&service.store);
    for _ in 0..30 {
        let id = random.random_range(1..=MOVIES).to_string();
        let n = random.random_range(0..10).to_string();
        let statement = WRITES[random.random_range(0..WRITES.len())].replace(":id", &id).replace(":n", &n);
        sqlx::query(AssertSqlSafe(statement)).execute(&service.pool).await.unwrap();
        if random.random_range(0..3) == 0 {
            drain.step().await.unwrap();
        }
    }
    drain.run().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_client_that_applies_updates_has_the_list_of_the_query(pool: PgPool) {
    let service = TestService::on(pool).await;
    for number in 0..MOVIES {
        let year = if number % 3 == 0 { 2000 } else { 1990 } + number % 10;
        let rating = f64::from(number % 13) / 2.0 + 3.0;
        Movie::new("Movie").released(&format!("{year}-05-01")).rated(rating, rating).insert(&service.pool).await;
    }
    sqlx::query("UPDATE movies SET canonical_sources = '{\"other\": {}}' WHERE id = 1")
        .execute(&service.pool)
        .await
        .unwrap();
    Drain::of(&service.store).run().await.unwrap();
    service.see_changes().await;
    service.follow_versions();
    let address = service.listen().await;
    for seed in 0..3 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let stop = CancellationToken::new();
        let clients = LISTS.map(|(arguments, top)| {
            let client = Arc::new(Mutex::new(Client::default()));
            let arguments = format!("{arguments}, top: {top}");
            let random = ChaCha8Rng::seed_from_u64(random.random());
            tokio::spawn(follow(address, arguments, Arc::clone(&client), random, stop.clone()));
            client
        });

        for round in 0..5 {
            write(&service, &mut random).await;
            service.see_changes().await;
            // Beyond every cached response.
            service.later(chrono::TimeDelta::days(1));
            for ((arguments, top), client) in LISTS.into_iter().zip(&clients) {
                let expected = predictions(&service, arguments, top).await;
                let is_equal = async || client.lock().unwrap().list == expected;
                until(&format!("the client of {arguments} has the list, seed {seed}, round {round}"), is_equal).await;
                let wrong = std::mem::take(&mut client.lock().unwrap().wrong);
                assert!(wrong.is_empty(), "{arguments}, seed {seed}, round {round}: {wrong:#?}");
            }
        }
        stop.cancel();
    }
}

#[sqlx::test(migrations = false)]
async fn the_current_list_is_sent_first_at_one_version(pool: PgPool) {
    let service = TestService::on(pool).await;
    for (title, rating) in [("A", 9.0), ("B", 8.0), ("C", 7.0)] {
        Movie::new(title).released("1994-05-01").rated(rating, rating).insert(&service.pool).await;
    }
    service.refresh().await;
    service.follow_versions();
    let version =
        service.data("{ predictions(decade: 1990) { dataVersion } }").await["predictions"]["dataVersion"].take();
    let mut socket = Socket::open(service.listen().await).await;
    let query = "subscription { predictionUpdates(decade: 1990, top: 2, initial: true)
                 { kind previousRank dataVersion prediction { rank movie { title } } } }";
    socket.subscribe("1", query).await;

    for (rank, title) in [(1, "A"), (2, "B")] {
        let update = json!({ "kind": "ENTERED", "previousRank": null, "dataVersion": version,
                             "prediction": { "rank": rank, "movie": { "title": title } } });
        assert_eq!(socket.next("1").await["data"]["predictionUpdates"], update);
    }

    let change = "UPDATE external_metrics SET value = 10 WHERE movie_id = (SELECT id FROM movies WHERE title = 'C')";
    sqlx::query(change).execute(&service.pool).await.unwrap();
    Drain::of(&service.store).run().await.unwrap();
    let update = socket.next("1").await["data"]["predictionUpdates"].take();
    assert_eq!((&update["kind"], &update["previousRank"]), (&json!("LEFT"), &json!(2)));
    assert!(update["dataVersion"].as_i64() > version.as_i64());
}
