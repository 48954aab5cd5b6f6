// Lists a decade page by page, reads a movie from the cache, shows what an error says, and follows the top live.
import { gql } from "@urql/core";
import { connect } from "./client.mjs";

const PREDICTIONS = gql`
  query Predictions($decade: Int!, $profile: String, $after: String) {
    predictions(decade: $decade, profile: $profile, first: 5, after: $after) {
      edges { cursor node { id rank score movie { id title year } } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

const TOP = gql`
  subscription Top($decade: Int!) {
    predictionUpdates(decade: $decade, top: 3, initial: true) {
      kind
      prediction { id rank score movie { id title year } }
    }
  }
`;

const line = ({ rank, score, movie }) => `${rank}. ${movie.title} (${movie.year}), ${score.toFixed(1)}`;
const client = await connect(process.env.CINEGRAPH_URL ?? "http://127.0.0.1:8080");

async function predictions(variables, requestPolicy) {
  const { data, error } = await client.query(PREDICTIONS, variables, { requestPolicy }).toPromise();
  if (error) throw error;
  return data.predictions;
}

// Two pages, which the cache joins to one list.
const decade = 1990;
const { pageInfo } = await predictions({ decade });
await predictions({ decade, after: pageInfo.endCursor });
const { edges } = await predictions({ decade }, "cache-only");
console.log(`${edges.length} candidates of the 1990s:`);
edges.forEach(({ node }) => console.log(line(node)));

// What one query has loaded, another finds by its global ID.
const MOVIE = gql`query Movie($id: ID!) { node(id: $id) { ... on Movie { id title year } } }`;
const found = client.readQuery(MOVIE, { id: edges[9].node.movie.id });
console.log(`From the cache: ${found?.data.node.title}`);

// An error has a code to act on, and a message to show.
try {
  await predictions({ decade, profile: "Missing" });
} catch (error) {
  if (error.graphQLErrors.length === 0) throw error;
  error.graphQLErrors.forEach(({ extensions, message }) => console.log(`${extensions.code}: ${message}`));
}

// The current top as updates, then each change as it happens. The cache applies new ranks and scores to the lists itself.
let updates = 0;
await new Promise((resolve, reject) => {
  const { unsubscribe } = client.subscription(TOP, { decade }).subscribe(({ data, error }) => {
    if (error) return reject(error);
    console.log(`${data.predictionUpdates.kind} ${line(data.predictionUpdates.prediction)}`);
    if (++updates === 3) {
      unsubscribe();
      resolve();
    }
  });
});
