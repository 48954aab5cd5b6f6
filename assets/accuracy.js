// How many of the films chosen before a ranking finds: of the shown ranking, and of each profile. Loaded after the list,
// so that neither the first view nor a re-ranking waits for it, and a failure leaves only its sentence out.
import { OPERATIONS, Refused, execute } from "./api.js";
import * as address from "./address.js";
import { isLearned, put } from "./row.js";
import { isolated, number, percent } from "./format.js";
import { currentName, profileName } from "./tools.js";

const REST = 150; // While a slider moves, it is loaded only after this many milliseconds without a move.
const byId = (id) => document.getElementById(id);
const bases = new Map(); // By list: scores that do not depend on the list, where the service has them.
let accuracies = { list: null, byProfile: new Map() };
let timer = 0;
let running = null;
let shown = ""; // What the sentence is about.

const capitalised = (text) => text[0].toUpperCase() + text.slice(1);

export function showAccuracy(params, moving = false) {
  clearTimeout(timer);
  running?.abort();
  // The sentence of another ranking must not stand beside this one.
  if (!moving && JSON.stringify(selection(params)) !== shown) clear();
  timer = setTimeout(load, moving ? REST : 0, params, (running = new AbortController()));
}

function clear() {
  shown = "";
  for (const id of ["accuracy", "own"]) put(byId(id), "");
}

// The list and what ranks its films: the formula also where the learned ranking is not served.
function selection(params) {
  const { decade, filter, ranking, ...variables } = address.variables(params);
  return isLearned() ? { ...variables, ranking } : variables;
}

async function load(params, request) {
  const variables = selection(params);
  try {
    const [{ data }] = await Promise.all([
      byBasis(OPERATIONS.accuracy, variables, request.signal),
      loadProfiles(variables.list, request.signal),
    ]);
    if (request === running) show(params, variables.list, data.validation.overall);
  } catch {
    if (request === running) clear();
  }
}

// Lists that are no targets have published scores only.
async function byBasis(operation, variables, signal) {
  const basis = bases.get(variables.list) ?? "BLIND";
  try {
    return await execute(operation, { ...variables, basis }, signal);
  } catch (error) {
    if (basis !== "BLIND" || !(error instanceof Refused)) throw error;
    bases.set(variables.list, "AS_PUBLISHED");
    return byBasis(operation, variables, signal);
  }
}

async function loadProfiles(list, signal) {
  if (accuracies.list === list) return;
  const { data } = await byBasis(OPERATIONS.accuracies, { list }, signal);
  const byProfile = new Map();
  for (const { profile, overall } of data.profileComparison.profiles) byProfile.set(profile.name, overall.accuracy);
  accuracies = { list, byProfile };
  for (const chip of byId("profiles").children) {
    const share = byProfile.get(chip.dataset.profile) ?? null;
    put(chip.querySelector("[data-accuracy]"), share === null ? "" : percent(share));
  }
}

function show(params, list, { hits, listed, accuracy, baselines }) {
  if (accuracy === null) return clear();
  shown = JSON.stringify(selection(params));
  const tuned = address.isTuned(params);
  const of = accuracies.byProfile.get(profileName());
  const compared = [];
  if ((tuned || isLearned()) && of) compared.push(`${isolated(profileName())} ${percent(of)}`);
  const votes = baselines.find(({ kind }) => kind === "VOTES")?.accuracy;
  if (votes) compared.push(`most voted alone ${percent(votes)}`);
  const name = tuned || isLearned() ? capitalised(currentName()) : isolated(currentName());
  const subject = `${name} ${tuned ? "would have found" : "found"}`;
  const shares = [percent(accuracy), ...compared].join("; ");
  const partly = bases.has(list) ? " Its scores partly use the list." : "";
  put(byId("accuracy"), `${subject} ${number(hits)} of the ${number(listed)} films chosen before (${shares}).${partly}`);
  put(byId("own"), tuned ? `Your weights would have found ${percent(accuracy)} of the films chosen before.` : "");
}
