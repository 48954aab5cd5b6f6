// The list: reloaded when the state changes, extended while it is scrolled.
import { GraphqlError, OPERATIONS, execute } from "./api.js";
import * as address from "./address.js";
import { number } from "./format.js";
import { fill, flash, make, mark, put, unmark } from "./row.js";
import { subscribe } from "./socket.js";
import { startTools, showTools } from "./tools.js";
import { followUpdates } from "./live.js";

const FIRST = 25;
const NEXT = 50;
const STREAMED = 500;
const BUSY_DELAY = 150; // Milliseconds until a loading list is dimmed; for faster responses it would only cost a paint.
const MARGIN = 800; // Pixels below the viewport in which the next page is loaded.
const byId = (id) => document.getElementById(id);

// An observer reports only what differs between two frames. If rows are appended and the end is scrolled into view
// within one frame, it was and is in view, and nothing is reported: hence `watchEnd`.
const end = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && more(), { rootMargin: `${MARGIN}px` });

let films, kind, cursor, total, shown;
let current = null; // The latest request for the list; earlier ones are aborted.
let growing = false;
let stopStream = null;
let baseline = new Map(); // Ranks before the first slider move.
const rows = new Map();

export function startList() {
  films = byId("films");
  kind = films.dataset.kind;
  cursor = films.dataset.cursor;
  total = Number(films.dataset.total);
  shown = address.read().toString();
  for (const row of films.children) rows.set(row.dataset.id, row);
  updateControls();
  byId("more").addEventListener("click", more);
  byId("all").addEventListener("click", stream);
  watchEnd();
  startTools(go);
  addEventListener("popstate", () => {
    if (location.pathname.startsWith("/films/") || address.read().toString() === shown) return;
    showTools(address.read());
    rank({});
  });
  document.addEventListener("click", (event) => {
    const reset = event.target.closest("[data-reset]")?.dataset.reset;
    if (!reset) return;
    event.preventDefault();
    go(reset === "start" ? address.fromStart(address.read()) : address.unfiltered(address.read()), {});
    showTools(address.read());
  });
  follow();
}

// Loads another state. `replace` adds no history entry; `marks` shows which movies rose or fell while a slider moves.
export function go(params, { replace = false, marks = false }) {
  address.write(params, { replace, moving: marks });
  return rank({ marks });
}

async function rank({ marks = false }) {
  current?.abort();
  stopStream?.();
  const request = (current = new AbortController());
  const params = address.read();
  // The list must not be extended while its replacement is loading.
  cursor = "";
  const slow = setTimeout(() => films.classList.add("busy"), BUSY_DELAY);
  try {
    const variables = { ...address.variables(params), first: FIRST, after: params.get("after") || undefined };
    const { data, stale } = await execute(OPERATIONS[kind], variables, request.signal);
    if (request !== current) return;
    if (marks && !baseline.size) for (const [id, row] of rows) baseline.set(id, Number(row.dataset.rank));
    if (!marks) baseline.clear();
    shown = params.toString();
    replace(data.ranking.nodes, marks);
    cursor = next(data.ranking.pageInfo);
    total = data.ranking.totalCount;
    byId("stale").hidden = !stale;
    showProblem("");
    updateControls();
    watchEnd();
    if (!marks) follow();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof GraphqlError) return showProblem(error.message);
    showProblem("The server did not respond. Reload the page, or wait until the network is back.");
    addEventListener("online", () => rank({ marks }), { once: true });
  } finally {
    clearTimeout(slow);
    if (request === current) films.classList.remove("busy");
  }
}

const next = ({ hasNextPage, endCursor }) => (hasNextPage ? endCursor : "");

// Reuses the rows: much less style, layout and paint than new ones.
function replace(predictions, marks) {
  rows.clear();
  const existing = [...films.children];
  predictions.forEach((prediction, index) => {
    const row = existing[index] ?? films.appendChild(make(prediction));
    row.classList.remove("changed");
    fill(row, prediction);
    if (marks) mark(row, baseline.get(prediction.movie.id));
    else unmark(row);
    rows.set(prediction.movie.id, row);
  });
  for (const row of existing.slice(predictions.length)) row.remove();
}

// Appends movies that are not in the list yet; returns how many.
function append(predictions) {
  const added = predictions.filter(({ movie }) => !rows.has(movie.id)).map((prediction) => {
    const row = make(prediction);
    rows.set(prediction.movie.id, row);
    if (baseline.size) mark(row, baseline.get(prediction.movie.id));
    return row;
  });
  films.append(...added);
  return added.length;
}

// Loads on if the end of the list is in view now, and otherwise once it is.
function watchEnd() {
  end.unobserve(byId("pager"));
  end.observe(byId("pager"));
}

async function more() {
  if (growing || !cursor) return;
  growing = true;
  let failed = false;
  const request = current;
  byId("more").ariaBusy = "true";
  try {
    // A stream may have added whole pages already.
    for (let added = 0; cursor && !added; ) {
      const variables = { ...address.variables(address.read()), first: NEXT, after: cursor };
      const { data } = await execute(OPERATIONS[kind], variables, request?.signal);
      if (request !== current) return;
      added = append(data.ranking.nodes);
      cursor = next(data.ranking.pageInfo);
    }
    showProblem("");
  } catch (error) {
    failed = request === current && error.name !== "AbortError";
    if (failed) showProblem("Can’t load more films. Try again.");
  } finally {
    growing = false;
    byId("more").ariaBusy = null;
    updateControls();
    if (!failed) watchEnd();
  }
}

// Loads the top of the list over the WebSocket, in batches.
function stream() {
  const { filter, ...variables } = address.variables(address.read());
  const done = () => {
    stopStream = null;
    updateControls();
  };
  const stop = subscribe(OPERATIONS.stream, { ...variables, limit: STREAMED }, {
    next: ({ predictionStream: batch }) => {
      append(batch.predictions);
      byId("stale").hidden = !batch.stale;
      updateControls(`${number(batch.received)} of ${number(batch.total)}`);
    },
    complete: done,
    failed: () => {
      done();
      showProblem("Loading was interrupted. Try again.");
    },
  });
  stopStream = () => {
    stop();
    done();
  };
  updateControls("…");
}

// Applies a live update to the rows: moves, adds or removes one movie.
export function apply({ kind: change, previousRank, prediction }) {
  const { id } = prediction.movie;
  const old = rows.get(id);
  const last = Number(films.lastElementChild?.dataset.rank ?? 0);
  old?.remove();
  rows.delete(id);
  if (change === "LEFT" || !prediction.rank || (prediction.rank > last && cursor)) return updateControls();
  const row = make(prediction);
  rows.set(id, row);
  const after = [...films.children].find((other) => Number(other.dataset.rank) >= prediction.rank);
  films.insertBefore(row, after ?? null);
  mark(row, previousRank ?? undefined);
  if (change === "RESCORED") unmark(row);
  flash(row);
  updateControls();
}

function follow() {
  const params = address.read();
  const whole = kind === "predictions" && !address.isTuned(params) && !address.isFiltered(params) && !params.get("after");
  followUpdates(whole ? address.variables(params) : null, apply);
}

function updateControls(progress) {
  put(byId("count"), number(total));
  byId("empty").hidden = films.children.length > 0 || total > 0;
  byId("more").hidden = !cursor || Boolean(stopStream);
  const all = byId("all");
  const streams = kind === "predictions" && !address.isFiltered(address.read()) && rows.size < Math.min(total, STREAMED);
  all.hidden = !streams || !cursor;
  all.disabled = Boolean(stopStream);
  put(all, progress && stopStream ? progress : `Load top ${number(Math.min(total, STREAMED))}`);
  byId("first").hidden = !address.read().get("after");
}

function showProblem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}
