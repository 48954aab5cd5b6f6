// Entry point. The page works without scripts; they make it faster.
import { localise } from "./format.js";
import { startKeys } from "./keys.js";
import { startList } from "./list.js";
import { startSearch } from "./search.js";
import { startSharing } from "./share.js";
import { startWhy } from "./why.js";
import { startTimings, usable } from "./timings.js";

document.documentElement.classList.add("scripted");
localise(document);
startWhy();
startSearch();
startSharing();
startKeys();
if (document.getElementById("films")) {
  startList();
  usable();
}
startTimings();
// Time to a usable list in milliseconds; the browser tests wait for it.
document.documentElement.dataset.ready = performance.now();
