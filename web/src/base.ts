// Finds the routes of this server: below the root of a host, or below a path behind a proxy.

/**
 * The base of all routes. Pages are directly below the base. The worker is a script in `assets`,
 * one level deeper.
 */
const BASE =
  typeof document === "undefined" ? new URL("..", location.href) : new URL(".", document.baseURI);

/**
 * The path of the base, `/` for the root. Servers below other paths of the same host are other
 * servers.
 */
export const basePath = BASE.pathname;

/** Returns the URL of a route, such as `v1/stream`. */
export function routeUrl(route: string): string {
  return new URL(route, BASE).href;
}
