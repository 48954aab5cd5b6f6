// What people waited for, sent once in a while.

const URL = "/page/timings";
const MOST = 40;
let waiting = [];

export function note(phase, milliseconds) {
  if (milliseconds > 0 && waiting.length < MOST) waiting.push({ phase, seconds: milliseconds / 1000 });
}

// The list is there and answers to the hand.
export function usable() {
  note("first_list", performance.now());
}

export function startTimings() {
  const [navigation] = performance.getEntriesByType("navigation");
  // A page that was restored or prerendered was not waited for.
  if (navigation && !navigation.activationStart) note("ttfb", navigation.responseStart);
  addEventListener("visibilitychange", () => document.visibilityState === "hidden" && send());
  addEventListener("pagehide", send);
  setTimeout(send, 3000);
}

function send() {
  if (!waiting.length) return;
  navigator.sendBeacon(URL, new Blob([JSON.stringify(waiting)], { type: "application/json" }));
  waiting = [];
}
