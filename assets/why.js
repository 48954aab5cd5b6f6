// Shows the page of a movie or of a validated decade in a dialog, without leaving the current page.
import { localise } from "./format.js";
import { offerCopying } from "./share.js";

let dialog, body;
let pending = null; // Aborts the running request.
let titleBelow = ""; // Title of the document below the dialog.
const opens = (path) => /^\/(films|validation)\/./.test(path);

export function startWhy() {
  dialog = document.getElementById("why");
  body = document.getElementById("why-body");
  if (!dialog) {
    // A dialog's URL after a reload: Back changes only the URL, so the list has to be loaded.
    const { pathname } = location;
    return addEventListener("popstate", () => location.pathname !== pathname && location.reload());
  }
  document.addEventListener("click", (event) => {
    const anchor = event.target.closest("a[href]");
    if (!anchor || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (anchor.origin !== location.origin || !opens(anchor.pathname)) return;
    event.preventDefault();
    history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, "", anchor.href);
    open(anchor.textContent);
  });
  // Closed by the user: go back to the URL from which the dialog was opened.
  dialog.addEventListener("close", () => {
    pending?.abort();
    body.replaceChildren();
    document.title = titleBelow;
    const depth = history.state?.depth ?? 0;
    if (depth) history.go(-depth);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  addEventListener("popstate", () => {
    if (history.state?.depth) open("");
    else if (dialog.open) dialog.close();
  });
}

async function open(title) {
  pending?.abort();
  const request = (pending = new AbortController());
  const heading = document.createElement("h1");
  heading.id = "why-title";
  heading.tabIndex = -1;
  heading.textContent = title;
  body.replaceChildren(heading);
  body.ariaBusy = "true";
  if (!dialog.open) {
    titleBelow = document.title;
    dialog.showModal();
  }
  try {
    const response = await fetch(location.href, { signal: request.signal, headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.getElementById("subject");
    localise(main);
    offerCopying(main);
    document.title = page.title;
    // Older addresses of a film redirect.
    if (response.redirected) history.replaceState(history.state, "", response.url);
    for (const pager of main.querySelectorAll(".pager")) pager.remove();
    body.replaceChildren(...main.children);
    const title = body.querySelector("h1");
    title.id = "why-title";
    title.tabIndex = -1;
    title.focus();
    dialog.scrollTop = 0;
  } catch (error) {
    if (error.name === "AbortError") return;
    const message = document.createElement("p");
    message.role = "alert";
    message.textContent = "Can’t load this page. Close it and try again.";
    body.append(message);
  } finally {
    body.ariaBusy = null;
  }
}
