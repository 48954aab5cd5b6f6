// Apollo Client subscribes over HTTP (multipart/mixed) and prints results as lines of JSON: node - http://…/graphql
import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";

// Without the type names that the client adds to its queries.
const withoutTypes = (key, value) => (key === "__typename" ? undefined : value);
const print = (result) => console.log(JSON.stringify(result, withoutTypes));

// The client cancels the request of an abandoned subscription, and does not handle the error that follows.
process.on("unhandledRejection", (error) => {
  if (error.name !== "AbortError") throw error;
});

const client = new ApolloClient({ link: new HttpLink({ uri: process.argv[2] }), cache: new InMemoryCache() });
const codes = (error) => error.errors?.map(({ extensions }) => extensions.code) ?? String(error);

// Calls `handle` with each result of a subscription, until it completes or `handle` returns true.
function subscribe(query, handle) {
  return new Promise((resolve) => {
    const subscription = client.subscribe({ query: gql(query), fetchPolicy: "no-cache" }).subscribe({
      next: ({ data, error }) => {
        if (handle(error ? { refused: codes(error) } : { data })) {
          subscription.unsubscribe();
          resolve();
        }
      },
      error: (error) => {
        handle({ refused: codes(error) });
        resolve();
      },
      complete: resolve,
    });
  });
}

async function all(query) {
  const results = [];
  await subscribe(query, (result) => void results.push(result));
  return results;
}

print({
  stream: await all(
    "subscription { predictionStream(decade: 1990, batchSize: 2) { received total complete predictions { rank movie { title } } } }",
  ),
});
print({ refused: await all("subscription { predictionStream(limit: 0) { total } }") });

const updates = "subscription { predictionUpdates(decade: 1990, top: 1) { kind previousRank prediction { rank movie { title } } } }";
await subscribe(updates, (update) => (print({ update }), true));
// Open until the service stops.
print({ ended: await all(updates) });
