// Builds web/dist: the three pages with their hashed assets, and tickcast.js under its own name.
// The same input gives the same bytes: names are content hashes, and the output contains no time
// and no machine name.

import { fileURLToPath } from "node:url";
import { resolve } from "node:path";
import { build } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = resolve(here, "src");
const outDir = resolve(here, "dist");

const common = {
  configFile: false,
  envDir: false,
  root,
  logLevel: "warn",
  publicDir: false,
};
// The first browsers with light-dark() and constructable style sheets. For older targets, the build
// would write two copies of each colour.
const target = ["chrome123", "firefox120", "safari17.5"];

await build({
  ...common,
  // A relative base, so that the pages also work below a path.
  base: "./",
  worker: {
    format: "es",
    rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } },
  },
  build: {
    outDir,
    emptyOutDir: true,
    target,
    cssTarget: target,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: [resolve(root, "index.html"), resolve(root, "embed.html"), resolve(root, "docs.html")],
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
});

await build({
  ...common,
  build: {
    outDir,
    emptyOutDir: false,
    target,
    reportCompressedSize: false,
    lib: {
      entry: resolve(root, "ticker.ts"),
      formats: ["iife"],
      name: "tickcast",
      fileName: () => "tickcast.js",
    },
  },
});
