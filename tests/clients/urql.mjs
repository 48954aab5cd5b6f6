// The client of examples/urql pages through connections and prints results as lines of JSON, run in that directory:
// node - http://… '[["path to the connection", "query with $first and $after"], …]' '[sizes of pages]'
import { connect } from "./client.mjs";

const [address, lists, sizes] = [process.argv[2], ...process.argv.slice(3).map((text) => JSON.parse(text))];
// Without the type names that the client adds to its queries.
const withoutTypes = (key, value) => (key === "__typename" ? undefined : value);
const print = (result) => console.log(JSON.stringify(result, withoutTypes));

async function run(client, query, variables, requestPolicy) {
  const { data, error } = await client.query(query, variables, { requestPolicy }).toPromise();
  if (error) throw error;
  return data;
}

const warnings = [];
const logger = (severity, message) => severity !== "debug" && warnings.push(message);
const at = (data, path) => path.split("/").slice(1).reduce((value, name) => value?.[name], data);

for (const size of sizes) {
  const client = await connect(address, logger);
  const walked = [];
  for (const [path, query] of lists) {
    let page;
    do {
      const variables = { first: size, after: page?.pageInfo.endCursor };
      page = at(await run(client, query, variables, "cache-first"), path);
    } while (page.pageInfo.hasNextPage);
    walked.push(page.nodes);
  }

  // From the cache alone, each list is complete and separate, and movies are found by id.
  const [kept, found] = [[], []];
  for (const [path, query] of lists) {
    kept.push(at(await run(client, query, { first: size }, "cache-only"), path)?.nodes);
  }
  const one = "query ($id: ID!) { node(id: $id) { ... on Movie { id title } } }";
  for (const { movie } of walked[0]) {
    found.push((await run(client, one, { id: movie.id }, "cache-only"))?.node);
  }
  print({ size, walked, kept, found });
}
print({ warnings });
