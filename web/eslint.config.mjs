// ESLint with the strict type-checked rules of typescript-eslint.
//
// typescript-eslint needs the JavaScript API of TypeScript 6. `npm run check` uses TypeScript 7.

import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import globals from "globals";
import ts from "typescript-eslint";

export default defineConfig(
  { ignores: ["dist"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    files: ["src/**/*.ts"],
    extends: [ts.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // Event listeners are short arrow functions, and a `switch` returns the call that ends a case.
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // With noUncheckedIndexedAccess, every indexed access may be undefined, even after a check of
      // the index. The `!` marks these accesses, and the elements that index.html contains.
      "@typescript-eslint/no-non-null-assertion": "off",
      // The text of a number is unambiguous.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        {
          allowAny: false,
          allowBoolean: false,
          allowNever: false,
          allowNullish: false,
          allowNumber: true,
          allowRegExp: false,
        },
      ],
    },
  },
  {
    files: ["**/*.mjs"],
    languageOptions: { globals: globals.node },
  },
  {
    // These scripts contain functions that run in pages. One page uses React.
    files: ["test/*.mjs"],
    languageOptions: {
      globals: { ...globals.browser, React: "readonly", ReactDOM: "readonly" },
    },
  },
);
