// Starts the browser of the scripts here. playwright-core is loaded from the working directory.

import { createRequire } from "node:module";
import { join } from "node:path";

/** Loads packages from the working directory of the script. */
export const require = createRequire(join(process.cwd(), "package.json"));

/** Starts the browser without its own background requests, with these environment variables. */
export function launch(executablePath, env = process.env) {
  return require("playwright-core").chromium.launch({
    executablePath,
    env,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });
}
