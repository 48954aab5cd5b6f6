// GraphiQL and a frontend on another port, in a browser without network access. Run by tests/it/demo.rs.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { browser } from "./browser.mjs";

const { PAGE_URL, FRONTEND_PORT } = process.env;
after(() => browser.close());

// A page that records errors, requests to other hosts and violations of the Content-Security-Policy.
async function openPage() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith("http") && !["127.0.0.1", "localhost"].includes(hostname)) errors.push(request.url());
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
      console.error(`CSP: ${violatedDirective} ${blockedURI}`));
  });
  return { page, errors, close: () => context.close() };
}

// Opens a tab of GraphiQL, runs its operation and returns the text of the response. GraphiQL sends the previous tab's
// operation name until its editor has parsed the new document, hence the retries.
async function execute(page, tab, expected) {
  await page.getByRole("tab").filter({ hasText: tab }).click();
  for (;;) {
    await page.getByRole("button", { name: /Execute query/ }).click();
    const pattern = `${expected.source}|Unknown operation named`;
    await page.waitForFunction(
      (source) => new RegExp(source).test(document.querySelector(".result-window")?.textContent ?? ""),
      pattern,
    );
    const response = await page.textContent(".result-window");
    if (expected.test(response)) return response;
  }
}

test("browsers that open the API are redirected to the explorer, which runs queries and subscriptions", async () => {
  const { page, errors, close } = await openPage();
  await page.goto(`${PAGE_URL}/graphql`);
  assert.equal(new URL(page.url()).pathname, "/graphiql");
  await page.waitForSelector(".graphiql-container");
  const tabs = await page.getByRole("tab").allTextContents();
  // The text includes the title of the tab's close icon.
  assert.deepEqual(tabs.map((text) => text.split(" ")[0]), ["Predictions", "Validation", "CustomWeights", "Stream"]);
  assert.doesNotMatch(await execute(page, "Predictions", /"title"/), /"errors"/);
  assert.doesNotMatch(await execute(page, "Validation", /"accuracy"/), /"errors"/);
  assert.doesNotMatch(await execute(page, "CustomWeights", /"title"/), /"errors"/);
  assert.doesNotMatch(await execute(page, "Stream", /"predictionStream"/), /"errors"/);
  // The documentation shows a root type, so the schema was loaded.
  await page.getByRole("button", { name: /Show Documentation Explorer/ }).click();
  await page.getByRole("link", { name: "Subscription", exact: true }).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test("the page links to the explorer and shows the banner of generated movies", async () => {
  const { page, errors, close } = await openPage();
  await page.goto(`${PAGE_URL}/`);
  assert.match(await page.textContent(".banner"), /generated and do not exist/);
  await page.click("text=API explorer");
  await page.waitForSelector(".graphiql-container");
  assert.deepEqual(errors, []);
  await close();
});

test("a frontend on another port of this machine calls the API by fetch and by WebSocket", async () => {
  const frontend = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>Frontend</title>");
  });
  await new Promise((listening) => frontend.listen(Number(FRONTEND_PORT), "127.0.0.1", listening));
  const { page, errors, close } = await openPage();
  await page.goto(`http://localhost:${FRONTEND_PORT}/`);

  const fetched = await page.evaluate(async (url) => {
    const response = await fetch(`${url}/graphql`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "apollographql-client-name": "frontend",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      },
      body: JSON.stringify({ query: "{ dataOrigin }" }),
    });
    return { trace: response.headers.get("x-trace-id"), body: await response.json() };
  }, PAGE_URL);
  assert.deepEqual(fetched.body, { data: { dataOrigin: "GENERATED" } });
  assert.equal(fetched.trace.length, 32);

  const received = await page.evaluate((url) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/graphql/ws`, "graphql-transport-ws");
    const send = (message) => socket.send(JSON.stringify(message));
    const query = "subscription { predictionStream(limit: 5) { received } }";
    socket.onopen = () => send({ type: "connection_init" });
    socket.onerror = () => reject(new Error("the WebSocket failed"));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "connection_ack") send({ id: "1", type: "subscribe", payload: { query } });
      if (message.type === "next") resolve(message.payload.data.predictionStream.received);
    };
  }), PAGE_URL);
  assert.equal(received, 5);
  assert.deepEqual(errors, []);
  await close();
  frontend.close();
});
