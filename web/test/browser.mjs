// The browser that the scripts here drive. playwright-core is looked for from the working directory.

import { createRequire } from "node:module";
import { join } from "node:path";

/** Finds packages where the scripts are started. */
export const require = createRequire(join(process.cwd(), "package.json"));

/** Starts it, without what it would ask of others by itself. */
export function launch(executablePath) {
  return require("playwright-core").chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
}
