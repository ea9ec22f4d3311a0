// JSON laid out for reading. Parsed and written again, 0.00170 would be 0.0017: its text stays as it came.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** The same JSON, a member to a line. */
export function indented(json: string): string {
  let out = "";
  let depth = 0;
  let before = "";
  const line = (): string => `\n${"  ".repeat(depth)}`;
  for (const [token] of json.matchAll(TOKEN)) {
    const opened = before === "{" || before === "[";
    if (token === "}" || token === "]") {
      depth = Math.max(0, depth - 1);
      out += opened ? token : line() + token;
    } else {
      if (opened || before === ",") out += line();
      out += token === ":" ? ": " : token;
      if (token === "{" || token === "[") depth += 1;
    }
    before = token;
  }
  return out;
}
