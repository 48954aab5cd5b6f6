// An open page while an import replaces generated films: reports JSON, line by line, to tests/it/demo.rs.
import { browser, opened } from "./browser.mjs";

const report = (message) => console.log(JSON.stringify(message));
const { page, close } = await opened("/");
report({ opened: await page.locator(".banner").count() });
await page.waitForFunction(() => document.readyState === "complete" && !document.querySelector(".banner"), null, { timeout: 60000 });
report({ titles: await page.locator("#films a.title").allTextContents() });
await close().catch(() => {});
await browser.close();
