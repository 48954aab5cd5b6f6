//! Subscriptions: latency of the first batch, and from a changed rating to its update.

use std::env;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::harness::{Server, Times, catalogue, cinegraph, text};

/// Measurements of each kind.
const ROUNDS: usize = 20;

/// Far above the budget of a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time for cache warming, the drain and a new subscription to become idle.
const SETTLED: Duration = Duration::from_secs(10);

const STREAM: &str =
    "subscription { predictionStream { received complete predictions { rank score movie { title } } } }";
const UPDATES: &str = "subscription { predictionUpdates { kind previousRank prediction { rank movie { tmdbId } } } }";
const BEST: &str = "{ predictions(first: 100) { nodes { movie { tmdbId } } } }";

/// Measures on a catalogue of `movies`, or on the database in SUBSCRIPTIONS_DATABASE.
pub(crate) async fn measure(url: &str, movies: u32) -> Result<()> {
    let database = match env::var("SUBSCRIPTIONS_DATABASE") {
        Ok(database) => {
            cinegraph(&database, &["migrate"])?;
            database
        }
        Err(_) => catalogue(url, movies).await?,
    };
    let mut connection = PgConnection::connect(&database).await?;
    let movies: i64 = sqlx::query_scalar("SELECT count(*) FROM movies").fetch_one(&mut connection).await?;
    let server = Server::start(&database, &[])?;
    let best = server.client()?.query(BEST)?.1["predictions"]["nodes"].take();
    sleep(SETTLED).await;

    println!("\n## Subscriptions, {movies} movies\n\n| what | median | worst | budget |\n|---|---|---|---|");
    let budgeted = |what: &str, times: Times, budget: &str| {
        println!("| {what} | {} | {} | {budget} |", text(times.median), text(times.worst));
    };
    let first = first_batches(server.address).await?;
    budgeted("predictionStream: from `subscribe` to the first batch of 25, cached", first, "50 ms");
    let updates = changes(server.address, &mut connection, &best).await?;
    budgeted("predictionUpdates: from the commit of a rating to `next`", updates, "1 s");
    Ok(())
}

/// From `subscribe` to the first batch; each stream is read to its end.
async fn first_batches(address: SocketAddr) -> Result<Times> {
    let mut socket = Socket::open(address).await?;
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        socket.subscribe(STREAM).await?;
        let first = socket.next().await?.context("no batch")?;
        taken.push(started.elapsed());
        ensure!(first["predictionStream"]["received"] == 25, "{first}");
        while socket.next().await?.is_some() {}
    }
    Ok(Times::of(taken))
}

/// From the commit of a changed rating of a top movie to its update.
async fn changes(address: SocketAddr, connection: &mut PgConnection, best: &Value) -> Result<Times> {
    let mut socket = Socket::open(address).await?;
    socket.subscribe(UPDATES).await?;
    socket.quiet(SETTLED).await?;
    let mut taken = Vec::new();
    for movie in best.as_array().context("no movies")? {
        let id = &movie["movie"]["tmdbId"];
        let mut transaction = connection.begin().await?;
        // Small, so that about the same movies stay at the top.
        let rated = sqlx::query(
            "UPDATE external_metrics SET value = value + CASE WHEN value > 5 THEN -0.01 ELSE 0.01 END
             WHERE source = 'imdb' AND metric_type = 'rating_average'
               AND movie_id = (SELECT id FROM movies WHERE tmdb_id = $1)",
        );
        if rated.bind(id.as_i64()).execute(&mut *transaction).await?.rows_affected() == 0 {
            continue;
        }
        let committed = Instant::now();
        transaction.commit().await?;
        while socket.next().await?.context("the subscription ended")?["predictionUpdates"]["prediction"]["movie"]["tmdbId"]
            != *id
        {}
        taken.push(committed.elapsed());
        if taken.len() == ROUNDS {
            return Ok(Times::of(taken));
        }
        // The drain polls at a fixed interval: commit at a different phase of it each time.
        socket.quiet(Duration::from_millis(700 + 37 * u64::try_from(taken.len())?)).await?;
    }
    bail!("only {} of the top movies have a rating to change", taken.len())
}

/// A WebSocket with one operation at a time.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(address: SocketAddr) -> Result<Self> {
        let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let mut socket = Self(connect_async(request).await?.0);
        socket.send_json(json!({ "type": "connection_init" })).await?;
        let ack = socket.receive().await?;
        ensure!(ack["type"] == "connection_ack", "{ack}");
        Ok(socket)
    }

    async fn subscribe(&mut self, query: &str) -> Result<()> {
        self.send_json(json!({ "id": "1", "type": "subscribe", "payload": { "query": query } })).await
    }

    /// The next result; `None` when the operation is complete.
    async fn next(&mut self) -> Result<Option<Value>> {
        let mut message = self.receive().await?;
        let failed = message["payload"].get("errors").is_some();
        match message["type"].as_str() {
            Some("next") if !failed => Ok(Some(message["payload"]["data"].take())),
            Some("complete") => Ok(None),
            _ => bail!("{message}"),
        }
    }

    /// Discards messages for this long.
    async fn quiet(&mut self, time: Duration) -> Result<()> {
        match timeout(time, async {
            while self.next().await?.is_some() {}
            anyhow::Ok(())
        })
        .await
        {
            Ok(ended) => ended.and_then(|()| bail!("the subscription ended")),
            Err(_) => Ok(()),
        }
    }

    async fn send_json(&mut self, message: Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    async fn receive(&mut self) -> Result<Value> {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.context("no message in time")?;
            if let Message::Text(text) = message.context("the service closed the connection")?? {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    }
}
