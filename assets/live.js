// Live updates of the ranking.
import { OPERATIONS, execute } from "./api.js";
import { onState, subscribe } from "./socket.js";

const TOP = 100;
const TEXTS = { live: "Live", lost: "Connection lost. Reconnecting…", "": "" };
let stop = () => {};
let followed = "";

// Subscribes to the ranking of `variables`; without them only unsubscribes.
export function followUpdates(variables, apply) {
  const key = JSON.stringify(variables);
  if (key === followed) return;
  followed = key;
  stop();
  stop = () => {};
  if (!variables) return;
  const { profile, list, decade } = variables;
  stop = subscribe(OPERATIONS.updates, { profile, list, decade, top: TOP }, {
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

onState((state) => {
  if (state === "live") reloadIfReplaced();
  const live = document.getElementById("live");
  if (!live) return;
  live.textContent = TEXTS[state];
  if (state) live.dataset.state = state;
  else delete live.dataset.state;
});
