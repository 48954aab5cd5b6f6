// The client: joins pages, sends queries by their hash, and receives subscriptions over HTTP.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";

// Pages are joined to one list for each combination of the other arguments: decade, profile, weights, filter, …
const paging = ["first", "after", "atLeast"];
const pages = relayStylePagination((args) => Object.keys(args ?? {}).filter((name) => !paging.includes(name)));

const cache = new InMemoryCache({
  possibleTypes: { Node: ["Movie", "Person", "Prediction", "Profile"] },
  typePolicies: {
    Query: { fields: { predictions: pages, confirmedAdditions: pages, movies: pages, people: pages } },
    Person: { fields: { movies: pages } },
    Movie: { fields: { credits: pages } },
    MovieList: { merge: true, fields: { movies: pages } },
    DecadeValidation: { merge: true, fields: { hitMovies: pages, missedMovies: pages, falsePositives: pages } },
    // Parts of one object: what two queries select of them is merged. Everything with a global ID needs no policy.
    DecadeStanding: { merge: true },
    FestivalRecord: { merge: true },
    Ratings: { merge: true },
    Validation: { merge: true },
  },
});

async function sha256(text: string) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function connect(url: string) {
  // By GET, so that the browser keeps responses. With no-cache it revalidates them by ETag (304).
  // Mutations and subscriptions have to be sent by POST.
  const http = new HttpLink({ uri: `${url}/graphql`, fetchOptions: { cache: "no-cache" } });
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: true });
  const isQuery = ({ operationType }: ApolloLink.Operation) => operationType === OperationTypeNode.QUERY;
  return new ApolloClient({ cache, link: ApolloLink.split(isQuery, persisted.concat(http), http) });
}
