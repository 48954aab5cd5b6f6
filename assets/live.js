// Changes of the data, as they happen.
import { QUESTIONS } from "./api.js";
import { onState, subscribe } from "./socket.js";

const TOP = 100;
const TEXTS = { live: "Live", lost: "Connection lost – trying again", "": "" };
let stop = () => {};
let followed = "";

// Follows the list that `variables` ask for, or none.
export function followUpdates(variables, apply) {
  const wanted = JSON.stringify(variables);
  if (wanted === followed) return;
  followed = wanted;
  stop();
  stop = () => {};
  if (!variables) return;
  const { profile, list, decade } = variables;
  stop = subscribe(QUESTIONS.updates, { profile, list, decade, top: TOP }, {
    next: ({ predictionUpdates }) => apply(predictionUpdates),
    resumes: true,
  });
}

onState((state) => {
  const live = document.getElementById("live");
  if (!live) return;
  live.textContent = TEXTS[state];
  if (state) live.dataset.state = state;
  else delete live.dataset.state;
});
