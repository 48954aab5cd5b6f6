// The environment: queries by POST, subscriptions over a WebSocket. The store needs no configuration.
const { Environment, Network, Observable, RecordSource, Store } = require("relay-runtime");
const { createClient } = require("graphql-ws");
const WebSocket = require("ws");

exports.connect = (address) => {
  const url = `${address}/graphql`;
  // Browsers, and Node 22, have WebSocket themselves.
  const socket = createClient({ url: `${url.replace(/^http/, "ws")}/ws`, webSocketImpl: WebSocket });

  const fetchQuery = async ({ text: query }, variables) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { accept: "application/graphql-response+json", "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    return response.json();
  };
  const subscribe = ({ text: query }, variables) =>
    Observable.create((sink) => socket.subscribe({ query, variables }, sink));

  return new Environment({ network: Network.create(fetchQuery, subscribe), store: new Store(new RecordSource()) });
};
