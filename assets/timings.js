// Timings of the page: recorded here and reported in batches.

const URL = "/page/timings";
const MAX_TIMINGS = 40;
let timings = [];

export function record(phase, milliseconds) {
  if (milliseconds > 0 && timings.length < MAX_TIMINGS) timings.push({ phase, seconds: milliseconds / 1000 });
}

// The list is shown and interactive.
export function usable() {
  record("first_list", performance.now());
}

export function startTimings() {
  const [navigation] = performance.getEntriesByType("navigation");
  // Prerendered pages have no wait to measure.
  if (navigation && !navigation.activationStart) record("ttfb", navigation.responseStart);
  addEventListener("visibilitychange", () => document.visibilityState === "hidden" && send());
  addEventListener("pagehide", send);
  setTimeout(send, 3000);
}

function send() {
  if (!timings.length) return;
  navigator.sendBeacon(URL, new Blob([JSON.stringify(timings)], { type: "application/json" }));
  timings = [];
}
