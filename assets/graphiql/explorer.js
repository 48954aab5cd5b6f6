// Starts GraphiQL on this service. React, ReactDOM and GraphiQL are globals of the scripts before this one.
const root = document.getElementById("graphiql");
const socket = new URL("/graphql/ws", location.href);
socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const examples = [...document.querySelectorAll("template.example")].map(({ content }) => ({ query: content.textContent }));

ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql", subscriptionUrl: socket.href }),
    defaultTabs: examples,
  }),
);
