// One film of the list: the server's markup, filled.
import { number } from "./format.js";
import { link, read, unfiltered } from "./address.js";

const template = () => document.getElementById("film-row").content.firstElementChild;

// Writes only what differs: what is written is styled, laid out and painted again.
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
  const direct = source === "DIRECT_QUERY" ? " · computed directly" : "";
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

// Its link leads to the film as it is ranked now.
export function relink(row) {
  const href = link(`/films/${row.dataset.id}`, unfiltered(read()));
  set(row.querySelector("[data-field=title]"), "href", href);
}

// How it moved since `before`, its rank then; none before: it was not among those shown.
export function mark(row, before) {
  const now = Number(row.dataset.rank);
  const by = before === undefined ? 0 : before - now;
  const kind = before === undefined ? "new" : by > 0 ? "rose" : by < 0 ? "fell" : "";
  if (!kind) return unmark(row);
  const element = row.querySelector("[data-field=mark]");
  const sign = { new: "new", rose: `▲ ${number(by)}`, fell: `▼ ${number(-by)}` }[kind];
  const words = { new: "newly shown", rose: `rose by ${number(by)}`, fell: `fell by ${number(-by)}` }[kind];
  if (element.textContent === `${sign} ${words}`) return;
  element.className = `mark ${kind}`;
  const [seen, heard] = [document.createElement("span"), document.createElement("span")];
  seen.ariaHidden = "true";
  seen.textContent = sign;
  heard.className = "sr";
  heard.textContent = ` ${words}`;
  element.replaceChildren(seen, heard);
}

export function unmark(row) {
  const element = row.querySelector("[data-field=mark]");
  set(element, "class", "mark");
  put(element, "");
}

// Draws the eye to it for a moment.
export function flash(row) {
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
}
