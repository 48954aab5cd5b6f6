// The search box in a browser. tests/it/page.rs inserts the movies and runs this.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser, opened, violations } from "./browser.mjs";

after(() => browser.close());

const options = (page) => page.locator("#found [role=option] .found-title").allTextContents();
const found = (page, text) => page.waitForFunction(
  (title) => document.querySelector("#found:not([hidden]) [role=option]")?.textContent.includes(title), text);

test("films of all years are found while typing, and chosen by keys", async () => {
  const { page, close } = await opened("/?profile=Crowd+Pleaser");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search-text");
  await page.keyboard.type("RISIN");
  await found(page, "Rising");
  assert.deepEqual(await options(page), ["Rising"]);
  assert.match(await page.textContent("#found [role=option]"), /1955.*Rank \d of the 1950s/);
  assert.equal(await page.getAttribute("#search-text", "aria-expanded"), "true");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  assert.equal(await page.isVisible("#found"), false);
  assert.equal(await page.inputValue("#search-text"), "RISIN");
  await page.fill("#search-text", "old film 3");
  await found(page, "Old film 3");
  assert.equal((await options(page))[0], "Old film 3");
  assert.match(await page.textContent("#found [role=option]"), /On the list/);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.getAttribute("#search-text", "aria-activedescendant"), "found-0");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/films\/.*profile=Crowd/);
  await page.waitForSelector("dialog[open] .sum");
  assert.equal(await page.textContent("#why-title"), "Old film 3");
  await close();
});

test("typing quickly shows the last text's films only; Enter leads to all of them", async () => {
  const { page, close } = await opened("/validation");
  await page.click("#search-text");
  await page.keyboard.type("film 53", { delay: 15 });
  await found(page, "Film 53");
  assert.equal((await options(page)).length, 8);
  await page.fill("#search-text", "no such words");
  await found(page, "Try fewer words");
  await page.fill("#search-text", "film 5");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/search\?.*q=film\+5/);
  assert.match(await page.textContent("h1"), /films for “film 5”/);
  assert.equal(await page.locator(".search-results li").count(), 25);
  assert.deepEqual(await violations(page), []);
  await close();
});

test("people are found beside films, and have a page with their films", async () => {
  const { page, close } = await opened("/?profile=Crowd+Pleaser");
  await page.fill("#search-text", "zoe quinn");
  await found(page, "Zoë Quinn");
  assert.deepEqual(await options(page), ["Zoë Quinn"]);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/people\/\d+-zoe-quinn\?profile=Crowd/);
  assert.equal(await page.textContent("h1"), "Zoë Quinn");
  assert.match(await page.textContent(".search-results li"), /Falling.*Director.*1955.*Rank \d of the 1950s/s);
  assert.deepEqual(await violations(page), []);
  await page.goto(new URL("/search?q=quinn", page.url()).href);
  assert.deepEqual(await page.locator(".found-people a").allTextContents(), ["Zoë Quinn"]);
  assert.deepEqual(await violations(page), []);
  await close();
});

test("without scripts the box is a form, and the list's empty state leads to it", async () => {
  const { page, close } = await opened("/?q=rising", { javaScriptEnabled: false });
  await page.click("text=Search all years");
  assert.deepEqual(await page.locator(".search-results a").allTextContents(), ["Rising"]);
  await page.fill("#search-text", "film");
  await page.press("#search-text", "Enter");
  const first = await page.locator(".search-results a").allTextContents();
  await page.click("text=Next films");
  assert.notDeepEqual(await page.locator(".search-results a").allTextContents(), first);
  await page.click("text=Previous films");
  assert.deepEqual(await page.locator(".search-results a").allTextContents(), first);
  await close();
});
