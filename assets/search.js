// The search box: films of all years and people while one types, as an ARIA combobox with a list.
import { OPERATIONS, execute } from "./api.js";
import * as address from "./address.js";
import { number, probability } from "./format.js";
import { isLearned } from "./row.js";

const DELAY = 60; // Milliseconds without a key press after which a search starts.
const SHOWN = 8;
let form, input, list, status;
let timer = 0;
let request = null; // Aborts the running search.
let active = -1; // The chosen option.

export function startSearch() {
  form = document.getElementById("search");
  if (!form) return;
  input = form.elements.q;
  // They keep the state of the page as it was loaded; `submit` sends the state that is shown.
  for (const field of form.querySelectorAll("[type=hidden]")) field.remove();
  list = document.getElementById("found");
  status = document.getElementById("search-status");
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", list.id], ["aria-autocomplete", "list"]])
    input.setAttribute(name, value);
  input.addEventListener("input", later);
  // Not when it gets the focus: a dialog that closes gives it back.
  input.addEventListener("click", () => input.value.trim() && !list.children.length && later());
  input.addEventListener("keydown", onKey);
  form.addEventListener("submit", submit);
  form.addEventListener("focusout", (event) => !form.contains(event.relatedTarget) && close());
  // The box keeps the focus while an option is pressed.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => open(event.target.closest("[role=option]")));
  document.addEventListener("click", (event) => {
    const all = event.target.closest("[data-search-all]");
    if (all) all.href = address.link("/search", address.fromStart(address.read()));
  }, { capture: true });
}

function later() {
  clearTimeout(timer);
  request?.abort();
  request = null;
  // What was chosen among the films of another text is not chosen any more.
  choose(-1);
  if (!input.value.trim()) return close();
  timer = setTimeout(search, DELAY);
}

// The list and the weights of the page; the filters of its list do not apply.
function selection() {
  const { profile, weights, ranking, list: key } = address.variables(address.read(), form.dataset.list);
  return { profile, weights, ranking, list: key };
}

async function search() {
  request?.abort();
  const current = (request = new AbortController());
  const text = input.value;
  try {
    const { data } = await execute(OPERATIONS.search, { ...selection(), search: text, first: SHOWN }, current.signal);
    if (request === current) show(text, data.movies, data.people.nodes);
  } catch (error) {
    if (request !== current || error.name === "AbortError") return;
    show(text, { nodes: [] }, [], "The search did not succeed. Press Enter to try again.");
  }
}

function show(text, { nodes, pageInfo }, people, problem) {
  list.replaceChildren(...nodes.map(film), ...people.map(person));
  for (const [index, item] of [...list.children].entries()) item.id = `found-${index}`;
  if (!list.children.length) {
    const empty = document.createElement("li");
    empty.className = "none";
    empty.setAttribute("role", "option");
    empty.setAttribute("aria-disabled", "true");
    empty.textContent = problem ?? `No film or person is called “\u2068${text.trim()}\u2069”. Try fewer words, or the original title.`;
    list.append(empty);
  }
  const counts = [
    nodes.length && `${nodes.length}${pageInfo.hasNextPage ? " or more" : ""} ${nodes.length === 1 ? "film" : "films"}`,
    people.length && `${people.length} ${people.length === 1 ? "person" : "people"}`,
  ];
  status.textContent = counts.filter(Boolean).join(", ") || list.textContent;
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
  choose(-1);
}

function option(path, name, ...parts) {
  const item = document.createElement("li");
  item.setAttribute("role", "option");
  item.dataset.href = address.link(path, address.unfiltered(address.read()));
  item.append(part("found-title", name), ...parts);
  item.firstChild.dir = "auto";
  return item;
}

const person = ({ slug, name, knownForDepartment }) =>
  option(`/people/${slug}`, name, part("found-year", ""), part("found-standing", knownForDepartment ?? "Cast or crew"), part("found-value", ""));

function film({ slug, title, originalTitle, year, decade, prediction }) {
  const item = option(`/films/${slug}`, title, part("found-year", year ?? ""),
    part("found-standing", standing(prediction, decade)), part("found-value", value(prediction)));
  if (originalTitle && originalTitle !== title) {
    const original = item.firstChild.appendChild(document.createElement("small"));
    original.dir = "auto";
    original.textContent = ` ${originalTitle}`;
  }
  return item;
}

function part(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function standing(prediction, decade) {
  if (prediction?.status === "LISTED") return "On the list";
  return prediction?.rank && decade ? `Rank ${number(prediction.rank)} of the ${decade}s` : "Not ranked";
}

function value(prediction) {
  if (!prediction) return "";
  if (!isLearned()) return number(prediction.score, 1);
  return prediction.probability === null ? "–" : probability(prediction.probability);
}

function choose(index) {
  const options = [...list.querySelectorAll("[data-href]")];
  active = options.length ? Math.max(-1, Math.min(index, options.length - 1)) : -1;
  for (const [at, item] of options.entries()) item.setAttribute("aria-selected", String(at === active));
  if (active < 0) return input.removeAttribute("aria-activedescendant");
  input.setAttribute("aria-activedescendant", options[active].id);
  options[active].scrollIntoView({ block: "nearest" });
}

function close() {
  clearTimeout(timer);
  request?.abort();
  request = null;
  list.hidden = true;
  list.replaceChildren();
  status.textContent = "";
  input.setAttribute("aria-expanded", "false");
  choose(-1);
}

function onKey(event) {
  // Keys of an input method belong to it.
  if (event.isComposing) return;
  if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    close();
  } else if (event.key === "Escape" && !input.value) {
    input.blur();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) later();
    else choose(active + (event.key === "ArrowDown" ? 1 : -1));
  }
}

function submit(event) {
  event.preventDefault();
  const chosen = active >= 0 && list.querySelector(`#found-${active}`);
  if (chosen) return open(chosen);
  if (!input.value.trim()) return;
  const params = address.unfiltered(address.read());
  params.set("q", input.value);
  location.assign(address.link("/search", params));
}

// Follows a link to the film, which the other scripts may show in a dialog.
function open(item) {
  if (!item?.dataset.href) return;
  const anchor = document.createElement("a");
  anchor.href = item.dataset.href;
  anchor.textContent = item.querySelector(".found-title").firstChild.textContent;
  anchor.hidden = true;
  close();
  // A dialog gives the focus back when it is closed: then the keys of the page should work, not type.
  input.blur();
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}
