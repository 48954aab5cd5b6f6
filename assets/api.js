// GraphQL by POST.

export class Refused extends Error {}

export async function ask(query, variables, signal) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  const { data, errors } = await response.json();
  if (errors?.length) throw new Refused(errors[0].message);
  return { data, stale: /detail=stale/.test(response.headers.get("cache-status") ?? "") };
}

const ROW = `rank score likelihood coverage source breakdown { contribution } movie { id title year genres { name } }`;
const TASTE = "$profile: String, $weights: WeightsInput, $list: String!, $decade: Int!";
const ASKED = "profile: $profile, weights: $weights, list: $list, decade: $decade";
const PAGE = `totalCount pageInfo { hasNextPage endCursor } nodes { ${ROW} }`;

export const QUESTIONS = {
  predictions: `query List(${TASTE}, $filter: PredictionFilter, $first: Int!, $after: String) {
    ranking: predictions(${ASKED}, filter: $filter, first: $first, after: $after) { ${PAGE} } }`,
  additions: `query Additions(${TASTE}, $first: Int!, $after: String) {
    ranking: confirmedAdditions(${ASKED}, first: $first, after: $after) { ${PAGE} } }`,
  stream: `subscription Stream(${TASTE}, $limit: Int!) {
    predictionStream(${ASKED}, limit: $limit, batchSize: 50) { predictions { ${ROW} } received total complete stale } }`,
  updates: `subscription Updates($profile: String, $list: String!, $decade: Int!, $top: Int!) {
    predictionUpdates(profile: $profile, list: $list, decade: $decade, top: $top) {
      kind previousRank prediction { ${ROW} } } }`,
};
