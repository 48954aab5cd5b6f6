// Keyboard shortcuts. The dialog that explains them, on pages with a list, can turn them off.

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

const step = (id) => () => byId(id).click();
// Brackets need AltGr on many keyboards: hence the letters.
const OF_LIST = {
  j: () => focusRow(1),
  k: () => focusRow(-1),
  h: step("earlier"),
  "[": step("earlier"),
  l: step("later"),
  "]": step("later"),
  "?": () => byId("keys").showModal(),
};
const OF_ALL_PAGES = { "/": focusSearch };

export function startKeys() {
  const choice = byId("use-keys");
  const actions = choice ? { ...OF_ALL_PAGES, ...OF_LIST } : OF_ALL_PAGES;
  let isOn = stored() !== "off";
  if (choice) {
    choice.checked = isOn;
    choice.addEventListener("change", () => stored((isOn = choice.checked) ? "on" : "off"));
    byId("show-keys").addEventListener("click", OF_LIST["?"]);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
    if (!isOn || !Object.hasOwn(actions, event.key) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    actions[event.key]();
  });
}

// Fields in which these keys are text, or select an option.
const isTyping = (element) => element.isContentEditable || element.matches("textarea, select, input:not([type=range])");

function focusSearch() {
  const input = byId("search-text");
  input.focus();
  input.select();
}

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
