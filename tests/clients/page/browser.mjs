// A real browser and helpers of the tests.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { PAGE_URL, CHROMIUM = "/usr/bin/chromium" } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// Opens a path in a new browser context, after `prepare` was called with the page. `close` fails if the page raised or logged an error.
export async function opened(path, { prepare, ...options } = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  await prepare?.(page);
  await page.goto(PAGE_URL + path);
  if (options.javaScriptEnabled !== false) await page.waitForSelector("html[data-ready]");
  const close = async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  };
  return { page, context, wrong, close };
}

export const titles = (page) => page.locator("#films a.title").allTextContents();
export const ids = (page) => page.locator("#films > li").evaluateAll((rows) => rows.map((row) => row.dataset.id));

// Waits until the list has grown as far as it does by itself, so that its rows stay.
export const settled = (page) => page.waitForFunction(() => {
  const more = document.getElementById("more");
  const end = document.getElementById("pager").getBoundingClientRect().top;
  return more.ariaBusy !== "true" && (more.hidden || end > innerHeight + 800);
});

// Moves a slider as a user does.
export const slide = (page, name, value) =>
  page.locator(`#weigh-${name}`).evaluate((slider, to) => {
    slider.value = to;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }, value);

// Selects an option of the panel of filters, which it opens and closes.
export async function filter(page, name, value) {
  await page.locator("#filter-box").evaluate((box) => (box.open = true));
  await page.selectOption(`[name=${name}]`, value);
  await page.locator("#filter-box").evaluate((box) => (box.open = false));
}

// Accessibility violations found by axe. Injected by the debugger, because the page's policy blocks other scripts.
export async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(" | ")}`);
}
