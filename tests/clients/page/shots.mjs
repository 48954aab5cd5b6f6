import { chromium } from "playwright-core";
const base = process.argv[2];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu"] });
for (const [scheme, width, height] of [["light", 390, 844], ["light", 820, 1100], ["light", 1440, 900], ["dark", 1440, 900], ["dark", 390, 844]]) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: "en-GB" });
  const page = await context.newPage();
  for (const [name, path] of [["list", "/"], ["additions", "/additions?decade=1990"], ["validation", "/validation"], ["decade", "/validation/1990"]]) {
    if (scheme === "dark" && name !== "list" && name !== "validation") continue;
    await page.goto(base + path); await page.waitForSelector("html[data-ready]");
    await page.waitForTimeout(300);
    await page.screenshot({ path: `/tmp/shots/${scheme}-${width}-${name}.png` });
    if (name === "list") {
      await page.click("#tune summary");
      await page.locator("#weigh-popular").evaluate((s) => { s.value = 80; s.dispatchEvent(new Event("input", { bubbles: true })); });
      await page.waitForTimeout(600);
      await page.screenshot({ path: `/tmp/shots/${scheme}-${width}-tuned.png` });
      await page.locator("#films a.title").first().click();
      await page.waitForSelector("dialog[open] .sum");
      await page.waitForTimeout(300);
      await page.screenshot({ path: `/tmp/shots/${scheme}-${width}-why.png` });
    }
  }
  await context.close();
}
await browser.close();
