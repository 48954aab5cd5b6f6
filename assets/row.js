// One film of the list: the server's markup, filled.
import { number } from "./format.js";
import { link, read, unfiltered } from "./address.js";

const template = () => document.getElementById("film-row").content.firstElementChild;

export function make(prediction) {
  const row = template().cloneNode(true);
  fill(row, prediction);
  return row;
}

export function fill(row, { rank, score, likelihood, coverage, source, breakdown, movie }) {
  const field = (name) => row.querySelector(`[data-field=${name}]`);
  row.dataset.id = movie.id;
  row.dataset.rank = rank ?? 0;
  field("rank").textContent = rank ? number(rank) : "–";
  field("title").textContent = movie.title;
  field("year").textContent = movie.year ?? "";
  field("genres").textContent = movie.genres.map((genre) => genre.name).join(", ");
  field("score").textContent = number(score, 1);
  field("likelihood").textContent = number(likelihood);
  field("reach").setAttribute("width", likelihood.toFixed(1));
  const direct = source === "DIRECT_QUERY" ? " · computed directly" : "";
  field("coverage").textContent = `${number(coverage)} of ${number(4)} ratings known${direct}`;
  relink(row);
  let start = 0;
  row.querySelectorAll(".parts rect").forEach((part, index) => {
    const points = breakdown[index].contribution;
    part.setAttribute("x", start.toFixed(2));
    part.setAttribute("width", points.toFixed(2));
    const title = part.firstElementChild;
    title.textContent = `${title.textContent.split(":")[0]}: ${number(points, 1)}`;
    start += points;
  });
}

// Its link leads to the film as it is ranked now.
export function relink(row) {
  const href = link(`/films/${row.dataset.id}`, unfiltered(read()));
  row.querySelector("[data-field=title]").setAttribute("href", href);
}

// How it moved since `before`, its rank then; none before: it was not among those shown.
export function mark(row, before) {
  const now = Number(row.dataset.rank);
  const by = before === undefined ? 0 : before - now;
  const kind = before === undefined ? "new" : by > 0 ? "rose" : by < 0 ? "fell" : "";
  const element = row.querySelector("[data-field=mark]");
  element.className = `mark ${kind}`;
  const sign = { new: "new", rose: `▲ ${number(by)}`, fell: `▼ ${number(-by)}` }[kind] ?? "";
  const words = { new: "newly shown", rose: `rose by ${number(by)}`, fell: `fell by ${number(-by)}` }[kind] ?? "";
  element.textContent = "";
  if (!kind) return;
  const [seen, heard] = [document.createElement("span"), document.createElement("span")];
  seen.ariaHidden = "true";
  seen.textContent = sign;
  heard.className = "sr";
  heard.textContent = ` ${words}`;
  element.append(seen, heard);
}

export function unmark(row) {
  const element = row.querySelector("[data-field=mark]");
  element.className = "mark";
  element.textContent = "";
}

// Draws the eye to it for a moment.
export function flash(row) {
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
}
