// A film, or the films of a decade, in a dialog over the list: the server's page, without leaving this one.
import { localise } from "./format.js";

let dialog, body;
let asking = null;
const opens = (path) => /^\/(films|validation)\/./.test(path);

export function startWhy() {
  dialog = document.getElementById("why");
  body = document.getElementById("why-body");
  if (!dialog) {
    // Opened over a list, then loaded anew: a step back leaves this page in place under the address of the list.
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
  // Closed by hand: back to where it was opened.
  dialog.addEventListener("close", () => {
    asking?.abort();
    body.replaceChildren();
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
  asking?.abort();
  const question = (asking = new AbortController());
  const heading = document.createElement("h1");
  heading.id = "why-title";
  heading.tabIndex = -1;
  heading.textContent = title;
  body.replaceChildren(heading);
  body.ariaBusy = "true";
  if (!dialog.open) dialog.showModal();
  try {
    const response = await fetch(location.href, { signal: question.signal, headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.getElementById("subject");
    localise(main);
    for (const pager of main.querySelectorAll(".pager")) pager.remove();
    body.replaceChildren(...main.children);
    const shown = body.querySelector("h1");
    shown.id = "why-title";
    shown.tabIndex = -1;
    shown.focus();
    dialog.scrollTop = 0;
  } catch (error) {
    if (error.name === "AbortError") return;
    const sorry = document.createElement("p");
    sorry.role = "alert";
    sorry.textContent = "This cannot be reached right now. Close it and try again.";
    body.append(sorry);
  } finally {
    body.ariaBusy = null;
  }
}
