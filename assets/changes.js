// What custom weights change in the ranking of the profile that they started from.
import { OPERATIONS, execute } from "./api.js";
import * as address from "./address.js";
import { isolated, number } from "./format.js";
import { profileName } from "./tools.js";

const CACHED = 20; // Number of states whose ranks are cached: the latest ones.
const cached = new Map(); // Ranks by state.

// Ranks under the profile by movie, and how deep they go; null if the profile itself ranks, or without a response.
export function baseline(params) {
  if (!address.isTuned(params)) return Promise.resolve(null);
  const { list, decade, filter } = address.variables(params);
  const variables = { list, decade, filter, profile: profileName() };
  const key = JSON.stringify(variables);
  if (!cached.has(key)) cached.set(key, load(variables).catch(() => void cached.delete(key)));
  if (cached.size > CACHED) cached.delete(cached.keys().next().value);
  return cached.get(key).then((ranks) => ranks ?? null);
}

async function load(variables) {
  const { nodes } = (await execute(OPERATIONS.ranks, variables)).data.predictions;
  const ranks = new Map(nodes.map(({ rank, movie }) => [movie.id, rank]));
  ranks.depth = nodes.at(-1)?.rank ?? 0;
  return ranks;
}

// Counts what rose and fell among the first rows.
export function showChanges(ranks, rows) {
  const versus = document.getElementById("versus");
  versus.hidden = !ranks;
  if (!ranks) return;
  const changes = rows.map((row) => (ranks.get(row.dataset.id) ?? Infinity) - Number(row.dataset.rank));
  const counts = [["▲", "rose", (change) => change > 0], ["▼", "fell", (change) => change < 0]];
  const parts = counts.map(([sign, kind, test]) => {
    const part = document.createElement("span");
    part.className = `mark ${kind}`;
    part.textContent = `${sign} ${number(changes.filter(test).length)}`;
    part.title = `${kind}, among the first ${number(rows.length)} films`;
    return part;
  });
  versus.replaceChildren(`vs ${isolated(profileName())}: `, parts[0], " ", parts[1]);
}
