// Lists a decade page by page, shows what an error says, and follows the top live. In React, useLazyLoadQuery,
// usePaginationFragment and useSubscription do what is done by hand here.
const { createOperationDescriptor, fetchQuery, getRequest, getSingularSelector, graphql, requestSubscription } =
  require("relay-runtime");
const { connect } = require("./environment.js");

const PREDICTIONS = graphql`
  query mainPredictionsQuery($decade: Int!, $profile: String) {
    ...mainList_query @arguments(decade: $decade, profile: $profile)
  }
`;

const LIST = graphql`
  fragment mainList_query on Query
  @argumentDefinitions(
    decade: { type: "Int!" }
    profile: { type: "String" }
    first: { type: "Int", defaultValue: 5 }
    after: { type: "String" }
  )
  @refetchable(queryName: "mainListPageQuery") {
    predictions(decade: $decade, profile: $profile, first: $first, after: $after)
      @connection(key: "mainList_predictions") {
      edges { node { ...mainRow_prediction } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

const ROW = graphql`
  fragment mainRow_prediction on Prediction {
    rank
    score
    movie { title year }
  }
`;

// What the compiler has made of @refetchable: the query of one page.
const PAGE = LIST.metadata.refetch.operation;

const TOP = graphql`
  subscription mainTopSubscription($decade: Int!) {
    predictionUpdates(decade: $decade, top: 3, initial: true) {
      kind
      prediction { ...mainRow_prediction }
    }
  }
`;

const environment = connect(process.env.CINEGRAPH_URL ?? "http://127.0.0.1:8080");
const variables = { decade: 1990 };

const read = (fragment, parent) => environment.lookup(getSingularSelector(fragment, parent)).data;
const line = (prediction) => {
  const { rank, score, movie } = read(ROW, prediction);
  return `${rank}. ${movie.title} (${movie.year}), ${score.toFixed(1)}`;
};

async function main() {
  // Two pages, which the store joins to one connection.
  const query = await fetchQuery(environment, PREDICTIONS, variables).toPromise();
  environment.retain(createOperationDescriptor(getRequest(PREDICTIONS), variables));
  const { pageInfo } = read(LIST, query).predictions;
  await fetchQuery(environment, PAGE, { ...variables, first: 5, after: pageInfo.endCursor }).toPromise();
  const { edges } = read(LIST, query).predictions;
  console.log(`${edges.length} candidates of the 1990s:`);
  edges.forEach(({ node }) => console.log(line(node)));

  // An error has a code to act on, and a message to show.
  try {
    await fetchQuery(environment, PREDICTIONS, { ...variables, profile: "Missing" }).toPromise();
  } catch (error) {
    if (!error.source) throw error;
    error.source.errors.forEach(({ extensions, message }) => console.log(`${extensions.code}: ${message}`));
  }

  // The current top as updates, then each change as it happens. The store applies new ranks and scores to the lists itself.
  let updates = 0;
  await new Promise((resolve, reject) => {
    const subscription = requestSubscription(environment, {
      subscription: TOP,
      variables,
      onError: reject,
      onNext: ({ predictionUpdates: { kind, prediction } }) => {
        console.log(`${kind} ${line(prediction)}`);
        if (++updates === 3) {
          subscription.dispose();
          resolve();
        }
      },
    });
  });
}

main();
