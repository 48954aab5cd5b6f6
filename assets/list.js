// The list: asked anew for every change of the address, longer while it is scrolled.
import { QUESTIONS, Refused, ask } from "./api.js";
import * as address from "./address.js";
import { number } from "./format.js";
import { fill, flash, make, mark, put, unmark } from "./row.js";
import { subscribe } from "./socket.js";
import { startTools, showTools } from "./tools.js";
import { followUpdates } from "./live.js";

const FIRST = 25;
const NEXT = 50;
const STREAMED = 500;
const SLOW = 150; // From then on a list that is asked anew looks so; sooner, it would be painted twice for nothing.
const MARGIN = 800; // Pixels below the window: films are there before they are scrolled to.
const byId = (id) => document.getElementById(id);

let films, kind, cursor, total, shown;
let asking = null; // The newest question of the whole list; older ones are cancelled.
let growing = false;
let failed; // The question that films could not be added to.
let stopStream = null;
let baseline = new Map(); // Ranks before the hand came to the sliders.
const rows = new Map();

export function startList() {
  films = byId("films");
  kind = films.dataset.kind;
  cursor = films.dataset.cursor;
  total = Number(films.dataset.total);
  shown = address.read().toString();
  for (const row of films.children) rows.set(row.dataset.id, row);
  settle();
  byId("more").addEventListener("click", more);
  byId("all").addEventListener("click", stream);
  new IntersectionObserver(([end]) => end.isIntersecting && more(), { rootMargin: `${MARGIN}px` }).observe(byId("pager"));
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

// Shows the films of another address. `replace` keeps the step back; `marks` says what rose and fell as the hand moves.
export function go(params, { replace = false, marks = false }) {
  address.write(params, { replace, moving: marks });
  return rank({ marks });
}

async function rank({ marks = false }) {
  asking?.abort();
  stopStream?.();
  const question = (asking = new AbortController());
  const params = address.read();
  // On the way nothing else may grow the list that is about to go.
  cursor = "";
  const slow = setTimeout(() => films.classList.add("busy"), SLOW);
  try {
    const asked = { ...address.variables(params), first: FIRST, after: params.get("after") || undefined };
    const { data, stale } = await ask(QUESTIONS[kind], asked, question.signal);
    if (question !== asking) return;
    if (marks && !baseline.size) for (const [id, row] of rows) baseline.set(id, Number(row.dataset.rank));
    if (!marks) baseline.clear();
    shown = params.toString();
    replace(data.ranking.nodes, marks);
    cursor = next(data.ranking.pageInfo);
    total = data.ranking.totalCount;
    byId("stale").hidden = !stale;
    complain("");
    settle();
    if (!marks) follow();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof Refused) return complain(error.message);
    complain("The films cannot be reached. Trying again as soon as the network is back.");
    addEventListener("online", () => rank({ marks }), { once: true });
  } finally {
    clearTimeout(slow);
    if (question === asking) films.classList.remove("busy");
  }
}

const next = ({ hasNextPage, endCursor }) => (hasNextPage ? endCursor : "");

// The rows stay where they are and show other films: much less to style, lay out and paint than new ones.
function replace(predictions, marks) {
  rows.clear();
  const there = [...films.children];
  predictions.forEach((prediction, index) => {
    const row = there[index] ?? films.appendChild(make(prediction));
    row.classList.remove("changed");
    fill(row, prediction);
    if (marks) mark(row, baseline.get(prediction.movie.id));
    else unmark(row);
    rows.set(prediction.movie.id, row);
  });
  for (const row of there.slice(predictions.length)) row.remove();
}

// Adds those that are not there yet; says how many.
function append(predictions) {
  const made = predictions.filter(({ movie }) => !rows.has(movie.id)).map((prediction) => {
    const row = make(prediction);
    rows.set(prediction.movie.id, row);
    if (baseline.size) mark(row, baseline.get(prediction.movie.id));
    return row;
  });
  films.append(...made);
  return made.length;
}

async function more() {
  if (growing || !cursor) return;
  growing = true;
  failed = undefined;
  const question = asking;
  byId("more").ariaBusy = "true";
  try {
    // Where a stream was quicker, whole pages may be there already.
    for (let added = 0; cursor && !added; ) {
      const asked = { ...address.variables(address.read()), first: NEXT, after: cursor };
      const { data } = await ask(QUESTIONS[kind], asked, question?.signal);
      if (question !== asking) return;
      added = append(data.ranking.nodes);
      cursor = next(data.ranking.pageInfo);
    }
    complain("");
  } catch (error) {
    failed = question;
    if (error.name !== "AbortError") complain("More films cannot be reached right now. Try again.");
  } finally {
    growing = false;
    byId("more").ariaBusy = null;
    settle();
    // Still in view: nothing would say so again.
    if (failed !== question && byId("pager").getBoundingClientRect().top < innerHeight + MARGIN) setTimeout(more);
  }
}

// The best at once, as they come.
function stream() {
  const { filter, ...asked } = address.variables(address.read());
  const done = () => {
    stopStream = null;
    settle();
  };
  const stop = subscribe(QUESTIONS.stream, { ...asked, limit: STREAMED }, {
    next: ({ predictionStream: batch }) => {
      append(batch.predictions);
      byId("stale").hidden = !batch.stale;
      settle(`${number(batch.received)} of ${number(batch.total)}`);
    },
    complete: done,
    failed: () => {
      done();
      complain("The films stopped coming. Try again.");
    },
  });
  stopStream = () => {
    stop();
    done();
  };
  settle("…");
}

// One change of the data: of a film that is shown, or that belongs among those that are.
export function apply({ kind: change, previousRank, prediction }) {
  const { id } = prediction.movie;
  const old = rows.get(id);
  const last = Number(films.lastElementChild?.dataset.rank ?? 0);
  old?.remove();
  rows.delete(id);
  if (change === "LEFT" || !prediction.rank || (prediction.rank > last && cursor)) return settle();
  const row = make(prediction);
  rows.set(id, row);
  const after = [...films.children].find((other) => Number(other.dataset.rank) >= prediction.rank);
  films.insertBefore(row, after ?? null);
  mark(row, previousRank ?? undefined);
  if (change === "RESCORED") unmark(row);
  flash(row);
  settle();
}

function follow() {
  const params = address.read();
  const whole = kind === "predictions" && !address.isTuned(params) && !address.isFiltered(params) && !params.get("after");
  followUpdates(whole ? address.variables(params) : null, apply);
}

function settle(progress) {
  put(byId("count"), number(total));
  byId("empty").hidden = films.children.length > 0 || total > 0;
  byId("more").hidden = !cursor || Boolean(stopStream);
  const all = byId("all");
  const streams = kind === "predictions" && !address.isFiltered(address.read()) && rows.size < Math.min(total, STREAMED);
  all.hidden = !streams || !cursor;
  all.disabled = Boolean(stopStream);
  put(all, progress && stopStream ? progress : `The best ${number(Math.min(total, STREAMED))} at once`);
  byId("first").hidden = !address.read().get("after");
}

function complain(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}
