// Copies the address of the page, and keeps the link to the CSV file in step with the list.
import { fromStart, link, read } from "./address.js";

// Shows the buttons of `root` that copy, where the browser can: not on pages without a secure connection.
export function offerCopying(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Link copied";
  } catch {
    button.textContent = "The browser did not allow it";
  }
}

export function startSharing() {
  offerCopying(document);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
  // Before a click and before the address is copied.
  for (const type of ["pointerover", "focusin"]) {
    document.addEventListener(type, (event) => {
      const file = event.target.closest?.("a[download]");
      if (file) file.href = link(new URL(file.href).pathname, fromStart(read()));
    });
  }
}
