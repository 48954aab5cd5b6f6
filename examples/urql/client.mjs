// The client: a normalised cache that joins pages, queries sent by their hash, subscriptions over a WebSocket.
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";
import { getIntrospectionQuery } from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

// What identifies an object that has no global ID. Objects without a key, such as a rating, belong to one parent.
const naturalKeys = {
  Country: ({ code }) => code ?? null,
  Genre: ({ name }) => name ?? null,
  MovieList: ({ key }) => key ?? null,
};

const named = (type) => type.name ?? named(type.ofType);

// The keys and the joined pages follow from the schema.
function cacheOf(schema, logger) {
  const keys = {};
  const resolvers = {};
  for (const { name, fields } of schema.__schema.types.filter(({ kind }) => kind === "OBJECT")) {
    if (!fields.some((field) => field.name === "id")) keys[name] = naturalKeys[name] ?? (() => null);
    const connections = fields.filter((field) => named(field.type).endsWith("Connection"));
    resolvers[name] = Object.fromEntries(connections.map((field) => [field.name, relayPagination()]));
  }
  // An object that another query has loaded is read from the cache, whichever of the types it is.
  const { possibleTypes } = schema.__schema.types.find(({ name }) => name === "Node");
  resolvers.Query.node = (parent, { id }, cache) =>
    possibleTypes.map(({ name }) => ({ __typename: name, id })).find((object) => cache.resolve(object, "id"));
  return cacheExchange({ schema, keys, resolvers, logger });
}

// An application reads the schema when it is built: @urql/introspection makes it small.
async function schemaOf(url) {
  const client = new Client({ url, exchanges: [fetchExchange] });
  const { data, error } = await client.query(getIntrospectionQuery(), {}).toPromise();
  if (error) throw error;
  return data;
}

export async function connect(address, logger) {
  const url = `${address}/graphql`;
  // Browsers, and Node 22, have WebSocket themselves.
  const socket = createClient({ url: `${url.replace(/^http/, "ws")}/ws`, webSocketImpl: WebSocket });
  const exchanges = [
    cacheOf(await schemaOf(url), logger),
    // By GET, so that the browser keeps responses. With no-cache it revalidates them by ETag (304).
    persistedExchange({ preferGetForPersistedQueries: true }),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({ subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }) }),
    }),
  ];
  return new Client({ url, exchanges, fetchOptions: { cache: "no-cache" } });
}
