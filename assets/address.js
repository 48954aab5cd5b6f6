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

export const read = () => new URLSearchParams(location.search);

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
