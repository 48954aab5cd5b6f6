// The poster in a row of the list, or the tile in its place, as the server renders them.

const SIZE = { width: 26, height: 39 };

// The first letter or digit of a title, after an article.
function initial(title) {
  const letter = (text) => text.match(/[\p{Alphabetic}\p{N}]/u)?.[0];
  const rest = title.trim().replace(/^((the|an|a)(\s+|$))+/i, "");
  return (letter(rest) ?? letter(title) ?? "").toUpperCase();
}

function image(url) {
  const poster = Object.assign(new Image(), { ...SIZE, className: "poster", alt: "", loading: "lazy", decoding: "async" });
  poster.referrerPolicy = "no-referrer";
  poster.src = url;
  return poster;
}

function tile(title) {
  const poster = document.createElement("span");
  poster.className = "poster tile";
  poster.ariaHidden = "true";
  poster.appendChild(document.createElement("b")).textContent = initial(title);
  return poster;
}

// Shows the poster of a movie in a row. The row has a place for it only where the operator has set where posters are.
export function fillPoster(row, { title, posterUrl }) {
  const old = row.querySelector(".poster");
  if (!old) return;
  const isShown = posterUrl ? old.src === posterUrl : old.matches(".tile") && old.textContent === initial(title);
  // Not changed in place: until the new image is there, a browser would show the old one.
  if (!isShown) old.replaceWith(posterUrl ? image(posterUrl) : tile(title));
}
