// Where this server's routes begin: below the root of a host, or below a path behind a proxy.

/** Pages are directly below it; the worker is a script in `assets`, one further down. */
const BASE = typeof document === "undefined" ? new URL("..", location.href) : new URL(".", document.baseURI);

/** The path of it, `/` for the root: servers below other paths of the same host are others. */
export const basePath = BASE.pathname;

/** The address of a route, such as `v1/stream`. */
export function routeUrl(route: string): string {
  return new URL(route, BASE).href;
}
