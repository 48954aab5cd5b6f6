// What a frontend does over a WebSocket, told line by line as JSON: node client.mjs ws://…/graphql/ws
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const tell = (what) => console.log(JSON.stringify(what));

const client = createClient({
  url: process.argv[2],
  webSocketImpl: WebSocket,
  lazy: false,
  retryAttempts: 0,
  on: {
    connected: () => tell({ connected: true }),
    closed: (event) => tell({ closed: { code: event.code, reason: event.reason, clean: event.wasClean } }),
    // Pings and pongs of the protocol are the client's own here: the server's are WebSocket frames.
    pong: (received) => received && tell({ pong: true }),
  },
  onNonLazyError: () => {},
  keepAlive: 100,
});

// Everything that one operation says, in order.
async function all(query) {
  const said = [];
  try {
    for await (const result of client.iterate({ query })) said.push(result);
  } catch (errors) {
    said.push({ refused: errors.map?.((error) => error.extensions.code) ?? String(errors) });
  }
  return said;
}

tell({ query: await all("{ predictions(decade: 1990, first: 2) { nodes { rank movie { title } } } }") });
tell({
  stream: await all(
    "subscription { predictionStream(decade: 1990, batchSize: 2) { received total complete predictions { rank movie { title } } } }",
  ),
});
tell({ refused: await all("subscription { predictionStream(limit: 0) { total } }") });

// The first change, then no more: leaving the loop completes the subscription.
const query = "subscription { predictionUpdates(decade: 1990, top: 1) { kind previousRank prediction { rank movie { title } } } }";
for await (const result of client.iterate({ query })) {
  tell({ update: result });
  break;
}
// The connection stays open until the service stops.
