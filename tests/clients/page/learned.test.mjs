// Learned rankings on the page in a browser. tests/it/page.rs trains one and runs this.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser, filter, opened, titles, violations } from "./browser.mjs";

after(() => browser.close());

const shown = (page, ranking) => page.waitForSelector(`body[data-ranking=${ranking}]`);

test("the switch re-ranks the list and changes the URL; Back and a profile return to the formula", async () => {
  const { page, close } = await opened("/?decade=1990&profile=Critics%20Choice");
  const formula = await titles(page);
  await page.click("#rankings [data-ranking=learned]");
  await shown(page, "learned");
  assert.match(page.url(), /ranking=learned/);
  assert.doesNotMatch(page.url(), /profile/);
  const learned = await titles(page);
  assert.notDeepEqual(learned, formula);
  assert.equal(await page.textContent("#taste"), "the learned ranking");
  assert.match(await page.textContent("#films [data-field=probability]"), /%|not enough known/);
  // Said only where something is missing.
  assert.match(await page.textContent("#films [data-field=known]"), /^$|known: [0-8] of 9 groups/);
  await page.waitForFunction(() => /^The learned ranking found/.test(document.querySelector("#accuracy").textContent));
  assert.equal(await page.isVisible("#weights"), false);
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.deepEqual(await titles(page), learned);
  await page.goBack();
  await shown(page, "formula");
  assert.deepEqual(await titles(page), formula);
  assert.match(await page.textContent("#taste"), /Critics/);
  await page.goForward();
  await shown(page, "learned");
  await page.click("#rankings [data-ranking='']");
  await shown(page, "formula");
  assert.equal(await page.isVisible("#weights"), true);
  await close();
});

test("rows that scripts fill are those of the server", async () => {
  const { page, close } = await opened("/?decade=1990");
  const rows = () => page.locator("#films > li").evaluateAll((all) => all.slice(0, 25).map((row) =>
    [...row.querySelectorAll(".of-learned, a.title")].map((part) => part.textContent.trim())));
  await page.click("#rankings [data-ranking=learned]");
  await shown(page, "learned");
  const filled = await rows();
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.deepEqual(await rows(), filled);
  await close();
});

test("the first view shows ten films on a desktop and five on a phone, each reason on one line", async () => {
  for (const [width, height, least] of [[1440, 900, 10], [390, 844, 5]]) {
    const { page, close } = await opened("/?decade=1990&ranking=learned", { viewport: { width, height } });
    await page.waitForFunction(() => document.querySelector("#accuracy").textContent);
    // It is shown only while the films are generated.
    await page.evaluate(() => document.querySelector(".banner")?.remove());
    const visible = await page.locator("#films > li").evaluateAll((rows) =>
      rows.filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length);
    assert.ok(visible >= least, `${visible} films at ${width} × ${height}`);
    const lines = await page.locator("#films .main-reasons").evaluateAll((all) =>
      all.slice(0, 5).map((text) => text.getBoundingClientRect().height / parseFloat(getComputedStyle(text).lineHeight)));
    assert.ok(lines.every((count) => count < 1.1), lines.join());
    await close();
  }
});

test("a minimum probability filters", async () => {
  const { page, close } = await opened("/?decade=1990&ranking=learned");
  const all = await page.textContent("#count");
  await page.click("#filter-box summary");
  await page.fill("[name=probability]", "50");
  await page.waitForURL(/probability=50/);
  await page.waitForFunction((before) => document.querySelector("#count").textContent !== before, all);
  await page.keyboard.press("Escape");
  await page.click("#rankings [data-ranking='']");
  await page.waitForFunction((before) => document.querySelector("#count").textContent === before, all);
  assert.doesNotMatch(page.url(), /probability/);
  await close();
});

test("another list has another switch", async () => {
  const { page, close } = await opened("/?decade=1990");
  const lists = await page.locator("[name=list] option").evaluateAll((options) => options.map(({ value }) => value));
  await filter(page, "list", lists.find((list) => list !== "1001_movies"));
  await page.waitForFunction(() => !document.querySelector("#rankings a"));
  await filter(page, "list", "1001_movies");
  await page.waitForSelector("#rankings [data-ranking=learned]");
  await close();
});

test("the dialog lists the reasons for and against a movie, the strongest first", async () => {
  const { page, close } = await opened("/?decade=1990&ranking=learned");
  await page.locator("#films a.title").first().click();
  await page.waitForSelector("dialog[open] .reasons");
  const points = await page.locator("#why .reasons b").allTextContents();
  const sizes = points.map((text) => Number(text.slice(1)));
  assert.deepEqual(sizes, [...sizes].sort((one, other) => other - one));
  assert.ok(points.every((text) => /^[+−]\d/.test(text)), points.join());
  assert.match(await page.textContent("#why .verdict"), /probability.*known: \d of 9 groups/);
  await page.click("#why .verdict a");
  await page.waitForURL(/\/model\?.*ranking=learned/);
  assert.match(await page.textContent("h1"), /How good is the learned ranking/);
  await close();
});

test("without scripts, links lead to the learned ranking, its model card and its validation", async () => {
  const { page, close } = await opened("/?decade=1990", { javaScriptEnabled: false });
  const formula = await titles(page);
  await page.click("#rankings [data-ranking=learned]");
  assert.notDeepEqual(await titles(page), formula);
  await page.click("#filter-box summary");
  await page.fill("[name=probability]", "50");
  await page.click("button:text('Show')");
  assert.match(page.url(), /ranking=learned.*probability=50/);
  await page.click("[data-card]");
  assert.match(await page.textContent(".intro p"), /^It finds \d+ % of the listed films/);
  await page.click(".tabs >> text=Validation");
  assert.match(await page.textContent("#rankings [aria-current]"), /^Learned/);
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing on learned pages in ${colorScheme}`, async () => {
    const query = "ranking=learned";
    for (const path of [`/?decade=1990&${query}`, `/decades?${query}`, `/model?${query}`, `/model?${query}-without-lists`, `/validation?${query}`]) {
      const { page, close } = await opened(path, { colorScheme, reducedMotion: "reduce" });
      assert.deepEqual(await violations(page), [], path);
      if (path.startsWith("/?")) {
        await page.locator("#films a.title").first().click();
        await page.waitForSelector("dialog[open] .reasons");
        assert.deepEqual(await violations(page), [], "the dialog");
      }
      await close();
    }
  });
}
