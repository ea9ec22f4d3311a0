// Serves dist with the content security policy of the real server, and forwards all other routes to
// a server.
//
//     node dev.mjs [port 8191] [server http://127.0.0.1:8190]

import { createReadStream, statSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const port = Number(process.argv[2] ?? 8191);
const server = new URL(process.argv[3] ?? "http://127.0.0.1:8190");
const dist = fileURLToPath(new URL("dist", import.meta.url));

const policy = (ancestors) =>
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  `worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ${ancestors}`;
const kinds = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

createServer((incoming, answer) => {
  const { pathname } = new URL(incoming.url, "http://dev");
  if (/^\/(v1|prices|openapi|healthz|readyz)\b/.test(pathname)) return pass(incoming, answer);
  const name =
    pathname === "/"
      ? "/index.html"
      : pathname === "/embed"
        ? "/embed.html"
        : pathname === "/docs"
          ? "/docs.html"
          : pathname;
  const file = join(dist, normalize(name));
  const known =
    name === "/index.html" ||
    name === "/embed.html" ||
    name === "/docs.html" ||
    name === "/tickcast.js" ||
    name.startsWith("/assets/");
  if (!known || !file.startsWith(dist) || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
    return answer.writeHead(404).end();
  }
  answer.writeHead(200, {
    "content-type": kinds[extname(file)] ?? "application/octet-stream",
    "content-security-policy": policy(name === "/embed.html" ? "*" : "'self'"),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    // Pages of other origins may load the ticker as a module.
    ...(name === "/tickcast.js" && { "access-control-allow-origin": "*" }),
    "cache-control": name.startsWith("/assets/")
      ? "public, max-age=31536000, immutable"
      : "no-cache",
  });
  createReadStream(file).pipe(answer);
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port} -> ${server}`));

function pass(incoming, answer) {
  const onward = request(
    {
      host: server.hostname,
      port: server.port,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
    },
    (response) => {
      const headers = { ...response.headers };
      // Servers without this header also work: the ticker needs it in pages of other origins.
      if (incoming.method === "GET" && incoming.headers.origin)
        headers["access-control-allow-origin"] ??= "*";
      answer.writeHead(response.statusCode, headers);
      answer.flushHeaders();
      response.pipe(answer);
      // If the server is killed, the client must see a broken connection, not the end of a
      // response.
      response.on("error", () => answer.destroy());
      response.on("aborted", () => answer.destroy());
    },
  );
  onward.on("error", () => answer.destroy());
  answer.on("close", () => onward.destroy());
  incoming.pipe(onward);
}
