// The page is complete without this; here it becomes quick.
import { localise } from "./format.js";
import { startList } from "./list.js";
import { startWhy } from "./why.js";
import { startTimings, usable } from "./timings.js";

document.documentElement.classList.add("scripted");
localise(document);
startWhy();
if (document.getElementById("films")) {
  startList();
  usable();
}
startTimings();
// When it was; the tests wait for it.
document.documentElement.dataset.ready = performance.now();
