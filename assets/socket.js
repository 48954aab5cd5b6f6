// Client of graphql-transport-ws: all operations share one connection, which reconnects automatically.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;
const { protocol, host } = location;

let socket = null;
let ready = false;
let wait = FIRST_WAIT;
let timer = 0;
let nextId = 1;
const running = new Map();
let notify = () => {};

// Registers the callback for state changes: "live", "lost" or "" (no operation is running).
export function onState(callback) {
  notify = callback;
}

// Runs an operation until it completes or the returned function is called. If the connection is lost, an operation with
// `resumes` restarts after the reconnect; others fail.
export function subscribe(query, variables, { next, failed = () => {}, complete = () => {}, resumes = false }) {
  const id = String(nextId++);
  running.set(id, { payload: { query, variables }, next, failed, complete, resumes });
  if (ready) start(id);
  else connect();
  return () => {
    if (!running.delete(id)) return;
    if (ready) send({ id, type: "complete" });
    if (!running.size) close();
  };
}

function connect() {
  if (socket || !running.size) return;
  clearTimeout(timer);
  const opened = new WebSocket(`${protocol === "https:" ? "wss" : "ws"}://${host}/graphql/ws`, "graphql-transport-ws");
  socket = opened;
  opened.onopen = () => opened.send(JSON.stringify({ type: "connection_init" }));
  opened.onmessage = ({ data }) => opened === socket && receive(JSON.parse(data));
  opened.onclose = () => opened === socket && reconnect();
}

function receive({ type, id, payload }) {
  const operation = running.get(id);
  if (type === "connection_ack") {
    ready = true;
    wait = FIRST_WAIT;
    for (const pending of running.keys()) start(pending);
    notify("live");
  } else if (type === "ping") {
    send({ type: "pong" });
  } else if (type === "next") {
    if (payload.errors) operation?.failed(payload.errors);
    if (payload.data) operation?.next(payload.data);
  } else if (type === "error" || type === "complete") {
    if (!running.delete(id)) return;
    if (type === "error") operation.failed(payload);
    else operation.complete();
    if (!running.size) close();
  }
}

function reconnect() {
  socket = null;
  ready = false;
  for (const [id, operation] of running) {
    if (operation.resumes) continue;
    running.delete(id);
    operation.failed([{ message: "connection lost" }]);
  }
  if (!running.size) return notify("");
  notify("lost");
  // Offline, the "online" event triggers the reconnect; rare attempts cover browsers that report the state wrongly.
  if (!navigator.onLine) wait = LONGEST_WAIT;
  // With jitter, so that clients do not reconnect all at once after a restart of the server.
  timer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

function close() {
  clearTimeout(timer);
  socket?.close(1000);
  socket = null;
  ready = false;
  notify("");
}

const start = (id) => send({ id, type: "subscribe", payload: running.get(id).payload });
const send = (message) => socket.send(JSON.stringify(message));

// Reconnects without waiting when the network is back.
addEventListener("online", () => {
  wait = FIRST_WAIT;
  connect();
});
// Does not wait for the close event: without a reply of the server it takes a browser a minute.
addEventListener("offline", () => {
  const old = socket;
  if (!old) return;
  reconnect();
  old.close();
});
