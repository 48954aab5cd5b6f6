// Runs the reference audit of "GraphQL over HTTP" and prints results as lines of JSON: node client.mjs http://…/graphql
import { serverAudits } from "graphql-http";

const print = (result) => console.log(JSON.stringify(result));

for (const audit of serverAudits({ url: process.argv[2] })) {
  const { status, reason } = await audit.fn();
  print({ audit: { name: audit.name, status, reason } });
}
print({ done: true });
