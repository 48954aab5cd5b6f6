// The list: replaced when another state has loaded, extended while it is scrolled. Heading, controls and rows are one
// state, `address.read()`, and change together in `show`.
import { OPERATIONS, Refused, execute } from "./api.js";
import * as address from "./address.js";
import { showAccuracy } from "./accuracy.js";
import { baseline, showChanges } from "./changes.js";
import { number } from "./format.js";
import { moved, positions } from "./motion.js";
import { cut, fill, fillHitRate, flash, isLearned, make, mark, put, unmark } from "./row.js";
import { retryLater, retryNow, stopRetrying, succeeded } from "./retry.js";
import { subscribe } from "./socket.js";
import { cutRank, describe, isPlain, loadControls, showTools, startTools } from "./tools.js";
import { checkServer, followUpdates, setStale, startLive } from "./live.js";

const FIRST = 25;
const NEXT = 50;
const LARGEST = 100; // The API's largest page.
const STREAMED = 500;
const BUSY_DELAY = 150; // Milliseconds until the progress line is shown; for faster responses it would only cost a paint.
const SPOKEN_DELAY = 600; // While a slider moves, only the list at which it rests is announced.
const MARGIN = 800; // Pixels below the viewport in which the next page is loaded.
const byId = (id) => document.getElementById(id);

// An observer reports only what differs between two frames. If rows are appended and the end is scrolled into view
// within one frame, it was and is in view, and nothing is reported: hence `watchEnd`.
const end = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && more(), { rootMargin: `${MARGIN}px` });

let films, kind, cursor, total;
let current = null; // The running request for another list; earlier ones are aborted.
let failed = null; // The change that failed and will be tried again.
let growth = null; // The running request for more rows.
let stopStream = null;
let before = new Map(); // The ranks that the marks compare with; empty if there are no marks.
let spoken = 0;
const rows = new Map();

export function startList() {
  films = byId("films");
  kind = films.dataset.kind;
  cursor = films.dataset.cursor;
  total = Number(films.dataset.total);
  for (const row of films.children) rows.set(row.dataset.id, row);
  updateControls();
  byId("more").addEventListener("click", more);
  byId("all").addEventListener("click", stream);
  byId("again").addEventListener("click", retryNow);
  watchEnd();
  startTools(go);
  startLive(() => retryNow() || refresh());
  addEventListener("popstate", restore);
  document.addEventListener("click", (event) => {
    const reset = event.target.closest("[data-reset]")?.dataset.reset;
    if (!reset || !isPlain(event)) return;
    event.preventDefault();
    go(reset === "start" ? address.fromStart(address.read()) : address.unfiltered(address.target()), {});
  });
  const isStale = !byId("stale").hidden; // As rendered; from here on, the indicator says it.
  setStale(isStale);
  if (isStale) retryLater("refresh", refresh);
  follow();
  showAccuracy(address.read());
  compare(address.read());
  loadHitRates();
}

// Hit rates need a validation, for which the first view does not wait: it comes without them.
async function loadHitRates() {
  const params = address.read();
  if (kind !== "predictions" || isLearned() || !rows.size) return;
  const variables = { ...address.variables(params), first: FIRST, after: params.get("after") || undefined };
  const { data } = await execute(OPERATIONS[kind], variables).catch(() => ({}));
  if (!data || params.toString() !== address.read().toString()) return;
  for (const { movie, historicalHitRate } of data.ranking.nodes) {
    const row = rows.get(movie.id);
    if (row) fillHitRate(row, historicalHitRate);
  }
}

// Back or Forward has changed the URL.
function restore() {
  if (location.pathname.startsWith("/films/")) return;
  const params = new URLSearchParams(location.search);
  if (params.toString() !== address.read().toString()) load({ params, history: "none" });
  else if ((current ?? failed)?.history === "none" || !address.isShown()) cancel();
}

// Loads another state. `replace` adds no history entry; `moving` is set while a slider moves.
export function go(params, { replace = false, moving = false }) {
  // If the URL is that of a state which could not be loaded, the next one takes its place.
  return load({ params, history: replace || !address.isShown() ? "replace" : "push", moving });
}

// Loads the shown state again, unless so much of the list is shown that the reader would lose the place.
function refresh() {
  if (current || failed || rows.size > LARGEST) return;
  load({ params: address.read(), history: "none", first: Math.max(FIRST, rows.size) });
}

async function load(change) {
  const { params, first = FIRST } = change;
  current?.abort.abort();
  growth?.abort();
  stopStream?.();
  stopAll();
  const request = (current = { abort: new AbortController(), history: change.history });
  address.want(params);
  const slow = setTimeout(() => busy(true), BUSY_DELAY);
  try {
    const variables = { ...address.variables(params), first, after: params.get("after") || undefined };
    const { signal } = request.abort;
    const [{ data, stale }, setControls] = await Promise.all([
      execute(OPERATIONS[kind], variables, signal),
      loadControls(params, signal),
    ]);
    if (request !== current) return;
    current = null;
    succeeded("change");
    if (!stale) succeeded("refresh");
    setControls();
    show(change, data.ranking, stale);
  } catch (error) {
    if (request !== current) return;
    current = null;
    fail(change, error);
  } finally {
    clearTimeout(slow);
    if (!current) busy(false);
  }
}

function show({ params, history, moving }, { ranking, nodes, pageInfo, totalCount }, stale) {
  address.show(params, { history, moving });
  // The formula, if the list has no such learned ranking.
  document.body.dataset.ranking = ranking === "FORMULA" ? "formula" : "learned";
  if (!moving) before = new Map();
  else if (!before.size) for (const [id, row] of rows) before.set(id, Number(row.dataset.rank));
  showTools(params, { moving });
  replace(nodes);
  cursor = next(pageInfo);
  total = totalCount;
  showProblem("");
  setStale(stale);
  if (stale) retryLater("refresh", refresh);
  updateControls();
  announce(nodes[0]);
  watchEnd();
  showAccuracy(params, moving);
  compare(params);
  follow();
}

// Keeps the shown state and says so. What the server rejects is not sent again.
function fail(change, error) {
  const isRefresh = change.params.toString() === address.read().toString();
  const could = `Could not ${isRefresh ? "refresh the list" : describe(change.params)}.`;
  showTools(address.read(), { keepInput: true });
  watchEnd();
  if (error instanceof Refused) {
    address.want(null);
    return showProblem(`${could} ${error.message}`, false);
  }
  const then = navigator.onLine ? "Trying again …" : "You are offline; it will be tried again when you are back online.";
  showProblem(`${could} ${then}`);
  checkServer();
  // By then no slider moves any more, so that the sliders are set, too.
  const again = { ...change, moving: false };
  failed = again;
  retryLater("change", () => load(again), error.retryAfter);
}

function stopAll() {
  failed = null;
  for (const kind of ["change", "refresh", "more"]) stopRetrying(kind);
}

// The shown state is wanted after all.
function cancel() {
  current?.abort.abort();
  current = null;
  stopAll();
  address.want(null);
  busy(false);
  showProblem("");
}

function busy(isBusy) {
  byId("progress").hidden = !isBusy;
  films.ariaBusy = isBusy ? "true" : null;
}

// Says once what the list has become. Titles are isolated, since they may run from right to left.
function announce(first) {
  clearTimeout(spoken);
  const films = `${number(total)} ${total === 1 ? "film" : "films"}`;
  const text = first ? `${films}, first: \u2068${first.movie.title}\u2069` : "No films";
  spoken = setTimeout(put, SPOKEN_DELAY, byId("said"), text);
}

const next = ({ hasNextPage, endCursor }) => (hasNextPage ? endCursor : "");

// Reuses the rows: much less style, layout and paint than new ones.
function replace(predictions) {
  const was = positions(films);
  const n = cutRank(kind);
  rows.clear();
  const existing = [...films.children];
  predictions.forEach((prediction, index) => {
    const row = existing[index] ?? films.appendChild(make(prediction));
    row.classList.remove("changed");
    fill(row, prediction);
    cut(row, n);
    markChange(row);
    rows.set(prediction.movie.id, row);
  });
  for (const row of existing.slice(predictions.length)) row.remove();
  moved(films, was);
}

function markChange(row) {
  if (before.size) mark(row, before.get(row.dataset.id), before.depth ?? Infinity);
  else unmark(row);
}

// Marks how custom weights change the ranks of their profile.
async function compare(params) {
  const ranks = kind === "predictions" ? await baseline(params) : null;
  if (params.toString() !== address.read().toString()) return;
  if (ranks) {
    before = ranks;
    for (const row of rows.values()) markChange(row);
  }
  showChanges(ranks, [...films.children].slice(0, FIRST));
}

// Appends movies that are not in the list yet; returns how many.
function append(predictions) {
  const added = predictions.filter(({ movie }) => !rows.has(movie.id)).map((prediction) => {
    const row = make(prediction);
    rows.set(prediction.movie.id, row);
    markChange(row);
    cut(row, cutRank(kind));
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
  if (growth || current || failed || !cursor) return;
  const request = (growth = new AbortController());
  let isComplete = true;
  byId("more").ariaBusy = "true";
  try {
    // A stream may have added whole pages already.
    for (let added = 0; cursor && !added; ) {
      const variables = { ...address.variables(address.read()), first: NEXT, after: cursor };
      const { data } = await execute(OPERATIONS[kind], variables, request.signal);
      if (request !== growth || request.signal.aborted) return;
      added = append(data.ranking.nodes);
      cursor = next(data.ranking.pageInfo);
    }
    succeeded("more");
    if (byId("problem").dataset.of === "more") showProblem("");
  } catch (error) {
    isComplete = request.signal.aborted;
    if (!isComplete) failToGrow(error);
  } finally {
    growth = null;
    byId("more").ariaBusy = null;
    updateControls();
    if (isComplete) watchEnd();
  }
}

function failToGrow(error) {
  if (error instanceof Refused) {
    // After an import of another database, the cursor belongs to a list that is gone.
    cursor = "";
    return showProblem("The list has changed, so it cannot be continued. Reload the page to see the new one.", false, "more");
  }
  showProblem("Could not load more films. Trying again …", true, "more");
  checkServer();
  retryLater("more", more, error.retryAfter);
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
      setStale(batch.stale);
      updateControls(`${number(batch.received)} of ${number(batch.total)}`);
    },
    complete: done,
    failed: () => {
      done();
      showProblem("Could not load the first films at once. The list continues when it is scrolled.", false);
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
  cut(row, cutRank(kind));
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
  const elsewhere = byId("elsewhere");
  if (elsewhere) elsewhere.hidden = !address.read().get("q");
  byId("empty").hidden = films.children.length > 0 || total > 0;
  byId("more").hidden = !cursor || Boolean(stopStream);
  const all = byId("all");
  const streams = kind === "predictions" && !address.isFiltered(address.read()) && rows.size < Math.min(total, STREAMED);
  all.hidden = !streams || !cursor || Boolean(address.read().get("after"));
  all.disabled = Boolean(stopStream);
  put(all, progress && stopStream ? progress : `Load top ${number(Math.min(total, STREAMED))}`);
  byId("first").hidden = !address.read().get("after");
}

// A bar above the list. `retries` offers to try again at once; `of` says what failed.
function showProblem(text, retries = true, of = "change") {
  byId("problem").dataset.of = of;
  put(byId("problem-text"), text);
  byId("problem").hidden = !text;
  byId("again").hidden = !retries;
}
