//! Subscribers: each keeps a list by the documented recipe, from the events of one subscription.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::actors::Shared;
use super::faults::Number;

/// The changes of the list that [`super::actors::TOP`] returns.
const CHANGES: &str = "subscription { predictionUpdates(decade: 2020, top: 50, initial: true) {
                           kind prediction { id rank score } } }";

/// Time limit of a connection attempt.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service pings an idle client after 20 s; without two pings the connection is lost.
const SILENCE: Duration = Duration::from_secs(45);

/// Rank and score, by the ID of the prediction.
pub(super) type Ranking = BTreeMap<String, (u64, f64)>;

/// Keeps a list by the documented recipe; starts again if the subscription ends.
pub(super) async fn follow(shared: Arc<Shared>, instance: Number) {
    loop {
        shared.followed[instance].lock().unwrap().clear();
        let _ = follow_once(&shared, instance).await;
        sleep(Duration::from_millis(500)).await;
    }
}

async fn follow_once(shared: &Shared, instance: Number) -> Result<(), Error> {
    let mut request = format!("ws://{}/graphql/ws", shared.addresses[instance]).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let connected = timeout(PATIENCE, connect_async(request)).await;
    let (mut socket, _) = connected.map_err(|_| Error::ConnectionClosed)??;
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await?;
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": CHANGES } });
    while let Some(message) = timeout(SILENCE, socket.next()).await.map_err(|_| Error::ConnectionClosed)? {
        let Message::Text(text) = message? else { continue };
        let message: Value = serde_json::from_str(&text).unwrap_or_default();
        match message["type"].as_str() {
            Some("next") => apply(&mut shared.followed[instance].lock().unwrap(), &message["payload"]["data"]),
            Some("connection_ack") => socket.send(Message::text(subscribe.to_string())).await?,
            Some("error" | "complete") => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

/// Removes a movie that left, inserts or replaces any other.
fn apply(ranking: &mut Ranking, data: &Value) {
    let update = &data["predictionUpdates"];
    let prediction = &update["prediction"];
    let id = prediction["id"].as_str().unwrap_or_default();
    if update["kind"] == "LEFT" {
        ranking.remove(id);
    } else if let (Some(rank), Some(score)) = (prediction["rank"].as_u64(), prediction["score"].as_f64()) {
        ranking.insert(id.to_owned(), (rank, score));
    }
}
