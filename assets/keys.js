// Keyboard shortcuts of the list. The dialog that explains them can turn them off.

const STORED = "keys";
const byId = (id) => document.getElementById(id);

// Storage is unavailable if cookies are blocked.
function stored(value) {
  try {
    if (value) localStorage.setItem(STORED, value);
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

const ACTIONS = {
  j: () => focusRow(1),
  k: () => focusRow(-1),
  "[": () => byId("earlier").click(),
  "]": () => byId("later").click(),
};

export function startKeys() {
  const dialog = byId("keys");
  const choice = byId("use-keys");
  choice.checked = stored() !== "off";
  choice.addEventListener("change", () => stored(choice.checked ? "on" : "off"));
  byId("show-keys").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]") || !choice.checked) return;
    if (event.key === "?") dialog.showModal();
    else if (ACTIONS[event.key]) ACTIONS[event.key]();
    else return;
    event.preventDefault();
  });
}

// Fields in which these keys are text, or select an option.
const isTyping = (element) => element.isContentEditable || element.matches("textarea, select, input:not([type=range])");

// Moves the focus to the next or previous film; first to the first one in view.
function focusRow(step) {
  const titles = [...byId("films").querySelectorAll("a.title")];
  const at = titles.indexOf(document.activeElement);
  const bar = byId("bar").getBoundingClientRect().bottom;
  const first = titles.findIndex((title) => title.getBoundingClientRect().top > bar);
  const title = titles[at < 0 ? Math.max(first, 0) : at + step];
  title?.focus({ preventScroll: true });
  title?.closest("li").scrollIntoView({ block: "nearest" });
}
