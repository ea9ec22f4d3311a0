// A proxy that serves a server below a path only. Requests to the root of the host are recorded.

import { createServer, request } from "node:http";

/** Serves `server` below `/market/`. `otherPaths` contains the paths of all other requests. */
export async function below(server) {
  const { hostname, port } = new URL(server);
  const otherPaths = [];
  const proxy = createServer((asked, answer) => {
    if (!asked.url.startsWith("/market/")) {
      // Browsers request this file automatically.
      if (asked.url !== "/favicon.ico") otherPaths.push(asked.url);
      return answer.writeHead(404).end();
    }
    const path = asked.url.slice("/market".length);
    const onward = request(
      { hostname, port, path, method: asked.method, headers: asked.headers },
      (response) => {
        answer.writeHead(response.statusCode, response.headers);
        answer.flushHeaders();
        response.pipe(answer);
        response.on("error", () => answer.destroy());
      },
    );
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const close = () => {
    proxy.close();
    proxy.closeAllConnections();
  };
  return { base: `http://127.0.0.1:${proxy.address().port}/market`, otherPaths, close };
}
