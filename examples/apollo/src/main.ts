// Lists a decade page by page, shows what an error says, and follows the top live.
import { CombinedGraphQLErrors } from "@apollo/client";
import { take } from "rxjs";
import { connect } from "./client.js";
import { graphql } from "./gql/index.js";

const PREDICTIONS = graphql(`
  query Predictions($decade: Int!, $profile: String, $after: String) {
    predictions(decade: $decade, profile: $profile, first: 5, after: $after) {
      totalCount
      edges { node { id rank score movie { id title year } } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

const TOP = graphql(`
  subscription Top($decade: Int!) {
    predictionUpdates(decade: $decade, top: 3, initial: true) {
      kind
      prediction { id rank score movie { id title year } }
    }
  }
`);

type Prediction = { rank: number | null; score: number; movie: { title: string; year: number | null } };
const line = ({ rank, score, movie }: Prediction) => `${rank}. ${movie.title} (${movie.year}), ${score.toFixed(1)}`;

const client = connect(process.env.CINEGRAPH_URL ?? "http://127.0.0.1:8080");
const variables = { decade: 1990 };

// Two pages, which the cache joins to one list.
const list = client.watchQuery({ query: PREDICTIONS, variables });
list.subscribe(() => {});
let page = await client.query({ query: PREDICTIONS, variables });
await list.fetchMore({ variables: { after: page.data?.predictions.pageInfo.endCursor } });
const { totalCount, edges } = client.readQuery({ query: PREDICTIONS, variables })!.predictions;
console.log(`${edges.length} of the ${totalCount} candidates of the 1990s:`);
edges.forEach(({ node }) => console.log(line(node)));

// An error has a code to act on, and a message to show.
try {
  await client.query({ query: PREDICTIONS, variables: { ...variables, profile: "Missing" } });
} catch (error) {
  if (!CombinedGraphQLErrors.is(error)) throw error;
  error.errors.forEach(({ extensions, message }) => console.log(`${extensions?.code}: ${message}`));
}

// The current top as updates, then each change as it happens. The cache applies new ranks and scores to the lists itself.
const updates = client.subscribe({ query: TOP, variables }).pipe(take(3));
await updates.forEach(({ data }) => {
  const { kind, prediction } = data!.predictionUpdates;
  console.log(`${kind} ${line(prediction)}`);
});
client.stop();
