// The reference audit of "GraphQL over HTTP", told line by line as JSON: node client.mjs http://…/graphql
import { serverAudits } from "graphql-http";

const tell = (what) => console.log(JSON.stringify(what));

for (const audit of serverAudits({ url: process.argv[2] })) {
  const { status, reason } = await audit.fn();
  tell({ audit: { name: audit.name, status, reason } });
}
tell({ done: true });
