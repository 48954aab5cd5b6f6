// GraphQL over HTTP POST, and the operations of the scripts.

const TIMEOUT = 15000; // Milliseconds. A server that is stopped accepts connections and never responds.
const REFUSALS = ["BAD_USER_INPUT", "NOT_FOUND", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"];

// The server rejected the request itself: the same request would fail again.
export class Refused extends Error {}

// The server responded, but cannot serve the request now. `retryAfter` is in seconds, if the server named them.
export class Unavailable extends Error {
  constructor(message, retryAfter) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

// A signal that aborts a request that takes too long, or with `signal`.
export const inTime = (signal) => AbortSignal.any([AbortSignal.timeout(TIMEOUT), ...(signal ? [signal] : [])]);

// Executes an operation. Returns its data and whether they are stale. Throws what `fetch` throws if there is no response.
export async function execute(query, variables, signal = null) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
    signal: inTime(signal),
  });
  // A proxy in front of the service has error pages of its own.
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  if (!isJson) throw new Unavailable(response.statusText, Number(response.headers.get("retry-after")));
  const { data, errors } = await response.json();
  // A list without hit rates is better than none.
  const failed = errors?.find(({ path }) => !path?.includes("historicalHitRate"));
  if (failed) {
    const { message, extensions: { code, retryAfter } = {} } = failed;
    throw REFUSALS.includes(code) ? new Refused(message) : new Unavailable(message, retryAfter);
  }
  return { data, stale: /detail=stale/.test(response.headers.get("cache-status") ?? "") };
}

const ROW = `rank score coverage source breakdown { contribution }
  historicalHitRate { firstRank lastRank movies listed rate }
  probability knownGroups totalGroups reasons { points sentence }
  movie { id slug title year genres { name } directors { name } posterUrl(size: W92) }`;
const PARAMS = "$profile: String, $weights: WeightsInput, $ranking: Ranking! = FORMULA, $list: String!, $decade: Int!";
const ARGS = "profile: $profile, weights: $weights, ranking: $ranking, list: $list, decade: $decade";
const PAGE = `totalCount ranking pageInfo { hasNextPage endCursor } nodes { ${ROW} }`;
const TOTAL = "overall { hits listed accuracy baselines { kind accuracy } }";

export const OPERATIONS = {
  origin: "query Origin { dataOrigin }",
  predictions: `query List(${PARAMS}, $filter: PredictionFilter, $first: Int!, $after: String) {
    ranking: predictions(${ARGS}, filter: $filter, first: $first, after: $after) { ${PAGE} } }`,
  additions: `query Additions(${PARAMS}, $first: Int!, $after: String) {
    ranking: confirmedAdditions(${ARGS}, first: $first, after: $after) { ${PAGE} } }`,
  ranks: `query Ranks($profile: String, $list: String!, $decade: Int!, $filter: PredictionFilter) {
    predictions(profile: $profile, list: $list, decade: $decade, filter: $filter, first: 100) {
      nodes { rank movie { id } } } }`,
  accuracy: `query Accuracy(
    $profile: String, $weights: WeightsInput, $ranking: Ranking! = FORMULA, $list: String!, $basis: ScoreBasis!) {
    validation(profile: $profile, weights: $weights, ranking: $ranking, list: $list, basis: $basis) { ${TOTAL} } }`,
  accuracies: `query Accuracies($list: String!, $basis: ScoreBasis!) {
    profileComparison(list: $list, basis: $basis) { profiles { profile { name } overall { accuracy } } } }`,
  search: `query Search(
    $search: String!, $first: Int!, $profile: String, $weights: WeightsInput, $ranking: Ranking! = FORMULA, $list: String!) {
    movies(search: $search, first: $first) { pageInfo { hasNextPage } nodes { slug title originalTitle year decade
      prediction(profile: $profile, weights: $weights, ranking: $ranking, list: $list) { rank score probability status } } }
    people(search: $search, first: 3) { nodes { slug name knownForDepartment } } }`,
  stream: `subscription Stream(${PARAMS}, $limit: Int!) {
    predictionStream(${ARGS}, limit: $limit, batchSize: 50) { predictions { ${ROW} } received total complete stale } }`,
  updates: `subscription Updates($profile: String, $ranking: Ranking! = FORMULA, $list: String!, $decade: Int!, $top: Int!) {
    predictionUpdates(profile: $profile, ranking: $ranking, list: $list, decade: $decade, top: $top) {
      kind previousRank prediction { ${ROW} } } }`,
};
