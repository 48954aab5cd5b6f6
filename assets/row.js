// A row of the list: the server's row template, filled with a prediction.
import { number, percent, probability } from "./format.js";
import { fillPoster } from "./poster.js";
import { link, read, unfiltered } from "./address.js";

// What ranks the list now: set by the server, and by each response.
export const isLearned = () => document.body.dataset.ranking === "learned";

const template = () => document.getElementById("film-row").content.firstElementChild;

// Writes only changes: every write causes style, layout and paint.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function make(prediction) {
  const row = template().cloneNode(true);
  fill(row, prediction);
  return row;
}

const REASONS_SHOWN = 2;

// The strongest reasons for a movie, or else the strongest one.
function mainReasons(reasons) {
  const shown = reasons.filter(({ points }) => points > 0).slice(0, REASONS_SHOWN);
  return (shown.length ? shown : reasons.slice(0, 1)).map(({ sentence }) => sentence).join(" · ");
}

// What the learned ranking says; the formula leaves all of it out.
function fillLearned(field, { probability: chance, knownGroups, totalGroups, reasons }) {
  const missing = knownGroups === null ? "not scored yet" : "not enough known";
  put(field("probability"), chance === null ? missing : probability(chance));
  set(field("probability"), "class", chance === null ? "none" : "");
  set(field("chance"), "width", ((chance ?? 0) * 100).toFixed(1));
  put(field("reasons"), mainReasons(reasons ?? []));
  const complete = knownGroups === totalGroups; // Also if neither is known.
  put(field("known"), complete ? "" : `known: ${number(knownGroups)} of ${number(totalGroups)} groups`);
}

// How often films of this rank were chosen in past decades, and of which ranks that is known.
export function fillHitRate(row, known) {
  const field = (name) => row.querySelector(`[data-field=${name}]`);
  const rate = known?.rate ?? null;
  put(field("rate"), rate === null ? "–" : percent(rate));
  set(field("reach"), "width", ((rate ?? 0) * 100).toFixed(1));
  if (rate === null) return set(field("rate"), "title", "");
  const { firstRank, lastRank, movies, listed } = known;
  const ranks = lastRank === null ? `from ${number(firstRank)}` : `${number(firstRank)}–${number(lastRank)}`;
  set(field("rate"), "title", `Films ranked ${ranks} in past decades: ${number(listed)} of ${number(movies)} were chosen`);
}

export function fill(row, prediction) {
  const { rank, score, historicalHitRate, coverage, source, breakdown, movie } = prediction;
  const field = (name) => row.querySelector(`[data-field=${name}]`);
  row.dataset.id = movie.id;
  row.dataset.slug = movie.slug;
  row.dataset.rank = rank ?? 0;
  put(field("rank"), rank ? number(rank) : "–");
  put(field("title"), movie.title);
  put(field("year"), String(movie.year ?? ""));
  for (const name of ["directors", "genres"]) put(field(name), movie[name].map((one) => one.name).join(", "));
  fillPoster(row, movie);
  put(field("score"), number(score, 1));
  fillHitRate(row, historicalHitRate);
  // Only what is unusual.
  const ratings = coverage < 4 ? [`${number(coverage)} of ${number(4)} ratings known`] : [];
  put(field("coverage"), [...ratings, ...(source === "DIRECT_QUERY" ? ["computed on demand"] : [])].join(" · "));
  if (isLearned()) fillLearned(field, prediction);
  relink(row);
  let start = 0;
  row.querySelectorAll(".parts rect").forEach((part, index) => {
    const points = breakdown[index].contribution;
    set(part, "x", start.toFixed(2));
    set(part, "width", points.toFixed(2));
    const title = part.firstElementChild;
    put(title, `${title.textContent.split(":")[0]}: ${number(points, 1)} points`);
    start += points;
  });
}

// Links to the movie with the current weights.
export function relink(row) {
  const href = link(`/films/${row.dataset.slug}`, unfiltered(read()));
  set(row.querySelector("[data-field=title]"), "href", href);
}

// Draws the line at which the list would end below the row of rank `n`.
export function cut(row, n) {
  const line = row.querySelector(".cut");
  if (!n || Number(row.dataset.rank) !== n) return line?.remove();
  const films = `${number(n)} more ${n === 1 ? "film" : "films"}`;
  const text = `If the list takes ${films} of this decade, as many as it has now, it ends here`;
  if (line) return put(line, text);
  const added = document.createElement("p");
  added.className = "cut";
  added.textContent = text;
  row.append(added);
}

// Marks how the rank changed since `before`; undefined if the movie was not among the first `depth` then.
export function mark(row, before, depth = Infinity) {
  const now = Number(row.dataset.rank);
  if (before === undefined && now > depth) return unmark(row);
  const change = before === undefined ? 0 : before - now;
  const kind = before === undefined ? "new" : change > 0 ? "rose" : change < 0 ? "fell" : "";
  if (!kind) return unmark(row);
  const element = row.querySelector("[data-field=mark]");
  const sign = { new: "new", rose: `▲ ${number(change)}`, fell: `▼ ${number(-change)}` }[kind];
  const words = { new: "newly shown", rose: `rose by ${number(change)}`, fell: `fell by ${number(-change)}` }[kind];
  if (element.textContent === `${sign} ${words}`) return;
  element.className = `mark ${kind}`;
  const [visible, spoken] = [document.createElement("span"), document.createElement("span")];
  visible.ariaHidden = "true";
  visible.textContent = sign;
  spoken.className = "sr";
  spoken.textContent = ` ${words}`;
  element.replaceChildren(visible, spoken);
}

export function unmark(row) {
  const element = row.querySelector("[data-field=mark]");
  set(element, "class", "mark");
  put(element, "");
}

// Highlights a changed row briefly.
export function flash(row) {
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
}
