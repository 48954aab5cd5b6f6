//! Cost of telemetry: throughput of cached responses with telemetry off, and with increasing levels of it.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;

use super::cached::{median, pages, script, wrk};
use super::harness::{Server, catalogue};

/// Prints cached responses per second on a catalogue of `movies`, by level of metrics, traces and logs.
pub(crate) fn measure(runtime: &tokio::runtime::Runtime, url: &str, movies: u32) -> Result<()> {
    let database = runtime.block_on(catalogue(url, movies))?;
    let collector = format!("http://{}", runtime.block_on(collector())?);
    let (unmeasured, quiet) = (("CINEGRAPH_METRICS_ENABLED", "false"), ("CINEGRAPH_LOG_FILTER", "off"));
    let untraced = ("OTEL_SDK_DISABLED", "true");
    let (sent, sampler) =
        (("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()), ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"));
    let sampled = |share| [sent, sampler, ("OTEL_TRACES_SAMPLER_ARG", share)];
    let otlp =
        [("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_METRIC_EXPORT_INTERVAL", "2000"), ("OTEL_LOGS_EXPORTER", "otlp")];
    let kinds: [(&str, Vec<(&str, &str)>); 7] = [
        ("off", vec![unmeasured, untraced, quiet]),
        ("metrics", vec![untraced, quiet]),
        ("metrics, traces of 1 %", [&sampled("0.01")[..], &[quiet]].concat()),
        ("metrics, log", vec![untraced]),
        ("metrics, log, traces of 1 %", sampled("0.01").to_vec()),
        ("metrics, log, traces of 100 %", sampled("1").to_vec()),
        ("metrics, log, traces of 1 %, all of it by OTLP", [&sampled("0.01")[..], &otlp].concat()),
    ];
    let (mut servers, mut requests) = (Vec::new(), Vec::new());
    for (name, settings) in kinds {
        let server = Server::start(&database, &settings)?;
        requests = pages(&server)?.into_iter().map(|(request, _)| request).collect();
        servers.push((name, server, Vec::new()));
    }
    let script = script(&requests)?;
    // Alternating, because the machine is shared: each level is compared with "off" of the same round.
    for _ in 0..5 {
        for (_, server, rates) in &mut servers {
            rates.push(wrk(server.address, &script, 32)?.rate);
        }
    }
    println!("\n## Cost of telemetry: cached responses, {movies} movies, 32 connections\n");
    println!("| telemetry | requests/s, median | ratio to off, median |");
    println!("|---|---|---|");
    let off = servers[0].2.clone();
    for (name, _, rates) in servers {
        let shares = rates.iter().zip(&off).map(|(rate, off)| rate / off).collect();
        println!("| {name} | {:.0} | {:.2} |", median(rates), median(shares));
    }
    Ok(())
}

/// Accepts all telemetry and discards it.
async fn collector() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(|_: Bytes| async {})).await });
    Ok(address)
}
