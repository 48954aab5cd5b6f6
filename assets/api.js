// GraphQL over HTTP POST, and the operations of the scripts.

// The response contains a GraphQL error.
export class GraphqlError extends Error {}

// Executes an operation. Returns its data and whether they are stale.
export async function execute(query, variables, signal) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  const { data, errors } = await response.json();
  if (errors?.length) throw new GraphqlError(errors[0].message);
  return { data, stale: /detail=stale/.test(response.headers.get("cache-status") ?? "") };
}

const ROW = `rank score likelihood coverage source breakdown { contribution } movie { id title year genres { name } }`;
const PARAMS = "$profile: String, $weights: WeightsInput, $list: String!, $decade: Int!";
const ARGS = "profile: $profile, weights: $weights, list: $list, decade: $decade";
const PAGE = `totalCount pageInfo { hasNextPage endCursor } nodes { ${ROW} }`;

export const OPERATIONS = {
  origin: "query Origin { dataOrigin }",
  predictions: `query List(${PARAMS}, $filter: PredictionFilter, $first: Int!, $after: String) {
    ranking: predictions(${ARGS}, filter: $filter, first: $first, after: $after) { ${PAGE} } }`,
  additions: `query Additions(${PARAMS}, $first: Int!, $after: String) {
    ranking: confirmedAdditions(${ARGS}, first: $first, after: $after) { ${PAGE} } }`,
  stream: `subscription Stream(${PARAMS}, $limit: Int!) {
    predictionStream(${ARGS}, limit: $limit, batchSize: 50) { predictions { ${ROW} } received total complete stale } }`,
  updates: `subscription Updates($profile: String, $list: String!, $decade: Int!, $top: Int!) {
    predictionUpdates(profile: $profile, list: $list, decade: $decade, top: $top) {
      kind previousRank prediction { ${ROW} } } }`,
};
