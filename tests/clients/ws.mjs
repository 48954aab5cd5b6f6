// Runs operations over a WebSocket and prints results as lines of JSON: node - ws://…/graphql/ws
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const print = (result) => console.log(JSON.stringify(result));

const client = createClient({
  url: process.argv[2],
  webSocketImpl: WebSocket,
  lazy: false,
  retryAttempts: 0,
  on: {
    connected: () => print({ connected: true }),
    closed: (event) => print({ closed: { code: event.code, reason: event.reason, clean: event.wasClean } }),
    // Only replies to the client's own pings: the server pings by WebSocket frames.
    pong: (received) => received && print({ pong: true }),
  },
  onNonLazyError: () => {},
  keepAlive: 100,
});

// All results of an operation, in order.
async function all(query) {
  const results = [];
  try {
    for await (const result of client.iterate({ query })) results.push(result);
  } catch (errors) {
    results.push({ refused: errors.map?.((error) => error.extensions.code) ?? String(errors) });
  }
  return results;
}

print({ query: await all("{ predictions(decade: 1990, first: 2) { nodes { rank movie { title } } } }") });
print({
  stream: await all(
    "subscription { predictionStream(decade: 1990, batchSize: 2) { received total complete predictions { rank movie { title } } } }",
  ),
});
print({ refused: await all("subscription { predictionStream(limit: 0) { total } }") });

// Leaving the loop after the first update completes the subscription.
const query = "subscription { predictionUpdates(decade: 1990, top: 1) { kind previousRank prediction { rank movie { title } } } }";
for await (const result of client.iterate({ query })) {
  print({ update: result });
  break;
}
// The connection stays open until the service stops.
