// Runs what failed again: after the time that the server named, after growing waits, and as soon as the server is back.

const FIRST_WAIT = 1000; // Milliseconds.
const LONGEST_WAIT = 30000;
const waits = new Map(); // By kind of task: the next wait.
const waiting = new Map(); // By kind of task: what runs, and its timer.

// Replaces the task of this kind that waits. `seconds` is what the server named, if it did.
export function retryLater(kind, run, seconds) {
  stopRetrying(kind);
  const wait = waits.get(kind) ?? FIRST_WAIT;
  waits.set(kind, Math.min(wait * 2, LONGEST_WAIT));
  // With jitter, so that clients do not return all at once after an outage.
  const delay = Math.max((seconds || 0) * 1000, wait) * (1 + Math.random() / 4);
  waiting.set(kind, { run, timer: setTimeout(retry, delay, kind) });
}

function retry(kind) {
  const { run } = waiting.get(kind);
  stopRetrying(kind);
  run();
}

// Returns whether anything waited.
export function retryNow() {
  const kinds = [...waiting.keys()];
  // The first of them may make the others needless.
  for (const kind of kinds) if (waiting.has(kind)) retry(kind);
  return kinds.length > 0;
}

// What waits is no longer wanted.
export function stopRetrying(kind) {
  clearTimeout(waiting.get(kind)?.timer);
  waiting.delete(kind);
}

// The next failure of this kind is retried soon.
export function succeeded(kind) {
  stopRetrying(kind);
  waits.delete(kind);
}

addEventListener("online", retryNow);
