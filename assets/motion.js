// Motion of the rows that a new ranking moves: each starts at its old place.

const DURATION = 150; // Milliseconds.
const still = matchMedia("(prefers-reduced-motion: reduce)");

// Where the rows in view are, by movie.
export function positions(films) {
  const places = new Map();
  if (still.matches) return places;
  for (const row of films.children) {
    const { top } = row.getBoundingClientRect();
    if (top > innerHeight) break;
    places.set(row.dataset.id, top);
  }
  return places;
}

// Moves the rows in view to their new places.
export function moved(films, was) {
  if (!was.size) return;
  const moves = [];
  for (const row of films.children) {
    for (const animation of row.getAnimations()) animation.cancel();
    const { top } = row.getBoundingClientRect();
    if (top > innerHeight) break;
    const from = was.get(row.dataset.id);
    if (from === undefined) moves.push([row, [{ opacity: 0 }, { opacity: 1 }]]);
    else if (from !== top) moves.push([row, [{ transform: `translateY(${from - top}px)` }, { transform: "none" }]]);
  }
  for (const [row, frames] of moves) row.animate(frames, { duration: DURATION, easing: "ease-out" });
}
