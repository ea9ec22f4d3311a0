// Loads TypeScript modules of web/src for the unit tests.

import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("../../src", import.meta.url));

let count = 0;

/** Bundles a module with its imports, and returns its exports. Each call creates new instances. */
export async function load(name) {
  const [{ output }] = await build({
    configFile: false,
    envDir: false,
    root,
    logLevel: "warn",
    publicDir: false,
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: { entry: `${root}/${name}`, formats: ["es"] },
    },
  });
  const code = Buffer.from(output[0].code).toString("base64");
  return import(`data:text/javascript;base64,${code}#${(count += 1)}`);
}

/** Runs all pending promise callbacks. The timers of a test may be mocked, so this uses none. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
