// The state of the page, encoded in its URL with the same parameter names as on the server.

const CRITERIA = {
  popular: "popularOpinion",
  critical: "criticalAcclaim",
  industry: "industryRecognition",
  cultural: "culturalImpact",
  people: "peopleQuality",
};
export const WEIGHTS = Object.keys(CRITERIA);
const FILTERS = ["genre", "country", "preferred", "q", "min", "probability"];
const LEARNED = { learned: "LEARNED", "learned-without-lists": "LEARNED_WITHOUT_LISTS" };
const OF_FORMULA = [...WEIGHTS, "profile", "min"]; // Parameters that a learned ranking does not have.
const OF_LEARNED = ["ranking", "probability"];
const films = () => document.getElementById("films");

// While a slider moves, the URL is updated only after it rests for this many milliseconds: updating it costs a browser
// more than rendering the list, and Safari allows only a hundred updates in 30 seconds.
const REST = 250;
// The path of the list, also while a film is open in the dialog, which has its own URL.
export const { pathname: PATH } = location;
let shown = new URLSearchParams(location.search).toString();
let wanted = null; // The state that is requested and not shown yet.
let pending = null; // How the URL is to be updated to the shown state.
let timer = 0;

// The state of the list that is shown.
export const read = () => new URLSearchParams(shown);
// The state that the next change starts from: the latest requested one, shown or not.
export const target = () => new URLSearchParams(wanted ?? shown);
export const want = (params) => (wanted = params?.toString() ?? null);
// Whether the URL is that of the shown state. It is not while Back or Forward could not load their state yet.
export const isShown = () =>
  Boolean(pending) || location.pathname !== PATH || new URLSearchParams(location.search).toString() === shown;

// Makes `params` the shown state. `history` is "push", "replace", or "none" if the browser has the URL already; `moving`
// delays the update of the URL.
export function show(params, { history = "push", moving = false }) {
  wanted = null;
  if (!moving) commit();
  clearTimeout(timer);
  shown = params.toString();
  if (history === "none") return;
  pending = { query: shown, replace: history === "replace" && (pending?.replace ?? true) };
  if (moving) timer = setTimeout(commit, REST);
  else commit();
}

function commit() {
  clearTimeout(timer);
  if (!pending) return;
  // A film is open in the dialog, which has its own URL.
  if (location.pathname !== PATH) return void (pending.deferred = true);
  const href = link(PATH, pending.query);
  history[pending.replace ? "replaceState" : "pushState"](history.state, "", href);
  pending = null;
}

// Commits before navigation, so that Back returns to the state that was shown.
addEventListener("click", (event) => event.target.closest("a") && commit(), { capture: true });
addEventListener("popstate", () => {
  clearTimeout(timer);
  if (pending?.deferred) commit();
  else pending = null;
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
// The same state ranked by the formula, or by a learned ranking.
export const byFormula = (params) => without(fromStart(params), OF_LEARNED);
export function byLearned(params, ranking) {
  const learned = without(fromStart(params), OF_FORMULA);
  learned.set("ranking", ranking);
  return learned;
}
// As on the server, a learned ranking wins over weights and a profile.
export const isTuned = (params) => !params.get("ranking") && WEIGHTS.some((name) => params.get(name));
export const isFiltered = (params) => FILTERS.some((name) => params.get(name));

export function link(path, params) {
  const query = params.toString();
  return query ? `${path}?${query}` : path;
}

// GraphQL variables of a state. List and decade default to those that the server rendered; a page without films gives its
// list.
export function variables(params, list = films()?.dataset.list) {
  const result = {
    list: params.get("list") || list,
    decade: Number(params.get("decade") || films()?.dataset.decade),
  };
  const learned = LEARNED[params.get("ranking")];
  if (learned) {
    result.ranking = learned;
  } else if (isTuned(params)) {
    result.weights = Object.fromEntries(WEIGHTS.map((name) => [CRITERIA[name], Number(params.get(name) || 0)]));
  } else if (params.get("profile")) {
    result.profile = params.get("profile");
  }
  if (isFiltered(params)) {
    const one = (name) => (params.get(name) ? [params.get(name)] : null);
    result.filter = {
      genres: one("genre"),
      countries: one("country"),
      preferredBy: params.get("preferred")?.toUpperCase() || null,
      titleContains: params.get("q") || null,
      minScore: !learned && params.get("min") ? Number(params.get("min")) : null,
      minProbability: learned && params.get("probability") ? Number(params.get("probability")) / 100 : null,
    };
  }
  return result;
}
