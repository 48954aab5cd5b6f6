// What the page shows, as its address says it: the same names as the server's.

const CRITERIA = {
  popular: "popularOpinion",
  critical: "criticalAcclaim",
  industry: "industryRecognition",
  cultural: "culturalImpact",
  people: "peopleQuality",
};
export const WEIGHTS = Object.keys(CRITERIA);
const FILTERS = ["genre", "country", "q", "min"];
const films = () => document.getElementById("films");

// While the hand moves, the address bar waits until it rests: to change it costs a browser more than to show the list,
// and Safari refuses after a hundred changes in half a minute.
const REST = 250;
let ahead = null; // What is shown, and the bar does not say yet.
let timer = 0;

export const read = () => new URLSearchParams(ahead?.query ?? location.search);

// Writes what is shown from now on; `replace` keeps the step back.
export function write(params, { replace = false, moving = false }) {
  if (!moving) settle();
  clearTimeout(timer);
  ahead = { query: params.toString(), replace: replace && (ahead?.replace ?? true) };
  if (moving) timer = setTimeout(settle, REST);
  else settle();
}

function settle() {
  clearTimeout(timer);
  if (!ahead) return;
  const href = link(location.pathname, ahead.query);
  history[ahead.replace ? "replaceState" : "pushState"](history.state, "", href);
  ahead = null;
}

// A link leads back to what was shown when it was followed.
addEventListener("click", (event) => event.target.closest("a") && settle(), { capture: true });
addEventListener("popstate", () => {
  clearTimeout(timer);
  ahead = null;
});

// The same films from the first on.
export function fromStart(params) {
  const start = new URLSearchParams(params);
  start.delete("after");
  start.delete("trail");
  for (const [name, value] of [...start]) if (!value) start.delete(name);
  return start;
}

export function without(params, names) {
  const rest = new URLSearchParams(params);
  for (const name of names) rest.delete(name);
  return rest;
}

export const unfiltered = (params) => without(fromStart(params), FILTERS);
export const untuned = (params) => without(fromStart(params), WEIGHTS);
export const isTuned = (params) => WEIGHTS.some((name) => params.get(name));
export const isFiltered = (params) => FILTERS.some((name) => params.get(name));

export function link(path, params) {
  const query = params.toString();
  return query ? `${path}?${query}` : path;
}

// The arguments of a question; the names of list and decade come from the server where the address has none.
export function variables(params) {
  const asked = {
    list: params.get("list") || films().dataset.list,
    decade: Number(params.get("decade") || films().dataset.decade),
  };
  if (isTuned(params)) {
    asked.weights = Object.fromEntries(WEIGHTS.map((name) => [CRITERIA[name], Number(params.get(name) || 0)]));
  } else if (params.get("profile")) {
    asked.profile = params.get("profile");
  }
  if (isFiltered(params)) {
    const one = (name) => (params.get(name) ? [params.get(name)] : null);
    asked.filter = {
      genres: one("genre"),
      countries: one("country"),
      titleContains: params.get("q") || null,
      minScore: params.get("min") ? Number(params.get("min")) : null,
    };
  }
  return asked;
}
