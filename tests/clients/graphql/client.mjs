// What a frontend with a normalised cache does with lists that load more, told line by line as JSON:
// node client.mjs http://…/graphql '[["path to the connection", "query with $first and $after"], …]' '[sizes of pages]'
import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { getIntrospectionQuery } from "graphql";

const [url, lists, sizes] = [process.argv[2], ...process.argv.slice(3).map((text) => JSON.parse(text))];
// The client adds type names to what it asks for.
const tell = (what) => console.log(JSON.stringify(what, (key, value) => (key === "__typename" ? undefined : value)));

const named = (type) => type.name ?? named(type.ofType);
const schema = (await new Client({ url, exchanges: [fetchExchange], preferGetMethod: false })
  .query(getIntrospectionQuery()).toPromise()).data;
const objects = schema.__schema.types.filter(({ kind, name }) => kind === "OBJECT" && !name.startsWith("__"));
const isConnection = (field) => named(field.type).endsWith("Connection");

// Of the schema alone: pages of a connection are joined, an object with an id is kept once, any other where it is found.
const warnings = [];
const cache = () => cacheExchange({
  schema,
  keys: Object.fromEntries(
    objects.filter(({ fields }) => !fields.some(({ name }) => name === "id")).map(({ name }) => [name, () => null]),
  ),
  resolvers: Object.fromEntries(objects.map(({ name, fields }) => [
    name,
    Object.fromEntries(fields.filter(isConnection).map((field) => [field.name, relayPagination()])),
  ])),
  logger: (severity, message) => severity !== "debug" && warnings.push(message),
});

for (const size of sizes) {
  const client = new Client({ url, exchanges: [cache(), fetchExchange], preferGetMethod: false });
  const ask = async (query, variables, requestPolicy) => {
    const { data, error } = await client.query(query, variables, { requestPolicy }).toPromise();
    if (error) throw error;
    return data;
  };
  const at = (data, path) => path.split("/").slice(1).reduce((value, name) => value?.[name], data);

  const walked = [];
  for (const [path, query] of lists) {
    let page;
    do {
      const variables = { first: size, after: page?.pageInfo.endCursor };
      page = at(await ask(query, variables, "cache-first"), path);
    } while (page.pageInfo.hasNextPage);
    walked.push(page.nodes);
  }
  // With everything in one cache, each list is still its own, and nothing has to be asked for again.
  const kept = [];
  for (const [path, query] of lists) {
    kept.push(at(await ask(query, { first: size }, "cache-only"), path)?.nodes);
  }
  tell({ size, walked, kept });
}
tell({ warnings });
