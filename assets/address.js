// The state of the page, encoded in its URL with the same parameter names as on the server.

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

// While a slider moves, the URL is updated only after it rests for this many milliseconds: updating it costs a browser
// more than rendering the list, and Safari allows only a hundred updates in 30 seconds.
const REST = 250;
let pending = null; // The state that is shown and not yet in the URL.
let timer = 0;

export const read = () => new URLSearchParams(pending?.query ?? location.search);

// Sets the state. `replace` adds no history entry; `moving` delays the update of the URL.
export function write(params, { replace = false, moving = false }) {
  if (!moving) commit();
  clearTimeout(timer);
  pending = { query: params.toString(), replace: replace && (pending?.replace ?? true) };
  if (moving) timer = setTimeout(commit, REST);
  else commit();
}

function commit() {
  clearTimeout(timer);
  if (!pending) return;
  const href = link(location.pathname, pending.query);
  history[pending.replace ? "replaceState" : "pushState"](history.state, "", href);
  pending = null;
}

// Commits before navigation, so that Back returns to the state that was shown.
addEventListener("click", (event) => event.target.closest("a") && commit(), { capture: true });
addEventListener("popstate", () => {
  clearTimeout(timer);
  pending = null;
});

// The same state on the first page, without empty parameters.
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

// GraphQL variables of a state. List and decade default to those that the server rendered.
export function variables(params) {
  const result = {
    list: params.get("list") || films().dataset.list,
    decade: Number(params.get("decade") || films().dataset.decade),
  };
  if (isTuned(params)) {
    result.weights = Object.fromEntries(WEIGHTS.map((name) => [CRITERIA[name], Number(params.get(name) || 0)]));
  } else if (params.get("profile")) {
    result.profile = params.get("profile");
  }
  if (isFiltered(params)) {
    const one = (name) => (params.get(name) ? [params.get(name)] : null);
    result.filter = {
      genres: one("genre"),
      countries: one("country"),
      titleContains: params.get("q") || null,
      minScore: params.get("min") ? Number(params.get("min")) : null,
    };
  }
  return result;
}
