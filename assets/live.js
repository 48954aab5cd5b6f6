// Live updates of the ranking, and the indicator of how current the page is.
import { OPERATIONS, execute } from "./api.js";
import { onState, subscribe } from "./socket.js";

const TOP = 100;
const CHECK = 20000; // Milliseconds between two checks of the server while it is well, ...
const CHECK_SOON = 3000; // ... and while it is not.
// From the most to the least severe.
const TEXTS = {
  offline: ["Offline", "This device has no network connection"],
  lost: ["Reconnecting…", "The server cannot be reached"],
  degraded: ["Degraded", "The server cannot reach its database: it shows what it has in memory"],
  stale: ["Updating…", "Newer scores are being computed"],
  live: ["Live", "Changes appear as soon as they are computed"],
};
const is = { lost: false, unreachable: false, degraded: false, stale: false, live: false };
let recovered = () => {};
let stop = () => {};
let followed = "";
let timer = 0;

// Registers what to do when the server is back.
export function startLive(onRecovery) {
  recovered = onRecovery;
  timer = setTimeout(checkServer, CHECK);
  for (const change of ["online", "offline"]) addEventListener(change, show);
  addEventListener("online", checkServer);
  document.addEventListener("visibilitychange", () => document.hidden || checkServer());
}

// Subscribes to the ranking of `variables`; without them only unsubscribes.
export function followUpdates(variables, apply) {
  const key = JSON.stringify(variables);
  if (key === followed) return;
  followed = key;
  stop();
  stop = () => {};
  if (!variables) return;
  const { profile, ranking, list, decade } = variables;
  stop = subscribe(OPERATIONS.updates, { profile, ranking, list, decade, top: TOP }, {
    next: ({ predictionUpdates }) => {
      apply(predictionUpdates);
      reloadIfReplaced();
    },
    failed: reloadIfReplaced,
    resumes: true,
  });
}

// While the films are generated, any change may be an import of real ones: then filters, counts and the banner are out
// of date, too.
async function reloadIfReplaced() {
  if (!document.querySelector(".banner")) return;
  const { data } = await execute(OPERATIONS.origin).catch(() => ({}));
  if (data && data.dataOrigin !== "GENERATED") location.reload();
}

// Whether the shown list is stale.
export function setStale(stale) {
  is.stale = stale;
  show();
}

// An open WebSocket says nothing about the database: hence the readiness probe.
export async function checkServer() {
  clearTimeout(timer);
  const before = is.unreachable || is.degraded;
  if (!document.hidden) {
    const response = await fetch("/health/ready", { signal: AbortSignal.timeout(CHECK_SOON) }).catch(() => null);
    const { checks } = (await response?.json().catch(() => null)) ?? {};
    // A proxy in front of the service may hide the probe, which then says nothing.
    const isHidden = !checks && [403, 404].includes(response?.status);
    is.unreachable = !checks && !isHidden;
    is.degraded = Object.values(checks ?? {}).some((result) => result !== "ok");
    show();
  }
  clearTimeout(timer);
  const ill = is.unreachable || is.degraded;
  timer = setTimeout(checkServer, ill ? CHECK_SOON : CHECK);
  if (before && !ill) recovered();
}

function show() {
  const state = !navigator.onLine ? "offline" : is.lost || is.unreachable ? "lost"
    : ["degraded", "stale", "live"].find((name) => is[name]);
  const live = document.getElementById("live");
  const [text, title] = TEXTS[state] ?? ["", ""];
  if (live.textContent !== text) live.textContent = text;
  live.title = title;
  if (state) live.dataset.state = state;
  else delete live.dataset.state;
}

onState((state) => {
  const back = is.lost && state === "live";
  is.lost = state === "lost";
  is.live = state === "live";
  show();
  if (is.live) reloadIfReplaced();
  if (is.lost) checkServer();
  if (back) recovered();
});
