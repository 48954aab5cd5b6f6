//! Measures a subscription, as a client of the protocol `graphql-transport-ws`.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, bail};
use axum::http::header;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::cli::http_client::RESPONSE_TIMEOUT;
use crate::proof::Progressive;
use crate::scoring::Decade;

/// Number of movies of the measured subscription: as many as the original query returns.
const STREAMED: usize = 500;

/// Subscribes to `predictionStream`, and measures when its first and its last batch arrive. Times count from the
/// subscription, without the time to connect.
pub(super) async fn stream(address: SocketAddr, decade: Decade) -> anyhow::Result<Progressive> {
    let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
    let protocol = header::HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    let (mut socket, _) = tokio_tungstenite::client_async(request, TcpStream::connect(address).await?).await?;
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await?;
    // No profile has these weights, so no cache has the ranking.
    let query = format!(
        "subscription {{ predictionStream(decade: {}, limit: {STREAMED}, weights: {{popularOpinion: 7, \
         criticalAcclaim: 5, industryRecognition: 3, culturalImpact: 2, peopleQuality: 1}}) \
         {{ received predictions {{ rank score movie {{ title year }} }} }} }}",
        decade.year()
    );
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
    socket.send(Message::text(subscribe.to_string())).await?;
    let (started, mut received) = (Instant::now(), 0);
    let mut first = None;
    loop {
        let message = tokio::time::timeout(RESPONSE_TIMEOUT, socket.next()).await.context("no batch in time")?;
        let message = message.context("the service closed the subscription")??;
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text)?;
        match message["type"].as_str() {
            Some("next") => {
                // The number of movies in this batch and all earlier ones.
                let so_far = message["payload"]["data"]["predictionStream"]["received"].as_u64();
                received = usize::try_from(so_far.with_context(|| text.to_string())?)?;
                first.get_or_insert((received, started.elapsed().as_secs_f64()));
            }
            Some("complete") => break,
            Some("error") => bail!("the subscription failed: {text}"),
            _ => {}
        }
    }
    let (first_movies, first_seconds) = first.context("the subscription sent nothing")?;
    Ok(Progressive { first_movies, first_seconds, all_movies: received, all_seconds: started.elapsed().as_secs_f64() })
}
