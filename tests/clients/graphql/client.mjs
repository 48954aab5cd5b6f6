// What a frontend with a normalised cache does with lists that load more, told line by line as JSON:
// node client.mjs http://…/graphql '[["path to the connection", "query with $first and $after"], …]' '[sizes of pages]'
import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { getIntrospectionQuery } from "graphql";

const [url, lists, sizes] = [process.argv[2], ...process.argv.slice(3).map((text) => JSON.parse(text))];
// The client adds type names to what it asks for.
const tell = (what) => console.log(JSON.stringify(what, (key, value) => (key === "__typename" ? undefined : value)));

async function ask(client, query, variables, requestPolicy) {
  const { data, error } = await client.query(query, variables, { requestPolicy }).toPromise();
  if (error) throw error;
  return data;
}

const named = (type) => type.name ?? named(type.ofType);
const schema = await ask(new Client({ url, exchanges: [fetchExchange], preferGetMethod: false }), getIntrospectionQuery());
const objects = schema.__schema.types.filter(({ kind, name }) => kind === "OBJECT" && !name.startsWith("__"));

// Of the schema alone: pages of a connection are joined, an object with an id is kept once, any other where it is found.
const keys = {};
const resolvers = {};
for (const { name, fields } of objects) {
  if (!fields.some((field) => field.name === "id")) keys[name] = () => null;
  const connections = fields.filter((field) => named(field.type).endsWith("Connection"));
  resolvers[name] = Object.fromEntries(connections.map((field) => [field.name, relayPagination()]));
}
resolvers.Query.node = (parent, { id }) => ({ __typename: "Movie", id });

const warnings = [];
const logger = (severity, message) => severity !== "debug" && warnings.push(message);
const at = (data, path) => path.split("/").slice(1).reduce((value, name) => value?.[name], data);

for (const size of sizes) {
  const exchanges = [cacheExchange({ schema, keys, resolvers, logger }), fetchExchange];
  const client = new Client({ url, exchanges, preferGetMethod: false });
  const walked = [];
  for (const [path, query] of lists) {
    let page;
    do {
      const variables = { first: size, after: page?.pageInfo.endCursor };
      page = at(await ask(client, query, variables, "cache-first"), path);
    } while (page.pageInfo.hasNextPage);
    walked.push(page.nodes);
  }

  // With everything in one cache each list is still its own, movies are found by id, and nothing is asked for again.
  const [kept, found] = [[], []];
  for (const [path, query] of lists) {
    kept.push(at(await ask(client, query, { first: size }, "cache-only"), path)?.nodes);
  }
  const one = "query ($id: ID!) { node(id: $id) { ... on Movie { id title } } }";
  for (const { movie } of walked[0]) {
    found.push((await ask(client, one, { id: movie.id }, "cache-only"))?.node);
  }
  tell({ size, walked, kept, found });
}
tell({ warnings });
