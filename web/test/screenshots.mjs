// Takes screenshots of the dashboard and of the API page for docs/, in both themes and three
// widths:
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/screenshots.mjs http://127.0.0.1:8080 /usr/bin/chromium …/docs/screenshots

import { join } from "node:path";
import { launch } from "./browser.mjs";

const [url, executablePath, folder] = process.argv.slice(2);

const browser = await launch(executablePath);
for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [
    [390, 844],
    [1280, 800],
    [2560, 1440],
  ]) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme });
    await page.goto(url);
    await page.waitForSelector('#connection[data-state="live"]');
    // Sparklines and candles need some time to fill.
    await page.waitForTimeout(20_000);
    await page.screenshot({ path: join(folder, `dashboard-${width}-${colorScheme}.png`) });
    await page.goto(new URL("/docs#get-v1-prices", url).href);
    await page.waitForSelector("#get-v1-prices");
    await page.click("#get-v1-prices button.run");
    await page.waitForSelector("#get-v1-prices .answer:not([hidden])");
    await page.screenshot({ path: join(folder, `docs-${width}-${colorScheme}.png`) });
    await page.close();
  }
}
await browser.close();
