// Builds web/dist: the three pages with their hashed assets, and tickcast.js under its own name.
// The same input gives the same bytes: names are hashes of content, and nothing of the time or the machine goes in.

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
// What knows light-dark() and constructable style sheets; older ones would get two copies of every colour.
const target = ["chrome123", "firefox120", "safari17.5"];

await build({
  ...common,
  // Relative, so that everything is found below a path, too.
  base: "./",
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } } },
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
    lib: { entry: resolve(root, "ticker.ts"), formats: ["iife"], name: "tickcast", fileName: () => "tickcast.js" },
  },
});
