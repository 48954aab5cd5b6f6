// Controls: rankings, profiles, sliders, decades and filters. Each requests another state; `showTools` sets all of them to
// the state that is shown.
import * as address from "./address.js";
import { record } from "./timings.js";
import { isolated, number } from "./format.js";
import { Refused, Unavailable, inTime } from "./api.js";
import { put, set } from "./row.js";

// Milliseconds. While a slider moves, at most one request per interval; the last position is always requested.
const REQUEST_INTERVAL = 40;
const TYPING_DELAY = 200;
const byId = (id) => document.getElementById(id);
const sliders = () => address.WEIGHTS.map((name) => byId(`weigh-${name}`));
const chips = () => [...byId("profiles").children];
const rankings = () => [...byId("rankings").querySelectorAll("[data-ranking]")];
const decades = () => byId("bar").querySelector("[name=decade]");
const filters = () => [...byId("bar").querySelectorAll("[name]:not([type=hidden])")];
const isDefault = (chip) => !new URLSearchParams(chip.search).get("profile");
export const isPlain = (event) => !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.shiftKey;
let profile = ""; // The profile that ranks, or that the custom weights started from.

export function startTools(go) {
  startRankings(go);
  startProfiles(go);
  startSliders(go);
  startFilters(go);
  startSheet();
  showSelection(address.read());
  showWeights();
}

// Name of the profile that ranks, or that the custom weights started from.
export const profileName = () => profile || (chips().find(isDefault)?.dataset.profile ?? "");
// Name of what ranks, in a sentence.
export const currentName = () => byId("taste").textContent;

function onClick(container, selector, action) {
  container.addEventListener("click", (event) => {
    const link = event.target.closest(selector);
    if (!link?.href || !isPlain(event)) return;
    event.preventDefault();
    action(link);
  });
}

function startRankings(go) {
  onClick(byId("rankings"), "[data-ranking]", (chip) => go(rankedBy(chip, address.target()), {}));
}

const rankedBy = (chip, params) =>
  chip.dataset.ranking ? address.byLearned(params, chip.dataset.ranking) : address.byFormula(params);

function underProfile(chip, params) {
  const target = address.byFormula(address.untuned(params));
  if (isDefault(chip)) target.delete("profile");
  else target.set("profile", chip.dataset.profile);
  return target;
}

function startProfiles(go) {
  onClick(byId("profiles"), "a", (chip) => go(underProfile(chip, address.target()), {}));
  onClick(byId("weights"), "#reset", () => {
    const chip = chips().find((each) => each.dataset.profile === profileName());
    go(chip ? underProfile(chip, address.target()) : address.untuned(address.target()), {});
  });
}

function startSliders(go) {
  let timer = 0;
  let movedAt = 0;
  let requested = -REQUEST_INTERVAL;
  const moved = new Set();
  const rank = async () => {
    clearTimeout(timer);
    timer = 0;
    requested = performance.now();
    const since = movedAt;
    const before = address.target();
    const params = address.byFormula(before);
    // Keeps weights that were requested before and are not shown yet.
    for (const slider of sliders()) {
      if (address.isTuned(before) && !moved.has(slider)) continue;
      params.set(slider.name, Math.round(Number(slider.value)));
    }
    moved.clear();
    await go(params, { replace: address.isTuned(address.read()), moving: true });
    // A timeout after a frame runs after the paint. Recorded only if no slider has moved since.
    requestAnimationFrame(() => setTimeout(() => since === movedAt && record("rerank", performance.now() - since)));
  };
  byId("weights").addEventListener("input", ({ target }) => {
    moved.add(target);
    movedAt = performance.now();
    const wait = requested + REQUEST_INTERVAL - movedAt;
    if (wait <= 0) rank();
    else timer ||= setTimeout(rank, wait);
    showWeights();
  });
  byId("weights").addEventListener("submit", (event) => event.preventDefault());
}

function startFilters(go) {
  const changed = new Map();
  let timer = 0;
  const change = (replace) => {
    const params = address.fromStart(address.target());
    for (const [name, value] of changed) {
      if (value) params.set(name, value);
      else params.delete(name);
    }
    // The other list may have no learned ranking, and then no probabilities.
    if (changed.has("list")) params.delete("probability");
    changed.clear();
    go(params, { replace });
  };
  const bar = byId("bar");
  bar.addEventListener("submit", (event) => event.preventDefault());
  bar.addEventListener("input", ({ target }) => {
    clearTimeout(timer);
    if (!target.reportValidity()) return;
    changed.set(target.name, target.value);
    const typed = target.matches("input");
    timer = setTimeout(change, typed ? TYPING_DELAY : 0, typed);
  });
  onClick(bar, ".step", ({ search }) => {
    const params = address.fromStart(address.target());
    params.set("decade", new URLSearchParams(search).get("decade"));
    go(params, {});
  });
  onClick(bar, "[data-drop]", ({ dataset }) => {
    go(address.without(address.fromStart(address.target()), [dataset.drop]), {});
  });
  // The panel of filters closes like a menu.
  const box = byId("filter-box");
  document.addEventListener("click", (event) => box?.open && !box.contains(event.target) && (box.open = false));
  box?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    box.open = false;
    box.firstElementChild.focus();
  });
}

// On narrow screens, the tuner is a sheet over the lower part of the list.
function startSheet() {
  const [sheet, opener] = [byId("tuner"), byId("tune")];
  const toggle = (open) => {
    sheet.classList.toggle("open", open);
    opener.setAttribute("aria-expanded", open);
    if (open) byId("bar").scrollIntoView();
    (open ? sheet.querySelector("a[href], input") : opener).focus({ preventScroll: true });
  };
  opener.role = "button";
  opener.setAttribute("aria-expanded", "false");
  onClick(opener.parentElement, "#tune", () => toggle(!sheet.classList.contains("open")));
  onClick(sheet, ".close", () => toggle(false));
  sheet.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && sheet.classList.contains("open")) toggle(false);
  });
}

// What the change to `params` would have done, for a message that it failed.
export function describe(params) {
  const shown = address.read();
  const differs = (...names) => names.some((name) => (params.get(name) ?? "") !== (shown.get(name) ?? ""));
  if (differs("decade")) return `show the ${params.get("decade") || byId("films").dataset.decade}s`;
  if (differs("list")) return "show the other list";
  if (address.isTuned(params) && differs(...address.WEIGHTS)) return "re-rank by your weights";
  if (differs("ranking", "profile", ...address.WEIGHTS)) {
    const chosen = selectedChip(params)?.dataset.profile;
    return `rank by ${selectedRanking(params)?.dataset.name || (chosen ? isolated(chosen) : "this profile")}`;
  }
  return filters().some(({ name }) => differs(name)) ? "apply the filters" : "show the list";
}

// Each list has rankings and decades of its own: for another list, takes them from the server's page of the state. Returns
// what sets them.
export async function loadControls(params, signal) {
  const list = params.get("list") || byId("films").dataset.list;
  const old = byId("rankings");
  if (old.dataset.list === list) return () => {};
  const headers = { accept: "text/html" };
  const response = await fetch(address.link(address.PATH, params), { headers, signal: inTime(signal) });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!response.ok) {
    const reason = page.querySelector(".problem p")?.textContent ?? response.statusText;
    if (response.status < 500) throw new Refused(reason);
    throw new Unavailable(reason, Number(response.headers.get("retry-after")));
  }
  return () => {
    old.dataset.list = list;
    old.replaceChildren(...page.getElementById("rankings").children);
    decades().replaceChildren(...page.querySelector("#bar [name=decade]").children);
  };
}

// The rank at which the list would end, if it took as many films of the decade as it has; 0 if it shows no such end.
export function cutRank(kind) {
  const shown = address.read();
  if (kind !== "predictions" || address.isFiltered(shown)) return 0;
  const decade = shown.get("decade") || byId("films").dataset.decade;
  return Number([...decades().options].find(({ value }) => value === decade)?.dataset.listed ?? 0);
}

// Sets every control to a state. While a slider moves, the sliders are ahead of it; `keepInput` keeps what is being typed
// or dragged, and is for a state that was shown before.
export function showTools(params, { moving = false, keepInput = false } = {}) {
  for (const control of filters()) {
    const isFocused = control === document.activeElement && control.matches("input");
    if (isFocused && (keepInput || control.value)) continue;
    const fallback = control.name === "decade" || control.name === "list" ? byId("films").dataset[control.name] : "";
    const value = params.get(control.name) ?? fallback;
    if (control.value !== value) control.value = value;
  }
  const chip = selectedChip(params);
  const tuned = address.isTuned(params);
  const weights = tuned ? address.WEIGHTS.map((name) => params.get(name) ?? 0) : (chip?.dataset.weights.split(",") ?? []);
  sliders().forEach((slider, index) => {
    if (moving || (keepInput && slider.matches(":active"))) return;
    slider.value = weights[index] ?? 0;
  });
  if (!moving) showWeights();
  showSelection(params);
}

// The chip of the learned ranking, if the list has it, or else of the formula; none if no ranking was trained.
function selectedRanking(params) {
  const name = params.get("ranking") ?? "";
  return rankings().find((chip) => chip.dataset.ranking === name) ?? rankings()[0];
}

function selectedChip(params) {
  if (address.isTuned(params) || selectedRanking(params)?.dataset.ranking) return undefined;
  const name = params.get("profile");
  return chips().find((chip) => (name ? chip.dataset.profile === name : isDefault(chip)));
}

// Shows the sliders as shares of the score, whole percentages that sum to 100: the largest remainders are rounded up.
function showWeights() {
  const values = sliders().map((slider) => Number(slider.value));
  const sum = values.reduce((one, other) => one + other, 0) || 1;
  const exact = values.map((value) => (value / sum) * 100);
  const shares = exact.map(Math.floor);
  const missing = 100 - shares.reduce((one, other) => one + other, 0);
  const order = exact.map((_, index) => index).sort((one, other) => exact[other] % 1 - (exact[one] % 1));
  if (values.some(Boolean)) for (const index of order.slice(0, missing)) shares[index] += 1;
  sliders().forEach((slider, index) => {
    put(slider.parentElement.querySelector("output"), `${number(shares[index])} %`);
    set(slider, "aria-valuetext", `${number(shares[index])} % of the score`);
  });
}

function choose(element, isChosen) {
  if (isChosen) element.setAttribute("aria-current", "true");
  else element.removeAttribute("aria-current");
}

// Updates the switch, and the filter that this ranking has.
function showRanking(params, selected) {
  for (const each of rankings()) {
    choose(each, each === selected);
    set(each, "href", address.link(address.PATH, rankedBy(each, params)));
  }
  const unavailable = byId("rankings").querySelector("[data-unavailable]");
  if (unavailable) unavailable.hidden = (selected?.dataset.ranking ?? "") === (params.get("ranking") ?? "");
  const card = byId("rankings").querySelector("[data-card]");
  if (card) set(card, "href", address.link(card.pathname, address.unfiltered(params)));
  const learned = Boolean(selected?.dataset.ranking);
  for (const control of filters()) {
    if (control.name === "min") control.disabled = learned;
    if (control.name === "probability") control.disabled = !learned;
  }
}

// Updates the links to the decades before and after.
function showDecades(params) {
  const { options, selectedIndex } = decades();
  for (const [id, option] of [["earlier", options[selectedIndex + 1]], ["later", options[selectedIndex - 1]]]) {
    const link = byId(id);
    link.ariaDisabled = option ? null : "true";
    if (!option) {
      link.removeAttribute("href");
      continue;
    }
    const target = address.fromStart(params);
    target.set("decade", option.value);
    set(link, "href", address.link(address.PATH, target));
  }
}

// Updates the filters that are on: their number, and a link each to remove it.
function showTokens(params) {
  const tokens = byId("tokens");
  if (!tokens) return;
  const label = {
    q: (text) => `“${text}”`,
    preferred: (text) => `Preferred by ${text}`,
    min: (text) => `Score ≥ ${text}`,
    probability: (text) => `Probability ≥ ${text} %`,
  };
  const named = filters().filter(({ name }) => params.get(name) && name !== "decade" && name !== "list");
  const shown = JSON.stringify(named.map(({ name }) => [name, params.get(name)]));
  // A token that has the focus keeps it.
  if (tokens.dataset.shown === shown) return;
  tokens.dataset.shown = shown;
  tokens.replaceChildren(...named.map((control) => {
    const token = byId("token").content.firstElementChild.cloneNode(true);
    const link = token.firstElementChild;
    const value = params.get(control.name);
    const option = control.options && [...control.options].find((each) => each.value === value);
    link.querySelector("bdi").textContent = label[control.name]?.(value) ?? option?.textContent ?? value;
    link.dataset.drop = control.name;
    link.href = address.link(address.PATH, address.without(address.fromStart(params), [control.name]));
    return token;
  }));
  put(byId("filter-count"), named.length ? number(named.length) : "");
}

// Updates the texts and links that depend on the state.
function showSelection(params) {
  const chip = selectedChip(params);
  const ranking = selectedRanking(params);
  profile = chip?.dataset.profile ?? params.get("profile") ?? "";
  showRanking(params, ranking);
  put(byId("taste"), ranking?.dataset.name || (chip?.dataset.profile ?? "your weights"));
  put(byId("tune-name"), currentName());
  for (const each of chips()) {
    choose(each, each === chip);
    set(each, "href", address.link(address.PATH, underProfile(each, params)));
  }
  const reset = byId("reset");
  set(reset, "href", address.link(address.PATH, address.untuned(params)));
  reset.hidden = !address.isTuned(params);
  put(reset, `Reset to ${isolated(profileName())}`);
  for (const link of document.querySelectorAll(".tabs a, [data-keep]")) {
    set(link, "href", address.link(link.pathname, address.unfiltered(params)));
  }
  for (const link of document.querySelectorAll("[data-reset]")) {
    const target = link.dataset.reset === "start" ? address.fromStart(params) : address.unfiltered(params);
    set(link, "href", address.link(address.PATH, target));
  }
  showDecades(params);
  showTokens(params);
  const [decade] = decades().selectedOptions;
  put(byId("decade-name"), decade?.textContent ?? "");
  const list = byId("bar").querySelector("select[name=list]");
  if (list) put(byId("list-name"), list.selectedOptions[0]?.textContent ?? "");
  document.title = document.title.replace(/\d+s/, decade?.textContent ?? "");
}
