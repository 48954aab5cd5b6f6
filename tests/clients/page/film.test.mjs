// The page of a film in a browser. tests/it/film_page.rs inserts the films and runs this.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser, opened, violations } from "./browser.mjs";

after(() => browser.close());

const FILM = "/films/1-the-fall-of-ea";
const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

// Opens a path with a server of posters that counts the requests to it.
async function withPosters(path, options = {}) {
  const asked = [];
  const prepare = (page) => page.route("https://images.example/**", (route) => {
    const request = route.request();
    asked.push({ path: new URL(request.url()).pathname, referrer: request.headers().referer });
    return route.fulfill({ contentType: "image/png", body: PIXEL });
  });
  return { asked, ...(await opened(path, { ...options, prepare })) };
}

test("the poster is loaded from the server of the setting, without a referrer", async () => {
  const { page, asked, close } = await withPosters(FILM);
  await page.waitForFunction(() => document.querySelector("img.poster")?.naturalWidth === 1);
  assert.deepEqual(asked, [{ path: "/t/p/w342/poster.jpg", referrer: undefined }]);
  await close();
});

test("rows that scripts fill have the directors and posters of the server", async () => {
  const { page, close } = await withPosters("/?decade=1990");
  const rows = () => page.locator("#films > li").evaluateAll((all) => all.map((row) =>
    row.querySelector(".what").innerHTML.replaceAll(/ (href|aria-hidden)="[^"]*"/g, "").replaceAll(/>\s+</g, "><").trim()
      .replace(/<(\w+)([^>]*)>/, (_, name, attributes) => `<${name} ${attributes.match(/[\w-]+="[^"]*"/g).sort().join(" ")}>`)));
  const server = await rows();
  assert.equal(server.filter((row) => row.includes("/t/p/w92/poster.jpg")).length, 2);
  assert.ok(server.some((row) => row.includes("Ada First")));
  for (const profile of ["Cult Classic", "Balanced"]) {
    await page.click(`[data-profile="${profile}"]`);
    await page.waitForFunction((name) => document.querySelector("#taste").textContent === name, profile);
  }
  const filled = await rows();
  assert.deepEqual([...filled].sort(), [...server].sort());
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.deepEqual(await rows(), filled);
  await close();
});

test("posters make no row higher: ten films in the first view of a desktop and five of a phone fit as before", async () => {
  for (const width of [390, 820, 1440]) {
    const { page, close } = await withPosters("/?decade=1990", { viewport: { width, height: 900 } });
    const heights = () => page.locator("#films > li").evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
    const before = await heights();
    await page.evaluate(() => document.querySelectorAll("#films .poster").forEach((poster) => poster.remove()));
    assert.deepEqual(await heights(), before, `at ${width}`);
    await close();
  }
});

test("an old address leads to the readable one, in the dialog too", async () => {
  const { page, close } = await withPosters("/films/1-old-title?decade=1990");
  assert.match(page.url(), /\/films\/1-the-fall-of-ea\?decade=1990$/);
  await page.goto(new URL("/?decade=1990", page.url()).href);
  await page.waitForSelector("html[data-ready]");
  const list = await page.title();
  await page.locator("#films a.title").first().click();
  await page.waitForSelector("dialog[open] .sum");
  assert.match(page.url(), /\/films\/1-the-fall-of-ea/);
  assert.match(await page.title(), /The Fall of Éa/);
  await page.click("dialog [rel=next]");
  await page.waitForFunction(() => document.title.includes("=Second()"));
  assert.match(page.url(), /\/films\/2-second/);
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });
  assert.equal(await page.title(), list);
  await close();
});

test("neighbours lead from film to film; a tab is marked as current", async () => {
  const { page, close } = await withPosters(FILM);
  assert.equal(await page.textContent(".tabs [aria-current=true]"), "Predictions");
  await page.click("[rel=next]");
  assert.match(await page.textContent("h1"), /Second/);
  await page.click("[rel=next]");
  assert.match(await page.textContent("h1"), /Nothing Known/);
  await page.click("[rel=prev]");
  assert.match(await page.textContent("h1"), /Second/);
  await close();
});

test("the address can be copied", async () => {
  const { page, context, close } = await withPosters(FILM);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("text=Copy link");
  await page.waitForSelector("text=Link copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());
  await close();
});

test("the CSV file follows the list", async () => {
  const { page, close } = await withPosters("/?decade=1990");
  await page.click('[data-profile="Cult Classic"]');
  await page.waitForURL(/profile=Cult/);
  await page.hover("a[download]");
  const file = page.waitForEvent("download");
  await page.click("a[download]");
  assert.equal((await file).suggestedFilename(), "cinegraph-1990s.csv");
  assert.match((await file).url(), /\/predictions\.csv\?decade=1990&profile=Cult\+Classic$/);
  await close();
});

test("nothing is inaccessible, wider than the window or printed that cannot be used on paper", async () => {
  for (const path of [FILM, "/films/2-second", "/films/3-nothing-known"]) {
    for (const [colorScheme, width] of [["light", 1280], ["dark", 390]]) {
      const { page, close } = await withPosters(path, { colorScheme, viewport: { width, height: 844 } });
      for (const details of await page.locator(".awards summary").all()) await details.click();
      assert.deepEqual(await violations(page), [], `${path} ${colorScheme}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} ${width}`);
      await page.emulateMedia({ media: "print" });
      for (const control of [".tabs", ".share", ".neighbours"]) assert.ok(!(await page.isVisible(control)), control);
      await close();
    }
  }
});
