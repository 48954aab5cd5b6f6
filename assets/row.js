// A row of the list: the server's row template, filled with a prediction.
import { number } from "./format.js";
import { link, read, unfiltered } from "./address.js";

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

export function fill(row, { rank, score, likelihood, coverage, source, breakdown, movie }) {
  const field = (name) => row.querySelector(`[data-field=${name}]`);
  row.dataset.id = movie.id;
  row.dataset.rank = rank ?? 0;
  put(field("rank"), rank ? number(rank) : "–");
  put(field("title"), movie.title);
  put(field("year"), String(movie.year ?? ""));
  put(field("genres"), movie.genres.map((genre) => genre.name).join(", "));
  put(field("score"), number(score, 1));
  put(field("likelihood"), number(likelihood));
  set(field("reach"), "width", likelihood.toFixed(1));
  const direct = source === "DIRECT_QUERY" ? " · computed on demand" : "";
  put(field("coverage"), `${number(coverage)} of ${number(4)} ratings known${direct}`);
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
  const href = link(`/films/${row.dataset.id}`, unfiltered(read()));
  set(row.querySelector("[data-field=title]"), "href", href);
}

// Marks how the rank changed since `before`; undefined if the movie was not shown before.
export function mark(row, before) {
  const now = Number(row.dataset.rank);
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
