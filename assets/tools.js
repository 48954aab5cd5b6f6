// Profiles, sliders and filters: each changes the URL.
import * as address from "./address.js";
import { record } from "./timings.js";
import { number } from "./format.js";
import { put, set } from "./row.js";

// Milliseconds. While a slider moves, at most one request per interval; the last position is always requested.
const REQUEST_INTERVAL = 40;
const TYPING_DELAY = 200;
const byId = (id) => document.getElementById(id);
const sliders = () => address.WEIGHTS.map((name) => byId(`weigh-${name}`));
const chips = () => [...byId("profiles").children];
const isDefault = (chip) => !new URLSearchParams(chip.search).get("profile");

export function startTools(go) {
  startProfiles(go);
  startSliders(go);
  startFilters(go);
  showSelection(address.read());
}

function startProfiles(go) {
  byId("profiles").addEventListener("click", (event) => {
    const chip = event.target.closest("a");
    if (!chip || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const params = address.untuned(address.read());
    if (isDefault(chip)) params.delete("profile");
    else params.set("profile", chip.dataset.profile);
    go(params, {});
    showTools(params);
  });
}

function startSliders(go) {
  let timer = 0;
  let moved = 0;
  let requested = -REQUEST_INTERVAL;
  const rank = async () => {
    clearTimeout(timer);
    timer = 0;
    requested = performance.now();
    const since = moved;
    const before = address.read();
    const params = address.fromStart(before);
    for (const slider of sliders()) params.set(slider.name, Math.round(Number(slider.value)));
    const ranked = go(params, { replace: address.isTuned(before), marks: true });
    showSelection(params);
    await ranked;
    // A timeout after a frame runs after the paint. Recorded only if no slider has moved since.
    requestAnimationFrame(() => setTimeout(() => since === moved && record("rerank", performance.now() - since)));
  };
  byId("weights").addEventListener("input", () => {
    moved = performance.now();
    const wait = requested + REQUEST_INTERVAL - moved;
    if (wait <= 0) rank();
    else timer ||= setTimeout(rank, wait);
    showWeights();
  });
  byId("weights").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", (event) => {
    event.preventDefault();
    go(address.untuned(address.read()), {});
    showTools(address.read());
  });
}

function startFilters(go) {
  const form = byId("filters");
  let timer = 0;
  const change = (replace) => {
    const params = address.fromStart(address.read());
    for (const [name, value] of new FormData(form)) {
      if (value) params.set(name, value);
      else params.delete(name);
    }
    go(params, { replace });
    showSelection(params);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!form.reportValidity()) return;
    const typed = event.target.matches("input");
    timer = setTimeout(change, typed ? TYPING_DELAY : 0, typed);
  });
}

// Sets every control to a state.
export function showTools(params) {
  const form = byId("filters");
  for (const control of form.querySelectorAll("select, input:not([type=hidden])")) {
    const fallback = control.name === "decade" || control.name === "list" ? byId("films").dataset[control.name] : "";
    control.value = params.get(control.name) ?? fallback;
  }
  const chip = selectedChip(params);
  const weights = address.isTuned(params)
    ? address.WEIGHTS.map((name) => params.get(name) ?? 0)
    : (chip?.dataset.weights.split(",") ?? []);
  sliders().forEach((slider, index) => (slider.value = weights[index] ?? 0));
  showWeights();
  showSelection(params);
}

function selectedChip(params) {
  if (address.isTuned(params)) return undefined;
  const name = params.get("profile");
  return chips().find((chip) => (name ? chip.dataset.profile === name : isDefault(chip)));
}

function showWeights() {
  for (const slider of sliders()) {
    put(slider.parentElement.querySelector("output"), number(Math.round(Number(slider.value))));
  }
}

// Updates the texts and links that depend on the state.
function showSelection(params) {
  const chip = selectedChip(params);
  put(byId("taste"), chip?.dataset.profile ?? "your weights");
  for (const each of chips()) {
    if (each === chip) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
    const target = address.untuned(params);
    if (isDefault(each)) target.delete("profile");
    else target.set("profile", each.dataset.profile);
    set(each, "href", address.link(location.pathname, target));
  }
  set(byId("reset"), "href", address.link(location.pathname, address.untuned(params)));
  for (const tab of document.querySelectorAll(".tabs a")) {
    set(tab, "href", address.link(tab.pathname, address.unfiltered(params)));
  }
  const { decade, list } = byId("filters").elements;
  put(byId("decade-name"), decade.selectedOptions[0]?.textContent ?? "");
  if (list?.selectedOptions) put(byId("list-name"), list.selectedOptions[0]?.textContent ?? "");
}
