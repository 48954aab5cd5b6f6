// graphql-transport-ws: as many operations as wanted on one connection, which heals by itself.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;
const { protocol, host } = location;

let socket = null;
let ready = false;
let wait = FIRST_WAIT;
let timer = 0;
let nextId = 1;
const running = new Map();
let tell = () => {};

// Calls back with "live", "lost" or "" (nothing is asked for).
export function onState(callback) {
  tell = callback;
}

// Runs an operation until it ends or the function that is returned is called. One that `resumes` starts again when the
// connection is back; any other is told that it failed.
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
  opened.onmessage = ({ data }) => opened === socket && hear(JSON.parse(data));
  opened.onclose = () => opened === socket && lost();
}

function hear({ type, id, payload }) {
  const operation = running.get(id);
  if (type === "connection_ack") {
    ready = true;
    wait = FIRST_WAIT;
    for (const waiting of running.keys()) start(waiting);
    tell("live");
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

function lost() {
  socket = null;
  ready = false;
  for (const [id, operation] of running) {
    if (operation.resumes) continue;
    running.delete(id);
    operation.failed([{ message: "the connection was lost" }]);
  }
  if (!running.size) return tell("");
  tell("lost");
  // Without a network only "online" is worth an attempt; one now and then, for a browser that is wrong about it.
  if (!navigator.onLine) wait = LONGEST_WAIT;
  // Spread, so that all pages of a server that was restarted do not come at once.
  timer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

function close() {
  clearTimeout(timer);
  socket?.close(1000);
  socket = null;
  ready = false;
  tell("");
}

const start = (id) => send({ id, type: "subscribe", payload: running.get(id).payload });
const send = (message) => socket.send(JSON.stringify(message));

// Back on the network: at once, not after the wait.
addEventListener("online", () => {
  wait = FIRST_WAIT;
  connect();
});
// Told at once: a close that nobody answers takes a browser a minute.
addEventListener("offline", () => {
  const left = socket;
  if (!left) return;
  lost();
  left.close();
});
