// The list while servers fail. tests/it/page.rs stops and starts them at FAULTS_URL.
import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { browser, opened, settled, slide, titles } from "./browser.mjs";

after(() => browser.close());

const fault = async (name) => assert.equal((await fetch(`${process.env.FAULTS_URL}/${name}`)).status, 200, name);

// A failed test must not leave a fault to the next one.
afterEach(() => fault("thaw"));

// What must stay as it is while a change cannot be made.
const state = async (page) => {
  await settled(page);
  return page.evaluate(() => ({
    heading: document.querySelector("h1").textContent,
    titles: [...document.querySelectorAll("#films a.title")].map((title) => title.textContent),
    count: document.getElementById("results-name").textContent,
    // Without its accuracy, which loads after the list.
    chosen: [...document.querySelectorAll("[aria-current=true]")].map((chip) => chip.dataset.profile ?? chip.textContent),
    shares: [...document.querySelectorAll("#weights output")].map((output) => output.textContent),
    decade: document.querySelector("[name=decade]").value,
    url: location.href,
  }));
};

const problem = async (page, pattern) => {
  await page.waitForFunction((source) => new RegExp(source).test(document.getElementById("problem-text").textContent), pattern.source);
  assert.equal(await page.isVisible("#problem"), true);
};

test("with the database stopped, a slider changes nothing but a message; with it back, the weights rank", async () => {
  const { page, wrong, close } = await opened("/?decade=2020");
  await page.waitForSelector("#live[data-state=live]");
  const before = await state(page);
  await fault("freeze");
  // Rows of weights that were never requested have titles that are in no cache. One slider: the ranking under an intermediate
  // state of two could have the films that are cached.
  await slide(page, "popular", 0);
  await problem(page, /Could not re-rank by your weights\. Trying again/);
  assert.deepEqual(await state(page), before);
  await page.waitForSelector("#live[data-state=degraded]");
  await fault("thaw");
  await page.waitForFunction(() => document.getElementById("taste").textContent === "your weights");
  await page.waitForURL(/popular=0&/);
  assert.equal(await page.isVisible("#problem"), false);
  assert.notDeepEqual(await titles(page), before.titles);
  assert.equal(await page.inputValue("#weigh-popular"), "0");
  await page.waitForFunction(() => document.getElementById("live").dataset.state !== "degraded");
  wrong.length = 0;
  await close();
});

test("with the database stopped, the indicator of an idle page becomes degraded", async () => {
  const { page, wrong, close } = await opened("/?decade=2020");
  await page.waitForSelector("#live[data-state=live]");
  await fault("freeze");
  await page.waitForSelector("#live[data-state=degraded]", { timeout: 60000 });
  await fault("thaw");
  await page.waitForSelector("#live[data-state=live]", { timeout: 60000 });
  wrong.length = 0;
  await close();
});

test("with the service stopped, a decade changes nothing but a message; restarted, the decade is shown", async () => {
  const { page, wrong, close } = await opened("/?decade=2020");
  await page.waitForSelector("#live[data-state=live]");
  const before = await state(page);
  await fault("stop");
  await page.selectOption("[name=decade]", "1990");
  await problem(page, /Could not show the 1990s\. Trying again/);
  assert.deepEqual(await state(page), before);
  await page.waitForSelector("#live[data-state=lost]");
  await fault("start");
  await page.waitForURL(/decade=1990/);
  assert.match(await page.textContent("h1"), /1990s/);
  assert.equal(await page.inputValue("[name=decade]"), "1990");
  assert.equal(await page.isVisible("#problem"), false);
  await page.waitForSelector("#live[data-state=live]");
  await page.goBack();
  await page.waitForFunction((heading) => document.querySelector("h1").textContent === heading, before.heading);
  assert.deepEqual(await titles(page), before.titles);
  wrong.length = 0;
  await close();
});

test("Back to a state that cannot be loaded keeps the list and loads it later; the next change takes its place", async () => {
  const { page, wrong, close } = await opened("/?decade=2020");
  await page.selectOption("[name=decade]", "1990");
  await page.waitForURL(/decade=1990/);
  const { url, ...nineties } = await state(page);
  await fault("stop");
  await page.goBack();
  await problem(page, /Could not show the 2020s\. Trying again/);
  const { url: failed, ...unchanged } = await state(page);
  assert.deepEqual(unchanged, nineties);
  assert.notEqual(failed, url);
  await fault("start");
  await page.waitForFunction(() => /2020s/.test(document.querySelector("h1").textContent));
  assert.equal(await page.isVisible("#problem"), false);
  wrong.length = 0;
  await close();
});

test("what the server rejects is shown and not sent again", async () => {
  const { page, close } = await opened("/?decade=2020");
  const before = await state(page);
  for (const name of ["popular", "critical", "industry", "cultural", "people"]) await slide(page, name, 0);
  await problem(page, /Could not re-rank by your weights\. /);
  assert.equal(await page.isVisible("#again"), false);
  assert.deepEqual((await state(page)).titles.length, before.titles.length);
  await slide(page, "people", 50);
  await page.waitForURL(/people=50/);
  assert.equal(await page.isVisible("#problem"), false);
  await close();
});

test("on a slow network, the old list stays under its heading, with a line that shows progress", async () => {
  const { page, close } = await opened("/?decade=2020");
  const { decade, ...before } = await state(page);
  let release;
  const released = new Promise((done) => (release = done));
  await page.route("**/graphql", async (route) => {
    if (/query List/.test(route.request().postData())) await released;
    await route.continue();
  });
  await page.selectOption("[name=decade]", "1990");
  await page.waitForSelector("#progress:not([hidden])");
  assert.equal(await page.getAttribute("#films", "aria-busy"), "true");
  const { decade: selected, ...during } = await state(page);
  assert.deepEqual(during, before);
  assert.deepEqual([decade, selected], ["2020", "1990"]);
  release();
  await page.waitForFunction(() => /1990s/.test(document.querySelector("h1").textContent));
  assert.equal(await page.isVisible("#progress"), false);
  assert.match(page.url(), /decade=1990/);
  await close();
});
